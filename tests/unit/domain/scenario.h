/*
 * scenario — a payment on the test bench: commands in one line, decided and applied at once.
 */
#ifndef TESTS_UNIT_DOMAIN_SCENARIO_H
#define TESTS_UNIT_DOMAIN_SCENARIO_H

#include "daemon/domain/payment.h"

#define SCENARIO_EVENTS_MAX 512

struct scenario {
	sp_payment_state *state;
	struct payment_event *log; /* every event so far, for replays */
	unsigned n_log, serial;
	int64_t at_ms;
	sp_event_detail *detail;
};

void scenario_open(struct scenario *s);
void scenario_close(struct scenario *s);
/* Decide and apply; the error is decide's. Fails the test when apply refuses what decide gave. */
enum err scenario_do(struct scenario *s, const struct payment_command *cmd) MUST;
enum err scenario_create(struct scenario *s, int64_t amount_minor, sp_capture_method method) MUST;
/* A new capture, void or refund; its id is in s->state's last operation. */
enum err scenario_request(struct scenario *s, enum payment_command_kind kind, int64_t amount_minor, bool final) MUST;
/* The processor says something about the operation ("" the authorization, NULL the last one). */
enum err scenario_result(struct scenario *s, const char *operation, sp_outcome said) MUST;
/* A payment in this status, made by the shortest way. */
void scenario_reach(struct scenario *s, sp_payment_status status);
const char *scenario_last_operation(const struct scenario *s);

#endif
