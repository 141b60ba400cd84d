# daemon/wire: frames, peers, the skeleton of every child process, the pages of counters and health.
noinst_LIBRARIES += daemon/wire/libwire.a
daemon_wire_libwire_a_SOURCES = daemon/wire/msg.h daemon/wire/msg.c daemon/wire/page.h daemon/wire/page.c \
	daemon/wire/frame.h daemon/wire/frame.c daemon/wire/deadline.h daemon/wire/deadline.c \
	daemon/wire/hub.h daemon/wire/hub.c daemon/wire/peer.h daemon/wire/peer.c daemon/wire/ask.h daemon/wire/proc.h daemon/wire/proc.c daemon/wire/proc_listen.c \
	daemon/wire/client.h daemon/wire/client.c daemon/wire/jails.h daemon/wire/jails.c

if CMOCKA
wire_tests = tests/unit/wire/peer_test
check_PROGRAMS += $(wire_tests)
TESTS += $(wire_tests)
tests_unit_wire_peer_test_SOURCES = tests/unit/wire/peer_test.c
tests_unit_wire_peer_test_LDADD = $(LIB_WIRE) $(LIB_TEST)
endif
