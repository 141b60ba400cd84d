# daemon/herald: sources, programs and tests of this room.
noinst_LIBRARIES += daemon/herald/libherald.a
daemon_herald_libherald_a_SOURCES = daemon/herald/bus.h daemon/herald/bus.c daemon/herald/bus_file.c \
	daemon/herald/bus_memory.h daemon/herald/bus_memory.c daemon/herald/cloudevent.h daemon/herald/cloudevent.c \
	daemon/herald/plain_object.h daemon/herald/plain_object.c \
	daemon/herald/outbox.h daemon/herald/outbox.c
LIB_HERALD = daemon/herald/libherald.a $(LIB_WIRE) $(JANSSON_LIBS)
EXTRA_DIST += daemon/herald/bus.def

pkglibexec_PROGRAMS += daemon/herald/herald
daemon_herald_herald_SOURCES = daemon/herald/herald_main.c
daemon_herald_herald_LDADD = $(LIB_HERALD)

if CMOCKA
check_PROGRAMS += tests/unit/herald/herald_test tests/unit/herald/publish_test
TESTS += tests/unit/herald/herald_test tests/unit/herald/publish_test
tests_unit_herald_herald_test_SOURCES = tests/unit/herald/herald_test.c
tests_unit_herald_herald_test_LDADD = $(LIB_HERALD) $(LIB_TEST)
tests_unit_herald_publish_test_SOURCES = tests/unit/herald/publish_test.c tests/unit/courier/stage.h tests/unit/courier/stage.c
tests_unit_herald_publish_test_LDADD = $(LIB_HERALD) $(LIB_TEST)
endif

if FUZZERS
fuzz_programs += tests/fuzz/cloudevent_fuzz
EXTRA_PROGRAMS += tests/fuzz/cloudevent_fuzz
tests_fuzz_cloudevent_fuzz_SOURCES = tests/fuzz/cloudevent_fuzz.c
tests_fuzz_cloudevent_fuzz_LDADD = $(LIB_HERALD)
tests_fuzz_cloudevent_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
