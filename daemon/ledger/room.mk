# daemon/ledger: sources, programs and tests of this room.
noinst_LIBRARIES += daemon/ledger/libledger.a
daemon_ledger_libledger_a_SOURCES = daemon/ledger/ledger.h daemon/ledger/ledger.c daemon/ledger/batch.h daemon/ledger/batch.c \
	daemon/ledger/effects.h daemon/ledger/effects.c daemon/ledger/lsk.h daemon/ledger/lsk.c \
	daemon/ledger/caller.h daemon/ledger/caller.c daemon/ledger/facts.h daemon/ledger/facts.c \
	daemon/ledger/leaves.h daemon/ledger/leaves.c daemon/ledger/requests.h daemon/ledger/requests.c daemon/ledger/flight.h daemon/ledger/flight.c \
	daemon/ledger/command.h daemon/ledger/command.c daemon/ledger/pay.h daemon/ledger/pay.c \
	daemon/ledger/operate.h daemon/ledger/operate.c daemon/ledger/attempt.h daemon/ledger/attempt.c \
	daemon/ledger/result.h daemon/ledger/result.c daemon/ledger/recover.h daemon/ledger/recover.c \
	daemon/ledger/inquire.h daemon/ledger/inquire.c daemon/ledger/expire.h daemon/ledger/expire.c \
	daemon/ledger/publish.h daemon/ledger/publish.c daemon/ledger/checkpoint.h daemon/ledger/checkpoint.c \
	daemon/ledger/read.h daemon/ledger/read.c daemon/ledger/tokens.h daemon/ledger/tokens.c \
	daemon/ledger/closing.h daemon/ledger/closing.c daemon/ledger/notes.h daemon/ledger/notes.c daemon/ledger/officer_side.h daemon/ledger/officer_side.c \
	daemon/ledger/enrol.c
LIB_LEDGER = daemon/ledger/libledger.a $(LIB_STORE) $(LIB_WIRE) $(LIB_BASE)

pkglibexec_PROGRAMS += daemon/ledger/ledger
daemon_ledger_ledger_SOURCES = daemon/ledger/ledger_main.c
daemon_ledger_ledger_LDADD = $(LIB_LEDGER)

if CMOCKA
ledger_tests = tests/unit/ledger/flight_test tests/unit/ledger/facts_test tests/unit/ledger/road_test \
	tests/unit/ledger/side_test tests/unit/ledger/lsk_test
check_PROGRAMS += $(ledger_tests)
TESTS += $(ledger_tests)
tests_unit_ledger_flight_test_SOURCES = tests/unit/ledger/flight_test.c
tests_unit_ledger_flight_test_LDADD = $(LIB_LEDGER) $(LIB_TEST)
tests_unit_ledger_facts_test_SOURCES = tests/unit/ledger/facts_test.c
tests_unit_ledger_facts_test_LDADD = $(LIB_LEDGER) $(LIB_TEST)
ledger_shop = tests/unit/ledger/fake_wire.h tests/unit/ledger/fake_wire.c tests/unit/ledger/shop.h tests/unit/ledger/shop.c
tests_unit_ledger_road_test_SOURCES = tests/unit/ledger/road_test.c $(ledger_shop)
tests_unit_ledger_road_test_LDADD = $(LIB_LEDGER) $(LIB_TEST)
tests_unit_ledger_road_test_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_mono_ms -Wl,--wrap=clock_wall_ms -Wl,--wrap=store_attempt_finish
tests_unit_ledger_lsk_test_SOURCES = tests/unit/ledger/lsk_test.c
tests_unit_ledger_lsk_test_LDADD = $(LIB_LEDGER) $(LIB_TEST)
tests_unit_ledger_side_test_SOURCES = tests/unit/ledger/side_test.c $(ledger_shop)
tests_unit_ledger_side_test_LDADD = $(LIB_LEDGER) $(LIB_TEST)
tests_unit_ledger_side_test_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_mono_ms -Wl,--wrap=clock_wall_ms -Wl,--wrap=store_commit
endif

EXTRA_PROGRAMS += tests/bench/ledger_fill
tests_bench_ledger_fill_SOURCES = tests/bench/ledger_fill.c tests/bench/fill.h tests/bench/fill.c
tests_bench_ledger_fill_LDADD = $(LIB_STORE) $(LIB_WIRE) $(LIB_BASE)
