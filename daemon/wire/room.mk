# daemon/wire: frames, peers, the skeleton of every child process, the pages of counters and health.
noinst_LIBRARIES += daemon/wire/libwire.a
daemon_wire_libwire_a_SOURCES = daemon/wire/msg.h daemon/wire/msg.c daemon/wire/page.h daemon/wire/page.c daemon/wire/page_account.h daemon/wire/page_account.c daemon/wire/page_note.h daemon/wire/page_note.c \
	daemon/wire/frame.h daemon/wire/frame.c daemon/wire/deadline.h daemon/wire/deadline.c \
	daemon/wire/hub.h daemon/wire/hub.c daemon/wire/peer.h daemon/wire/peer.c daemon/wire/ask.h daemon/wire/proc.h daemon/wire/proc.c daemon/wire/proc_listen.c \
	daemon/wire/client.h daemon/wire/client.c daemon/wire/jails.h daemon/wire/jails.c

if CMOCKA
wire_tests = tests/unit/wire/peer_test tests/unit/wire/probe_test tests/unit/wire/table_test
check_PROGRAMS += $(wire_tests)
TESTS += $(wire_tests)
tests_unit_wire_peer_test_SOURCES = tests/unit/wire/peer_test.c
tests_unit_wire_peer_test_LDADD = $(LIB_WIRE) $(LIB_TEST)
tests_unit_wire_probe_test_SOURCES = tests/unit/wire/probe_test.c
tests_unit_wire_probe_test_LDADD = $(LIB_WIRE) $(LIB_TEST)
tests_unit_wire_table_test_SOURCES = tests/unit/wire/table_test.c
tests_unit_wire_table_test_LDADD = $(LIB_WIRE) $(LIB_TEST)
endif

EXTRA_PROGRAMS += tests/bench/wire_bench
tests_bench_wire_bench_SOURCES = tests/bench/wire_bench.c
tests_bench_wire_bench_LDADD = $(LIB_WIRE)
bench-wire: tests/bench/wire_bench
	tests/bench/wire_bench
.PHONY: bench-wire

EXTRA_DIST += tests/fuzz/seeds/frame_fuzz
if FUZZERS
wire_fuzz = tests/fuzz/frame_fuzz
fuzz_programs += $(wire_fuzz)
EXTRA_PROGRAMS += $(wire_fuzz)
tests_fuzz_frame_fuzz_SOURCES = tests/fuzz/frame_fuzz.c
tests_fuzz_frame_fuzz_LDADD = $(LIB_WIRE)
tests_fuzz_frame_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif

# The protocol's tables are made from policy/.
dist_check_SCRIPTS += tests/protocol-doc
TESTS += tests/protocol-doc
