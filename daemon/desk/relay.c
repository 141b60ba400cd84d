#include "daemon/desk/relay.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/desk/desk.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

#define UID_TAG        0x78 /* field 15, wire type 0 */
#define NOTES_A_SECOND 4

/* Positions in event.def are the numbers in notes. */
enum event {
#define EVENT(ID, name, log, kind, what) EVENT_##ID,
#include "policy/event.def"
#undef EVENT
};

size_t
relay_rows(struct answer *rows, size_t max)
{
	size_t n = 0;
	for (unsigned number = 1; number < MSG_NUMBER_MAX; number++) {
		const struct msg_row *row = msg_row_of(number);
		if (!row || row->to == PROCESS_DESK || row->to == PROCESS_ANY ||
			!msg_allowed(number, PROCESS_OFFICER, PROCESS_DESK) || !msg_allowed(number, PROCESS_DESK, row->to) ||
			!(row->from & 1u << PROCESS_OFFICER))
			continue;
		assert(n < max);
		rows[n++] = (struct answer){(enum msg)number, relay_answer};
	}
	return n;
}

size_t
relay_uid(uint32_t uid, uint8_t out[RELAY_UID_BYTES])
{
	size_t n = 0;
	out[n++] = UID_TAG;
	for (; uid >= 0x80; uid >>= 7)
		out[n++] = (uint8_t)(uid | 0x80);
	out[n++] = (uint8_t)uid;
	return n;
}

void
relay_deny(uint32_t uid, enum err why, const char *object)
{
	static int64_t second;
	static uint64_t notes, unsaid;
	int64_t now = clock_mono_ms() / 1000;
	sp_vault_note_req note = sp_vault_note_req_init_zero;

	/* a stranger in a loop must not fill the log: what is not written is counted in the next note */
	if (now != second)
		second = now, notes = 0;
	if (notes >= NOTES_A_SECOND) {
		unsaid++;
		return;
	}
	notes++;
	log_warn("refused at the desk", LOG_I("uid", uid), LOG_E("error", why), LOG_S("object", object));
	note.event = EVENT_DESK_DENIED;
	note.process = PROCESS_DESK;
	note.uid_actor = note.uid = uid;
	note.code = (uint32_t)why;
	note.number = 1 + unsaid;
	snprintf(note.object, sizeof note.object, "%s", object);
	if (tell_vault_note(proc_peer(PROCESS_VAULT, 0), &note) == ERR_OK)
		unsaid = 0;
	else
		unsaid++;
}

static void
relayed(void *arg, enum err e, const uint8_t *rep, size_t rep_bytes)
{
	call_reply_raw(arg, e, rep, rep_bytes);
}

/* Making an installation is for who owns it, once. */
static enum err
check(enum msg number, uint32_t uid)
{
	if (number != MSG_vault_init && number != MSG_ledger_init)
		return ERR_OK;
	if (!proc_init_mode())
		return ERR_INITIALISED;
	return uid == 0 || uid == desk_owner() ? ERR_OK : ERR_PERMISSION;
}

void
relay_answer(struct call *call, const void *req)
{
	const struct msg_row *row = msg_row_of(call_number(call));
	uint32_t uid = peer_uid(call_peer(call));
	size_t n;
	const uint8_t *bytes = call_bytes(call, &n);
	enum err e = check(call_number(call), uid);

	(void)req; /* wire has decoded it, so the bytes are a whole message and what comes behind them is a field */
	if (e != ERR_OK) {
		relay_deny(uid, e, row->name);
		call_reply(call, e, NULL);
		return;
	}
	uint8_t *with_uid = mem_new(n + RELAY_UID_BYTES, 1);
	if (!with_uid) {
		call_reply(call, ERR_MEMORY, NULL);
		return;
	}
	if (n)
		memcpy(with_uid, bytes, n);
	n += relay_uid(uid, with_uid + n);
	e = n > row->bytes_max
			? ERR_LIMIT
			: peer_ask_raw(proc_peer(row->to, 0), call_number(call), with_uid, n, RELAY_DEADLINE_MS, relayed, call);
	if (e != ERR_OK)
		call_reply(call, e == ERR_PEER_AWAY ? ERR_NOT_READY : e, NULL);
	mem_free(with_uid);
}
