/* consent: whose signature, over what, when, and once. */
#include "tests/unit/vault/fakevault.h"

#include <sodium.h>
#include <stdio.h>

#include "daemon/base/clock.h"
#include "vault/consent.h"

static struct vault *v;
static uint8_t secret[64];
static const char body[] = "client=x\ncert_sha256=00\nnot_after=2030-01-01T00:00:00.000Z\nscopes=\nmerchants=demo\n";
static const char nonce[] = "00112233445566778899aabbccddeeff";

static int
set_up(void **state)
{
	struct boot_officer o = {.name = "a.ito", .role = "security-officer"};
	(void)state;
	v = fake_open("/tmp");
	crypto_sign_keypair(o.public_key, secret);
	OK(boot_add_officer(&v->boot, &o));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fake_close();
	return 0;
}

static sp_check_officer_req
statement(const char *operation, const char *install, const char *n, int64_t at_ms, const char *lines)
{
	sp_check_officer_req r = sp_check_officer_req_init_zero;
	char at[CLOCK_TEXT_BYTES];
	clock_text(at_ms, at);
	strcpy(r.officer, "a.ito");
	strcpy(r.operation, "client.add");
	r.statement.size =
		(pb_size_t)snprintf((char *)r.statement.bytes, sizeof r.statement.bytes,
							"operation=%s\ninstall=%s\nnonce=%s\nat=%s\n%s", operation, install, n, at, lines);
	r.signature.size = 64;
	crypto_sign_detached(r.signature.bytes, NULL, r.statement.bytes, r.statement.size, secret);
	return r;
}

static enum err
check(const sp_check_officer_req *r)
{
	sp_check_officer_rep rep;
	enum err e = fake_run(&consent_check_command, r, &rep);
	if (e == ERR_OK)
		assert_string_equal(rep.role, "security-officer");
	return e;
}

static void
good_once(void **state)
{
	sp_check_officer_req r = statement("client.add", "t1", nonce, clock_wall_ms(), body);
	(void)state;
	OK(check(&r));
	assert_int_equal(check(&r), ERR_OFFICER_STALE);
	fake_restart();
	assert_int_equal(check(&r), ERR_OFFICER_STALE);
	assert_int_equal(fake_leaves("officer.signature"), 1);
	assert_int_equal(fake_leaves("officer.refused"), 2);
}

static void
refused(void **state)
{
	int64_t now = clock_wall_ms();
	(void)state;
	struct {
		sp_check_officer_req r;
		enum err e;
	} rows[] = {
		{statement("client.add", "t1", nonce, now - CONSENT_FRESH_MS - 1000, ""), ERR_OFFICER_STALE},
		{statement("client.add", "t1", nonce, now + CONSENT_FRESH_MS + 60000, ""), ERR_OFFICER_STALE},
		{statement("client.add", "t2", nonce, now, ""), ERR_OFFICER_SIGNATURE},
		{statement("client.remove", "t1", nonce, now, ""), ERR_OFFICER_SIGNATURE},
		{statement("client.add", "t1", "00", now, ""), ERR_FILE_FORM},
		{statement("client.add", "t1", nonce, now, "no equals sign\n"), ERR_FILE_FORM},
		{statement("client.add", "t1", nonce, now, "name=no end"), ERR_FILE_FORM},
		{statement("client.add", "t1", nonce, now, "name=\x1b[2J\n"), ERR_FILE_FORM},
		{statement("client.add", "t1", nonce, now, "=x\n"), ERR_FILE_FORM},
		{statement("client.add", "t1", nonce, now, "name=\xc3\n"), ERR_FILE_FORM},
		/* what is to be done stands in it, whole, in order, and nothing else */
		{statement("client.add", "t1", nonce, now, ""), ERR_FILE_FORM},
		{statement("client.add", "t1", nonce, now, "client=x\ncert_sha256=00\nscopes=\nmerchants=demo\n"),
		 ERR_FILE_FORM},
		{statement("client.add", "t1", nonce, now, "client=x\ncert_sha256=00\nnot_after=none\nscopes=\n"),
		 ERR_FILE_FORM},
		{statement("client.add", "t1", nonce, now,
				   "client=x\ncert_sha256=00\nnot_after=none\nscopes=\nmerchants=a\nmerchants=b\n"),
		 ERR_FILE_FORM},
		{statement("client.add", "t1", nonce, now,
				   "client=x\ncert_sha256=00\nnot_after_x=none\nscopes=\nmerchants=a\n"),
		 ERR_FILE_FORM},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(check(&rows[i].r), rows[i].e);
	sp_check_officer_req r = statement("client.add", "t1", nonce, now, "");
	strcpy(r.officer, "m.okafor");
	assert_int_equal(check(&r), ERR_OFFICER_UNKNOWN);
	for (size_t bit = 0; bit < 64 * 8; bit += 7) {
		r = statement("client.add", "t1", nonce, now, "");
		r.signature.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(check(&r), ERR_OFFICER_SIGNATURE);
	}
	r = statement("client.add", "t1", nonce, now, body);
	r.statement.bytes[r.statement.size - 2] = 't';
	assert_int_equal(check(&r), ERR_OFFICER_SIGNATURE);
	r = statement("client.add", "t1", nonce, now, body);
	OK(check(&r)); /* none of them used the nonce up */
}

/* A custodian's signature is good, and still not the one that lets clients in. */
static void
another_office(void **state)
{
	sp_check_officer_req r = statement("client.add", "t1", nonce, clock_wall_ms(), body);
	(void)state;
	strcpy(v->boot.officers[0].role, "custodian");
	assert_int_equal(check(&r), ERR_PERMISSION);
	assert_int_equal(fake_leaves("officer.refused"), 1);
	strcpy(v->boot.officers[0].role, "security-officer");
	OK(check(&r));
	r = statement("key.rotate", "t1", "ffeeddccbbaa99887766554433221100", clock_wall_ms(), "");
	strcpy(r.operation, "key.rotate");
	assert_int_equal(check(&r), ERR_PERMISSION);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_office, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("consent", tests, NULL, NULL);
}
