# daemon/wire: frames, peers, the skeleton of every child process, the pages of counters and health.
noinst_LIBRARIES += daemon/wire/libwire.a
daemon_wire_libwire_a_SOURCES = daemon/wire/msg.h daemon/wire/msg.c daemon/wire/page.h daemon/wire/page.c \
	daemon/wire/peer.h daemon/wire/ask.h daemon/wire/proc.h daemon/wire/client.h
