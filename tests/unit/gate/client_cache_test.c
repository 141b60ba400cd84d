/* What is remembered of clients and of their addresses, and what a refusal looks like when it is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/gate/client_cache.h"
#include "daemon/gate/problem.h"
#include "daemon/gate/source.h"

static sp_client_of_rep *rep; /* big: not on the stack */

static void
certificate(unsigned n, uint8_t out[32])
{
	memset(out, 0, 32);
	memcpy(out + 1, &n, sizeof(n));
}

/* A client "c<n>" for n merchants m0, m1, … */
static void
remember(unsigned n, unsigned merchants)
{
	uint8_t cert[32];

	certificate(n, cert);
	memset(rep, 0, sizeof(*rep));
	snprintf(rep->client.name, sizeof(rep->client.name), "c%u", n);
	rep->client.scopes = UINT64_C(1) << SCOPE_PAYMENTS_READ;
	rep->client.merchants_count = (pb_size_t)merchants;
	for (unsigned i = 0; i < merchants; i++)
		snprintf(rep->client.merchants[i], sizeof(rep->client.merchants[i]), "m%u", i);
	client_cache_put(cert, ERR_OK, rep);
}

static const struct client *
find(unsigned n)
{
	uint8_t cert[32];

	certificate(n, cert);
	return client_cache_find(cert);
}

static void
what_the_ledger_said_is_found_until_a_change(void **state)
{
	uint8_t cert[32];

	(void)state;
	assert_null(find(1));
	remember(1, 2);
	remember(2, 0);
	assert_string_equal(find(1)->name, "c1");
	assert_string_equal(find(2)->name, "c2");
	assert_int_equal(find(1)->standing, ERR_OK);
	assert_true(client_cache_allows(find(1), SCOPE_PAYMENTS_READ));
	assert_false(client_cache_allows(find(1), SCOPE_PAYMENTS_WRITE));
	assert_true(client_cache_allows(find(1), SCOPE_NONE));
	certificate(3, cert);
	client_cache_put(cert, ERR_CLIENT_UNKNOWN, NULL);
	assert_int_equal(find(3)->standing, ERR_CLIENT_UNKNOWN);
	rep->client.revoked = true;
	client_cache_put(cert, ERR_OK, rep);
	assert_int_equal(find(3)->standing, ERR_CLIENT_REVOKED);
	client_cache_empty();
	assert_null(find(1));
	assert_null(find(3));
}

/* All these certificates fall into one set: it keeps the four that were used last. */
static void
the_cache_is_bounded_and_keeps_what_is_used(void **state)
{
	unsigned kept = 0;

	(void)state;
	for (unsigned n = 0; n < 1000; n++) {
		remember(n, 1);
		assert_non_null(find(n));
	}
	for (unsigned n = 0; n < 1000; n++)
		kept += find(n) != NULL;
	assert_in_range(kept, 1, 4);
	client_cache_empty();
}

static void
a_merchant_is_named_or_the_only_one(void **state)
{
	const char *merchant;

	(void)state;
	remember(1, 0);
	assert_int_equal(client_cache_merchant(find(1), "", &merchant), ERR_MERCHANT_NEEDED);
	assert_int_equal(client_cache_merchant(find(1), "m0", &merchant), ERR_MERCHANT_DENIED);
	remember(1, 1);
	assert_int_equal(client_cache_merchant(find(1), "", &merchant), ERR_OK);
	assert_string_equal(merchant, "m0");
	remember(1, 3);
	assert_int_equal(client_cache_merchant(find(1), "", &merchant), ERR_MERCHANT_NEEDED);
	assert_int_equal(client_cache_merchant(find(1), "m2", &merchant), ERR_OK);
	assert_string_equal(merchant, "m2");
	assert_int_equal(client_cache_merchant(find(1), "m", &merchant), ERR_MERCHANT_DENIED);
	client_cache_empty();
}

static json_t *
problem_of(enum err e, const struct complaints *c, const sp_payment_view *payment)
{
	struct problem p = {.code = e,
						.request_id = "req_1",
						.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
						.complaints = c,
						.payment = payment};
	struct buf out;
	struct writer w;
	json_t *j;

	buf_init(&out, 65536);
	writer_init(&w, &out);
	problem_write(&w, &p);
	assert_int_equal(w.e, ERR_OK);
	j = json_loadb((const char *)buf_at(&out), out.len, JSON_REJECT_DUPLICATES, NULL);
	buf_clear(&out);
	assert_non_null(j);
	return j;
}

