/*
 * ledger — the authorization core: payments, their attempts, idempotency, clients; the one writer of ledger.db.
 * Holds alone: the store and its page key (SQLCipher's copy), the ledger's secret LSK. It never sees a card number.
 * Answers: everything that gate asks about payments; courier's results; notes; officers' reads and `client_add`.
 * Asks: vault (keys, facts of tokens, grants, redeemed?, checkpoints, officers' signatures), courier (jobs), herald
 * (outbox). Jail: policy/jail_ledger.def. Files: ledger.db (-wal), reserve, in its own directory. Signals: none of its
 * own. Exit: 0 stop · 1 a start that can't go on, or a disk that lost a write.
 */
#include <event2/event.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/ledger/attempt.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/checkpoint.h"
#include "daemon/ledger/closing.h"
#include "daemon/ledger/effects.h"
#include "daemon/ledger/expire.h"
#include "daemon/ledger/inquire.h"
#include "daemon/ledger/leaves.h"
#include "daemon/ledger/ledger.h"
#include "daemon/ledger/lsk.h"
#include "daemon/ledger/notes.h"
#include "daemon/ledger/officer_side.h"
#include "daemon/ledger/operate.h"
#include "daemon/ledger/pay.h"
#include "daemon/ledger/publish.h"
#include "daemon/ledger/read.h"
#include "daemon/ledger/recover.h"
#include "daemon/ledger/requests.h"
#include "daemon/ledger/result.h"
#include "daemon/ledger/tokens.h"
#include "daemon/wire/ask.h"

#define TICK_MS             50
#define OPEN_DEADLINE_MS    5000
#define OPEN_SOON_MS        10 /* the vault is starting beside us: these are its first milliseconds */
#define OPEN_SOON_TRIES     200
#define OPEN_EVERY_MS       200 /* later: it is sealed */
#define STOP_GRACE_LEAST_MS 100

static struct event *ticker, *asker;
static int64_t next_second_ms, stop_by_ms;
static unsigned asked;
static bool asking, rolled_back;

/* ── opening ── */

static enum err
leaf_start(void *arg)
{
	return leaves_process(*(const enum audit_event *)arg, "ledger", "ledger", ERR_OK, 0);
}

static void
leaf_done(void *arg, enum err e)
{
	(void)arg, (void)e;
}

static const struct batch_row leaf_row = {leaf_start, NULL, leaf_done};

static enum err
take_identity(const sp_open_store_rep *r)
{
	int n = snprintf(ledger.origin, sizeof ledger.origin, "sallyport.%s/%s/ledger", r->install, r->node);
	if (n < 0 || (size_t)n >= sizeof ledger.origin)
		return ERR_OUT_OF_RANGE;
	memcpy(ledger.install, r->install, sizeof ledger.install);
	memcpy(ledger.node, r->node, sizeof ledger.node);
	ledger.livemode = r->livemode;
	return lsk_set(r->ledger_secret.bytes, r->ledger_secret.size);
}

static enum err
open_store(const sp_open_store_rep *r)
{
	const struct conf *conf = proc_conf();
	struct store_options options = {.path = "ledger.db",
									.key = r->page_key.bytes,
									.cache_bytes = (size_t)conf_int(conf, CONF_DB_CACHE),
									.wal_bytes_max = (size_t)conf_int(conf, CONF_WAL_MAX),
									.must_exist = r->signed_size > 0,
									.origin = ledger.origin,
									.install = ledger.install,
									.proc = "ledger",
									.idempotency_ttl_ms = conf_int(conf, CONF_IDEM_TTL)};
	return r->page_key.size == 32 ? store_open(&store_sqlcipher, &options, &ledger.store) : ERR_CRYPTO;
}

