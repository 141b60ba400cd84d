#include "daemon/ledger/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/str.h"
#include "daemon/ledger/ledger.h"
#include "daemon/wire/ask.h"

#define SIGN_DEADLINE_MS 10000

static struct checkpoint asked; /* what is being signed */
static uint64_t signed_size;    /* what the vault signed last, as far as we know */
static bool asking;
static int64_t last_ms; /* monotonic, of the last question */

/* What keeps checkpoints from being signed is said once, until it is another thing or over: the HSM may be away for
 * days. */
static enum err trouble;

static void
complain(enum err e)
{
	if (e == trouble)
		return;
	if (e)
		log_warn("checkpoints are not signed", LOG_E("cause", e));
	else
		log_info("checkpoints are signed again", LOG_I("size", signed_size));
	trouble = e;
}

void
checkpoint_open(void)
{
	char note[NOTE_BYTES_MAX];
	size_t bytes;
	if (store_log_note_get(ledger.store, note, &bytes, &signed_size) != ERR_OK)
		signed_size = 0;
}

static void
keep(const sp_sign_checkpoint_rep *r)
{
	char note[NOTE_BYTES_MAX];
	size_t bytes;
	enum err e = r->signature.size == 64 ? note_text(&asked, note, &bytes) : ERR_CRYPTO;
	if (!e)
		e = note_add_signature(note, &bytes, r->key_name, r->key_hash, r->signature.bytes);
	if (!e)
		e = store_log_note_set(ledger.store, note, bytes, asked.size);
	if (e) {
		complain(e);
		return;
	}
	signed_size = asked.size;
	page_set(proc_page(), METRIC_LEDGER_CHECKPOINT_AT, (uint64_t)r->at_ms);
	complain(ERR_OK);
}

static void sign(void);

static void
was_signed(void *arg, enum err e, const void *rep)
{
	const sp_sign_checkpoint_rep *r = rep;
	(void)arg;
	asking = false;
	if (!ledger.store)
		return;
	if (!e && r) {
		keep(r);
	} else if (e == ERR_VERSION_CONFLICT && r && r->signed_size != signed_size) {
		/* the answer to the last one was lost: prove from where the vault stands */
		signed_size = r->signed_size;
		sign();
	} else {
		complain(e ? e : ERR_PROTOCOL);
	}
}

/* The proof speaks about the committed tree; the leaves of an open batch are not in it. */
static void
sign(void)
{
	static sp_sign_checkpoint_req req;
	uint8_t proof[PROOF_MAX][HASH_BYTES];
	size_t n = 0;
	store_log_position(ledger.store, &asked);
	if (signed_size > asked.size) {
		complain(ERR_ROLLBACK); /* the vault signed a longer log than there is */
		return;
	}
	enum err e = signed_size ? store_log_consistency(ledger.store, signed_size, asked.size, proof, &n) : ERR_OK;
	req = (sp_sign_checkpoint_req)sp_sign_checkpoint_req_init_zero;
	req.has_position = true;
	if (!e)
		e = str_set(req.position.origin, sizeof req.position.origin, asked.origin);
	req.position.size = asked.size;
	memcpy(req.position.root, asked.root, HASH_BYTES);
	req.old_size = signed_size;
	req.proof_count = (pb_size_t)n;
	for (size_t i = 0; i < n; i++) {
		req.proof[i].size = HASH_BYTES;
		memcpy(req.proof[i].bytes, proof[i], HASH_BYTES);
	}
	last_ms = clock_mono_ms();
	if (!e)
		e = ask_sign_checkpoint(ledger_vault(), &req, SIGN_DEADLINE_MS, was_signed, NULL);
	if (e)
		complain(e);
	else
		asking = true;
}

static bool
grown(void)
{
	struct checkpoint now;
	store_log_position(ledger.store, &now);
	page_set(proc_page(), METRIC_LEDGER_LEAVES, now.size);
	return now.size != signed_size;
}

void
checkpoint_tick(bool now)
{
	if (asking || !grown())
		return;
	if (now || clock_mono_ms() - last_ms >= conf_int(proc_conf(), CONF_CHECKPOINT_EVERY))
		sign();
}

bool
checkpoint_idle(void)
{
	return !asking && !grown();
}