static const char *
member(json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

static void
each_error_makes_a_whole_problem(void **state)
{
	(void)state;
	for (int e = 1; e < ERR_MAX; e++) {
		json_t *j = problem_of((enum err)e, NULL, NULL);
		char type[80];

		snprintf(type, sizeof(type), "/problems/%s", err_code((enum err)e));
		assert_string_equal(member(j, "type"), type);
		assert_string_equal(member(j, "code"), err_code((enum err)e));
		assert_string_equal(member(j, "instance"), "/v1/requests/req_1");
		assert_string_equal(member(j, "trace_id"), "4bf92f3577b34da6a3ce929d0e0e4736");
		assert_int_equal(json_integer_value(json_object_get(j, "status")), err_http((enum err)e));
		assert_true(strlen(member(j, "title")) > 0 && strlen(member(j, "detail")) > 0);
		assert_true(!problem_retry_after_s((enum err)e) || err_retryable((enum err)e));
		json_decref(j);
	}
	assert_int_equal(problem_retry_after_s(ERR_IDEMPOTENCY_BUSY), 1);
	assert_int_equal(problem_retry_after_s(ERR_INVALID_STATE), 0);
}

static void
a_decline_tells_why_and_another_refusal_does_not(void **state)
{
	sp_payment_view *payment = mem_new(1, sizeof(*payment));
	struct complaints c = {0};
	json_t *j;

	(void)state;
	assert_non_null(payment);
	strcpy(payment->id, "pay_1");
	strcpy(payment->decline_code, "lost_card");
	strcpy(payment->advice, "do_not_try_again");
	payment->allowed_actions_count = 1;
	payment->allowed_actions[0] = sp_operation_kind_KIND_REFUND;
	j = problem_of(ERR_CARD_DECLINED, NULL, payment);
	assert_string_equal(member(j, "decline_code"), "lost_card");
	assert_string_equal(member(j, "advice"), "do_not_try_again");
	assert_string_equal(member(json_object_get(j, "payment"), "id"), "pay_1");
	json_decref(j);
	j = problem_of(ERR_INVALID_STATE, NULL, payment);
	assert_null(member(j, "decline_code"));
	assert_string_equal(json_string_value(json_array_get(json_object_get(j, "allowed_actions"), 0)), "refund");
	json_decref(j);
	complaints_add(&c, ERR_WRONG_TYPE, "/amount", NULL);
	complaints_add(&c, ERR_QUERY, "?limit", "limit");
	j = problem_of(ERR_WRONG_TYPE, &c, NULL);
	assert_string_equal(member(json_array_get(json_object_get(j, "errors"), 0), "pointer"), "/amount");
	assert_string_equal(member(json_array_get(json_object_get(j, "errors"), 1), "parameter"), "limit");
	assert_string_equal(member(json_array_get(json_object_get(j, "errors"), 1), "nearest"), "limit");
	json_decref(j);
	mem_free(payment);
}

static void
name_of(const char *text, struct source_name *out)
{
	struct sockaddr_storage from = {0};
	struct sockaddr_in *v4 = (void *)&from;
	struct sockaddr_in6 *v6 = (void *)&from;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		from.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		from.ss_family = AF_INET6;
	source_name(&from, out);
}

static void
connections_are_counted_by_network(void **state)
{
	struct source_name a, b, c;
	struct source *held[3];

	(void)state;
	name_of("192.0.2.1", &a);
	name_of("::ffff:192.0.2.1", &b);
	assert_memory_equal(a.key, b.key, 16);
	assert_string_equal(a.text, "192.0.2.1");
	assert_non_null(held[0] = source_enter(&a, 2));
	assert_non_null(held[1] = source_enter(&b, 2));
	assert_null(source_enter(&a, 2));
	name_of("192.0.2.2", &c);
	assert_non_null(held[2] = source_enter(&c, 2));
	source_leave(held[0]);
	assert_ptr_equal(source_enter(&a, 2), held[1]);
	source_leave(held[1]);
	source_leave(held[1]);
	source_leave(held[2]);
	/* one subscriber's addresses are one source, another's are not */
	name_of("2001:db8:1:2::1", &a);
	name_of("2001:db8:1:2:ffff::", &b);
	name_of("2001:db8:1:3::1", &c);
	assert_memory_equal(a.key, b.key, 16);
	assert_memory_not_equal(a.key, c.key, 16);
	assert_string_equal(b.text, "2001:db8:1:2:ffff::");
	name_of("127.8.8.8", &a);
	name_of("::1", &b);
	assert_true(a.loopback && b.loopback && !c.loopback);
	name_of("::2", &b);
	name_of("nonsense", &a);
	assert_true(!b.loopback && !a.loopback && !*a.text);
}

static int
set_up(void **state)
{
	(void)state;
	return (rep = mem_new(1, sizeof(*rep))) ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	mem_free(rep);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_ledger_said_is_found_until_a_change),
		cmocka_unit_test(the_cache_is_bounded_and_keeps_what_is_used),
		cmocka_unit_test(a_merchant_is_named_or_the_only_one),
		cmocka_unit_test(connections_are_counted_by_network),
		cmocka_unit_test(each_error_makes_a_whole_problem),
		cmocka_unit_test(a_decline_tells_why_and_another_refusal_does_not),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
