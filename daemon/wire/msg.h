/*
 * msg — the message table: policy/messages.def as numbers, rows and typed stubs.
 * Invariants: a message that has no row can't be encoded, sent or dispatched; sizes are checked on write and on read.
 */
#ifndef DAEMON_WIRE_MSG_H
#define DAEMON_WIRE_MSG_H

#include <pb.h>
#include <stdbool.h>
#include <stdint.h>

enum process {
#define PROCESS(ID, name, instances, what) PROCESS_##ID,
#include "policy/processes.def"
#undef PROCESS
	PROCESS_MAX,
	PROCESS_ANY = PROCESS_MAX
};

enum msg {
	MSG_NONE = 0,
#define MSG(number, name, from, to, cap, kind, loss) MSG_##name = (number),
#include "policy/messages.def"
#undef MSG
	MSG_NUMBER_MAX = 256
};

enum msg_kind { MSG_KIND_TELL, MSG_KIND_ASK };
enum msg_loss { MSG_LOSS_FAIL, MSG_LOSS_RESEND, MSG_LOSS_INQUIRE };

struct msg_row {
	const char *name;
	uint32_t from;   /* bit set of enum process */
	enum process to; /* PROCESS_ANY for the control socket's */
	uint32_t bytes_max;
	enum msg_kind kind;
	enum msg_loss after_peer_loss;
	const pb_msgdesc_t *request, *reply; /* reply NULL for TELL */
	uint32_t request_bytes, reply_bytes; /* sizeof the C structs */
};

/* The row, or NULL when there is no such message. Static. */
const struct msg_row *msg_row_of(unsigned number);
/* May this process send this message to that one? (FROM(OFFICER) rows: officer → desk and desk → receiver.) */
bool msg_allowed(unsigned number, enum process from, enum process to);
/* Does any row let one of the two speak to the other (the monitor makes them a socket pair)? False for control rows. */
bool msg_linked(enum process a, enum process b);
/* "vault", or "?" outside the table. */
const char *process_name(enum process p);
/* How many of it there may be at most (processes.def). */
unsigned process_instances(enum process p);

#endif