/* A store that was put back still opens; but the vault remembers how far it signed its log, and with which root. */
static enum err
check_signed(const sp_open_store_rep *r)
{
	uint8_t root[HASH_BYTES];
	if (r->signed_size == 0)
		return ERR_OK;
	enum err e = store_log_root(ledger.store, r->signed_size, root);
	if (e == ERR_OUT_OF_RANGE || (!e && memcmp(root, r->signed_root, HASH_BYTES) != 0))
		return ERR_ROLLBACK;
	return e;
}

/* It stays closed until a person has put the right store back and started again: a restart would change nothing. */
static void
stay_closed(const sp_open_store_rep *r)
{
	log_warn("the store is older than what was signed of it", LOG_E("cause", ERR_ROLLBACK),
			 LOG_I("signed", r->signed_size));
	store_close(ledger.store);
	ledger.store = NULL;
	lsk_clear();
	rolled_back = true;
	proc_state(PAGE_SEALED, ERR_ROLLBACK);
}

/* From here on the appliance serves. What can't be read back now must not be written over: the process ends. */
static enum err
begin_service(void)
{
	static const enum audit_event started = EVENT_L_START;
	enum err e = effects_open();
	if (e)
		return e;
	checkpoint_open();
	publish_open();
	closing_start();
	batch_ride(publish_mark, publish_marked);
	batch_run(&leaf_row, (void *)(uintptr_t)&started, 512);
	if ((e = recover_start()))
		return e;
	recover_courier(ledger_has(ledger_courier()));
	if (effects_allowed() != ERR_AUDIT_AWAY)
		proc_state(PAGE_SERVING, ERR_OK);
	log_info("the store is open", LOG_S("origin", ledger.origin));
	officer_side_opened();
	return ERR_OK;
}

static void
ask_again(void)
{
	unsigned ms = asked < OPEN_SOON_TRIES ? OPEN_SOON_MS : OPEN_EVERY_MS;
	if (event_add(asker, &(struct timeval){.tv_usec = ms * 1000}) != 0)
		proc_die(ERR_MEMORY, "a timer can't be set");
}

static void
opened(void *arg, enum err e, const void *rep)
{
	const sp_open_store_rep *r = rep;
	(void)arg;
	asking = false;
	if (ledger.stopping || ledger.store)
		return;
	if (e || !r) {
		e = e ? e : ERR_INTERNAL;
		proc_state(e == ERR_VAULT_SEALED ? PAGE_SEALED : PAGE_STARTING, e == ERR_PEER_AWAY ? ERR_VAULT_AWAY : e);
		ask_again();
		return;
	}
	if ((e = take_identity(r)) || ((e = open_store(r)) && e != ERR_ROLLBACK))
		proc_die(e, "the store can't be opened");
	if (e == ERR_ROLLBACK || (e = check_signed(r)) == ERR_ROLLBACK) {
		stay_closed(r);
		return;
	}
	if (e || (e = begin_service()))
		proc_die(e, "the store can't be opened");
	/* wire wipes its own copy of the answer after this returns; SQLCipher and the arena hold what is needed */
}

static void
ask_keys(void)
{
	static const sp_open_store_req req;
	if (asking || rolled_back || ledger.store)
		return;
	asked++;
	if (ask_open_store(ledger_vault(), &req, OPEN_DEADLINE_MS, opened, NULL) == ERR_OK)
		asking = true;
	else
		ask_again();
}

static void
ask_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	ask_keys();
}

/* ── time ── */

static enum err
probe(void)
{
	enum err e = store_begin(ledger.store);
	return e ? e : store_commit(ledger.store);
}

static void
finish(void)
{
	store_close(ledger.store);
	ledger.store = NULL;
	lsk_clear();
	proc_exit(0);
}

static void
each_second(void)
{
	if (!store_in_batch(ledger.store))
		effects_probe(probe);
	result_again();
	recover_tick();
	expire_tick();
	publish_tick(true);
	checkpoint_tick(false);
}

