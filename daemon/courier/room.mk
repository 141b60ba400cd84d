# daemon/courier: sources, programs and tests of this room.
noinst_LIBRARIES += daemon/courier/libcourier.a
daemon_courier_libcourier_a_SOURCES = daemon/courier/gw.h daemon/courier/gw.c daemon/courier/gw_simulator.c \
	daemon/courier/script.h daemon/courier/script.c daemon/courier/simbook.h daemon/courier/simbook.c \
	daemon/courier/simline.h daemon/courier/simline.c \
	daemon/courier/jobs.h daemon/courier/jobs.c daemon/courier/outage.h daemon/courier/outage.c \
	daemon/courier/breaker.h daemon/courier/breaker.c
LIB_COURIER = daemon/courier/libcourier.a $(LIB_WIRE)
EXTRA_DIST += daemon/courier/gw.def

pkglibexec_PROGRAMS += daemon/courier/courier
daemon_courier_courier_SOURCES = daemon/courier/courier_main.c
daemon_courier_courier_LDADD = $(LIB_COURIER)

if CMOCKA
courier_tests = tests/unit/courier/breaker_test tests/unit/courier/outage_test tests/unit/courier/simulator_test tests/unit/courier/jobs_test tests/unit/courier/process_test
check_PROGRAMS += $(courier_tests)
TESTS += $(courier_tests)
tests_unit_courier_simulator_test_SOURCES = tests/unit/courier/simulator_test.c
tests_unit_courier_simulator_test_LDADD = $(LIB_COURIER) $(LIB_TEST)
tests_unit_courier_breaker_test_SOURCES = tests/unit/courier/breaker_test.c
tests_unit_courier_breaker_test_LDADD = $(LIB_COURIER) $(LIB_TEST)
tests_unit_courier_outage_test_SOURCES = tests/unit/courier/outage_test.c
tests_unit_courier_outage_test_LDADD = $(LIB_COURIER) $(LIB_TEST)
tests_unit_courier_jobs_test_SOURCES = tests/unit/courier/jobs_test.c
tests_unit_courier_jobs_test_LDADD = $(LIB_COURIER) $(LIB_TEST)
tests_unit_courier_process_test_SOURCES = tests/unit/courier/process_test.c tests/unit/courier/stage.h tests/unit/courier/stage.c
tests_unit_courier_process_test_LDADD = $(LIB_WIRE) $(LIB_TEST)
endif

if FUZZERS
fuzz_programs += tests/fuzz/simbook_fuzz
EXTRA_PROGRAMS += tests/fuzz/simbook_fuzz
tests_fuzz_simbook_fuzz_SOURCES = tests/fuzz/simbook_fuzz.c
tests_fuzz_simbook_fuzz_LDADD = $(LIB_COURIER)
tests_fuzz_simbook_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
