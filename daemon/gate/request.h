/*
 * request — one HTTP request from its last byte to its answer: route, caller, checks, act, problem or object.
 * Invariants: every request gets exactly one answer, by request_send, request_fail or the end of its connection; a
 * client that goes away leaves the request to end quietly; checks come in one order: path, method, Accept, health,
 * client, scope, idempotency key, media type, JSON, members. No check has an effect.
 */
#ifndef DAEMON_GATE_REQUEST_H
#define DAEMON_GATE_REQUEST_H

#include "daemon/base/id.h"
#include "daemon/gate/api.h"
#include "daemon/gate/client_cache.h"
#include "daemon/gate/http.h"
#include "daemon/gate/shape.h"
#include "daemon/gate/writer.h"
#include "daemon/wire/msg.h"
#include "policy/schema/wire.pb.h"

struct conn;
struct peer;

#define REQUEST_OBJECT_BYTES 48

struct request {
	struct conn *conn; /* NULL once the client has gone */
	const struct route *route;
	struct http *http;                 /* the request as it came; gone once act has returned */
	const struct client *client;       /* NULL on open routes; gone once act has returned */
	json_t *body;                      /* NULL when there was none */
	char object[REQUEST_OBJECT_BYTES]; /* the {id} of the path */
	sp_caller caller;                  /* who asks, for the messages; request_id and traceparent too */
	struct complaints complaints;
	/* for story.h: how it ended, on which payment, and how long it waited for whom */
	enum err code;
	bool replayed;
	char payment[ID_BYTES];
	enum process waits_for; /* PROCESS_MONITOR: for nobody */
	int64_t waits_since_us;
	uint32_t vault_us, ledger_us;
	struct buf extra; /* header lines of the answer, each with CR LF */
	int64_t began_us;
	int64_t cert_expires_at_s;
	uint32_t rate_left;                   /* requests that this client may send at once, at this gate */
	bool loopback, keep_alive, head_only; /* head_only: an answer to HEAD has no body */
	/* A command that may be asked again with its key when the ledger comes back: how, and whether it was (operation.h).
	 */
	enum err (*ask)(struct request *r, uint32_t deadline_ms);
	bool asked_again;
	void *state; /* an act's own, mem_free'd (and so wiped) with the request */
};

/* Who sent it: what conn knows of the other end. */
struct request_origin {
	const uint8_t *cert_sha256; /* 32 bytes */
	const char *ip;
	bool loopback;
	int64_t cert_expires_at_s;
};

/* Takes the whole request that http holds through all checks to its act; answers now or later. */
void request_begin(struct conn *conn, struct http *http, const struct request_origin *from);
/* A request that could not even be read: an answer without route, after which the connection ends. */
void request_refuse(struct conn *conn, enum err why, const struct request_origin *from);
/* The connection has gone: no answer any more. */
void request_orphan(struct request *r);

/* ── for acts ── */

/*
 * request_read(r, target): the body into target by the route's shape, or, for a route with a query shape and no body,
 * the query. false: a problem was sent and r is gone.
 */
bool request_read(struct request *r, void *target) MUST;
/*
 * Fills in the idempotency part: key, route, hash of the body without `except` (may be NULL). The parsed body is wiped
 * then: read it before. false: as above.
 */
bool request_idem(struct request *r, const char *except, sp_idem *out) MUST;
/* The writer of this answer's body; one at a time per process. */
struct writer *request_writer(void);
/* Adds "name: value" to the answer. */
void request_header(struct request *r, const char *name, const char *value);
/* Sends what request_writer holds as JSON (none of it for 204); frees r. */
void request_send(struct request *r, int status);
/* The same for another media type. */
void request_send_as(struct request *r, int status, const char *media_type);
/* Sends a problem; frees r. payment may be NULL. */
void request_fail(struct request *r, enum err e);
void request_fail_with(struct request *r, enum err e, const sp_payment_view *payment);
/* From now until its callback r waits for this process: before each ask_. */
void request_waits(struct request *r, enum process who);
/* The answer is about this payment. */
void request_about(struct request *r, const char *payment);
/* Is there still somebody to answer? If not, r is freed and false comes back: the first line of every callback. */
bool request_alive(struct request *r) MUST;
/* e of a peer's answer in words of this process: who is away. */
enum err request_peer_error(enum err e, enum process who);

#endif
