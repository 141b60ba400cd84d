/*
 * ask — one typed stub per row of policy/messages.def: ask_<name>(peer, req, deadline_ms, done, arg) and, for TELL
 * rows, tell_<name>(peer, req). A wrong request type does not compile.
 */
#ifndef DAEMON_WIRE_ASK_H
#define DAEMON_WIRE_ASK_H

#include "daemon/wire/peer.h"
#include "policy/schema/wire.pb.h"

#define ASK_STUB_ASK(name)                                                                                   \
	MUST static inline enum err ask_##name(struct peer *p, const sp_##name##_req *req, uint32_t deadline_ms, \
										   peer_done_fn done, void *arg)                                     \
	{                                                                                                        \
		return peer_ask(p, MSG_##name, req, deadline_ms, done, arg);                                         \
	}
#define ASK_STUB_TELL(name)                                                             \
	MUST static inline enum err tell_##name(struct peer *p, const sp_##name##_req *req) \
	{                                                                                   \
		return peer_tell(p, MSG_##name, req);                                           \
	}
#define MSG(number, name, from, to, cap, kind, loss) ASK_STUB_##kind(name)
#include "policy/messages.def"
#undef MSG

#endif
