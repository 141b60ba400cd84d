#include "tests/unit/ledger/shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/secret.h"
#include "daemon/ledger/attempt.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/effects.h"
#include "daemon/ledger/inquire.h"
#include "daemon/ledger/ledger.h"
#include "daemon/ledger/lsk.h"
#include "daemon/ledger/officer_side.h"
#include "daemon/ledger/publish.h"
#include "daemon/ledger/recover.h"
#include "tests/unit/ledger/fake_wire.h"

static char directory[] = "/tmp/ledger-test-XXXXXX"; /* of the reserve */

static void
turn(void)
{
	batch_commit();
}

static void
tick(void)
{
	attempt_tick();
	inquire_tick();
	recover_tick();
}

int
shop_open(void **state)
{
	static const uint8_t key[32] = {1};
	struct store_options o = {.path = "",
							  .key = key,
							  .origin = "t/a/ledger",
							  .install = "t",
							  .proc = "ledger",
							  .idempotency_ttl_ms = 86400000};
	sp_ledger_init_req init = sp_ledger_init_req_init_zero;
	(void)state;
	assert_int_not_equal(sodium_init(), -1);
	assert_int_equal(secret_open(4096), ERR_OK);
	assert_int_equal(lsk_set(key, 32), ERR_OK);
	ledger.state = payment_new();
	assert_int_equal(store_open(&store_memory, &o, &ledger.store), ERR_OK);
	assert_int_equal(batch_open(), ERR_OK);
	batch_ride(publish_mark, publish_marked);
	fake_on_turn(turn, tick);
	proc_state(PAGE_SERVING, ERR_OK);
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(conf_set((struct conf *)proc_conf(), CONF_RESERVE, "64KiB"), ERR_OK);
	assert_int_equal(effects_open(), ERR_OK);
	fake_up(PROCESS_VAULT, true);
	fake_up(PROCESS_COURIER, true);
	fake_pass_ms(0);

	snprintf(init.merchant, sizeof init.merchant, "demo");
	snprintf(init.account, sizeof init.account, "simulator");
	init.has_client = true;
	snprintf(init.client.name, sizeof init.client.name, "demo");
	init.client.cert_sha256[0] = 7;
	init.client.scopes = ~UINT64_C(0) >> 48;
	init.client.merchants_count = 1;
	snprintf(init.client.merchants[0], sizeof init.client.merchants[0], "demo");
	struct call *c = fake_call(MSG_ledger_init, officer_side_init, &init);
	assert_int_equal(fake_err(c), ERR_OK);
	fake_done(c);
	/* another client, of another merchant, who may only read */
	snprintf(init.merchant, sizeof init.merchant, "other");
	snprintf(init.client.name, sizeof init.client.name, "other");
	snprintf(init.client.merchants[0], sizeof init.client.merchants[0], "other");
	init.client.cert_sha256[0] = 8;
	init.client.scopes = UINT64_C(1) << 5;
	/* a second client needs an officer, in init mode too: only its merchant is made here, the client beneath */
	c = fake_call(MSG_ledger_init, officer_side_init, &init);
	assert_int_equal(fake_err(c), ERR_INITIALISED);
	fake_done(c);
	init.has_client = false;
	c = fake_call(MSG_ledger_init, officer_side_init, &init);
	assert_int_equal(fake_err(c), ERR_OK);
	fake_done(c);
	assert_int_equal(store_begin(ledger.store), ERR_OK);
	assert_int_equal(store_client_put(ledger.store, &init.client), ERR_OK);
	assert_int_equal(store_commit(ledger.store), ERR_OK);
	return 0;
}

int
shop_close(void **state)
{
	(void)state;
	store_close(ledger.store);
	unlink("reserve");
	return rmdir(directory);
}
