/*
 * leaf — one audit record: a closed struct in, one line of JSON out, always in the same key order.
 * Invariants: ≤ 4 KiB, no floats, no line feed, control and bidi characters escaped; the bytes that come out are the
 *   record, its hash is taken over exactly these.
 *   v seq ts mono install proc actor{kind,id,cert_sha256,mfa} origin{ip,session} ev obj{kind,id} merchant outcome code
 *   request reason key{id,gen} ceremony phase of
 * Members that are empty are left out, except v, seq, ts, install, proc, ev, outcome, phase. Source: PCI
 * DSS 4.0.1 10.2.2.
 */
#ifndef DAEMON_AUDIT_LEAF_H
#define DAEMON_AUDIT_LEAF_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define LEAF_BYTES_MAX 4096

enum audit_event {
#define EVENT(ID, name, log, object, what) EVENT_##ID,
#include "policy/event.def"
#undef EVENT
	EVENT_MAX
};
enum leaf_outcome { LEAF_OK, LEAF_DENY, LEAF_ERROR, LEAF_UNKNOWN };
enum leaf_phase { LEAF_SINGLE, LEAF_INTENT, LEAF_DONE };
enum leaf_actor { ACTOR_NONE, ACTOR_CLIENT, ACTOR_OFFICER, ACTOR_PROCESS, ACTOR_UID, ACTOR_PROCESSOR };

/* All text is borrowed; NULL or "" is "not there". */
struct leaf {
	uint64_t seq; /* index in its log, from 0 */
	int64_t wall_ms, mono_ms;
	const char *install, *proc;
	enum leaf_actor actor;
	const char *actor_id;
	const uint8_t *cert_sha256; /* 32 bytes or NULL */
	const char *mfa;
	const char *ip, *session;
	enum audit_event event;
	const char *object_id; /* its kind is the event's */
	const char *merchant;
	enum leaf_outcome outcome;
	enum err code; /* ERR_OK: left out */
	const char *request, *reason;
	const char *key_id;
	uint32_t key_generation;
	const char *ceremony;
	enum leaf_phase phase;
	uint64_t of;   /* LEAF_DONE: seq of the intent leaf */
	int64_t count; /* for counted refusals: how many; 0 is left out */
};

/* leaf_encode: writes the record, no NUL, no line feed. ERR_OUT_OF_RANGE: over LEAF_BYTES_MAX (out is untouched). */
enum err leaf_encode(const struct leaf *l, char out[LEAF_BYTES_MAX], size_t *bytes_out) MUST;
const char *audit_event_name(enum audit_event e);
const char *audit_event_object(enum audit_event e);

#endif