static void
tick(evutil_socket_t fd, short what, void *arg)
{
	int64_t now_ms = clock_mono_ms();
	(void)fd, (void)what, (void)arg;
	if (ledger.store) {
		attempt_tick();
		inquire_tick();
		closing_tick();
		publish_tick(false);
	}
	if (ledger.store && now_ms >= next_second_ms) {
		next_second_ms = now_ms + 1000;
		each_second();
	}
	if (!ledger.stopping)
		return;
	if (ledger.store && !store_in_batch(ledger.store) && !checkpoint_idle() && now_ms < stop_by_ms)
		checkpoint_tick(true);
	else if (!ledger.store || !store_in_batch(ledger.store) || now_ms >= stop_by_ms)
		finish();
}

/* ── hooks ── */

static enum err
before_jail(void)
{
	ledger.state = payment_new();
	return ledger.state ? ERR_OK : ERR_MEMORY;
}

static enum err
after_jail(void)
{
	const struct timeval often = {.tv_usec = TICK_MS * 1000};
	enum err e = batch_open();
	if (e)
		return e;
	proc_state(PAGE_STARTING, ERR_NOT_READY);
	ticker = event_new(proc_base(), -1, EV_PERSIST, tick, NULL);
	asker = evtimer_new(proc_base(), ask_due, NULL);
	if (!ticker || !asker || event_add(ticker, &often) != 0)
		return ERR_MEMORY;
	ask_keys();
	return ERR_OK;
}

static void
on_peer(struct peer *p, bool up)
{
	switch (peer_process(p)) {
	case PROCESS_VAULT:
		if (up)
			ask_keys();
		break;
	case PROCESS_COURIER:
		if (ledger.store)
			attempt_courier(up);
		break;
	case PROCESS_HERALD:
		publish_push();
		break;
	default:
		break;
	}
}

static void
on_turn(void)
{
	if (!ledger.store)
		return;
	batch_commit();
	publish_push();
}

static void
on_stop(uint32_t grace_ms)
{
	static const enum audit_event stopped = EVENT_L_STOP;
	if (ledger.store) {
		attempt_stop();
		batch_run(&leaf_row, (void *)(uintptr_t)&stopped, 512);
		batch_commit();
	}
	ledger.stopping = true;
	stop_by_ms = clock_mono_ms() + (grace_ms > 2 * STOP_GRACE_LEAST_MS ? grace_ms / 2 : STOP_GRACE_LEAST_MS);
}

static const struct answer answers[] = {
	{MSG_client_of, read_client_of},
	{MSG_payment_create, pay_create},
	{MSG_payment_get, read_payment_get},
	{MSG_payment_list, read_payment_list},
	{MSG_payment_operate, operate_answer},
	{MSG_refund_get, read_refund_get},
	{MSG_refund_list, read_refund_list},
	{MSG_payment_events, read_payment_events},
	{MSG_token_get, tokens_get},
	{MSG_token_delete, tokens_delete},
	{MSG_ledger_note, notes_answer},
	{MSG_request_get, requests_get},
	{MSG_request_notes, requests_notes},
	{MSG_request_show, requests_show},
	{MSG_result, result_answer},
	{MSG_running, recover_running},
	{MSG_ledger_init, officer_side_init},
	{MSG_client_add, officer_side_client_add},
	{MSG_client_list, officer_side_client_list},
	{MSG_payment_show, officer_side_payment_show},
	{MSG_payment_search, officer_side_payment_search},
	{MSG_ledger_audit_read, officer_side_audit_read},
	{MSG_ledger_facts, officer_side_facts},
	{MSG_ledger_rebuild, officer_side_rebuild},
	{MSG_NONE, NULL},
};

static const struct proc_spec spec = {
	.self = PROCESS_LEDGER,
	.answers = answers,
	.before_jail = before_jail,
	.after_jail = after_jail,
	.on_peer = on_peer,
	.on_turn = on_turn,
	.on_stop = on_stop,
	.arena_bytes = 4096,
};

int
main(int argc, char **argv)
{
	return proc_run(&spec, argc, argv);
}
