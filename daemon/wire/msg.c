#include "daemon/wire/msg.h"

#include "policy/schema/wire.pb.h"

#define FROM(ID)         (UINT32_C(1) << PROCESS_##ID)
#define FROM_ANY         ((UINT32_C(1) << PROCESS_MAX) - 1)
#define REPLY_ASK(name)  &sp_##name##_rep_msg
#define REPLY_TELL(name) NULL
#define BYTES_ASK(name)  sizeof(sp_##name##_rep)
#define BYTES_TELL(name) 0

static const struct msg_row rows[MSG_NUMBER_MAX] = {
#define MSG(number, title, senders, receiver, cap, row_kind, loss) \
	[number] = {.name = #title,                                    \
				.from = senders,                                   \
				.to = PROCESS_##receiver,                          \
				.bytes_max = cap,                                  \
				.kind = MSG_KIND_##row_kind,                       \
				.after_peer_loss = MSG_LOSS_##loss,                \
				.request = &sp_##title##_req_msg,                  \
				.reply = REPLY_##row_kind(title),                  \
				.request_bytes = sizeof(sp_##title##_req),         \
				.reply_bytes = BYTES_##row_kind(title)},
#include "policy/messages.def"
#undef MSG
};

const struct msg_row *
msg_row_of(unsigned number)
{
	return number < MSG_NUMBER_MAX && rows[number].name ? &rows[number] : NULL;
}

static bool
speaks(const struct msg_row *row, enum process p)
{
	return (unsigned)p < PROCESS_MAX && (row->from >> p & 1);
}

/* Rows of officers' programs: the desk carries them on, and nobody else takes them straight from an officer. */
static bool
row_allows(const struct msg_row *row, enum process from, enum process to)
{
	if (row->to == PROCESS_ANY)
		return speaks(row, from);
	if (row->from == FROM(OFFICER))
		return (from == PROCESS_OFFICER && to == PROCESS_DESK) ||
			   (from == PROCESS_DESK && to == row->to && to != PROCESS_DESK);
	return speaks(row, from) && row->to == to;
}

bool
msg_allowed(unsigned number, enum process from, enum process to)
{
	const struct msg_row *row = msg_row_of(number);
	return row && row_allows(row, from, to);
}

bool
msg_linked(enum process a, enum process b)
{
	for (unsigned i = 0; i < MSG_NUMBER_MAX; i++)
		if (rows[i].name && rows[i].to != PROCESS_ANY && (row_allows(&rows[i], a, b) || row_allows(&rows[i], b, a)))
			return true;
	return false;
}

const char *
process_name(enum process p)
{
	static const char *const names[PROCESS_MAX] = {
#define PROCESS(ID, name, instances, what) #name,
#include "policy/processes.def"
#undef PROCESS
	};
	return (unsigned)p < PROCESS_MAX ? names[p] : "?";
}

unsigned
process_instances(enum process p)
{
	static const unsigned most[PROCESS_MAX] = {
#define PROCESS(ID, name, instances, what) instances,
#include "policy/processes.def"
#undef PROCESS
	};
	return (unsigned)p < PROCESS_MAX ? most[p] : 0;
}
