/* Refusals are counted by network, not by host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/gate/denied.h"

static void
an_address_becomes_its_network(void **state)
{
	static const struct {
		const char *ip, *network;
	} rows[] = {
		{"203.0.113.77", "203.0.113.0/24"},
		{"203.0.113.0", "203.0.113.0/24"},
		{"::ffff:203.0.113.77", "203.0.113.0/24"},
		{"2001:db8:1:2:aaaa:bbbb:cccc:dddd", "2001:db8:1:2::/64"},
		{"::1", "::/64"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff::/64"},
		{"", ""},
		{"not an address", "not an address"},
	};
	char network[46];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		denied_network(rows[i].ip, network);
		assert_string_equal(network, rows[i].network);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(an_address_becomes_its_network)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
