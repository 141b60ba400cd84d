# daemon/db: SQLCipher, and the log that lives in it.
noinst_LIBRARIES += daemon/db/libdb.a
daemon_db_libdb_a_SOURCES = daemon/db/db.h daemon/db/db.c daemon/db/tiles.h daemon/db/tiles.c \
	daemon/db/logbook.h daemon/db/logbook.c

if CMOCKA
db_tests = tests/unit/db/db_test tests/unit/db/logbook_test tests/unit/db/power_test
check_PROGRAMS += $(db_tests)
TESTS += $(db_tests)
tests_unit_db_db_test_SOURCES = tests/unit/db/db_test.c
tests_unit_db_db_test_LDADD = $(LIB_DB) $(LIB_TEST)
tests_unit_db_logbook_test_SOURCES = tests/unit/db/logbook_test.c
tests_unit_db_logbook_test_LDADD = $(LIB_DB) $(LIB_TEST)
tests_unit_db_power_test_SOURCES = tests/unit/db/power_test.c tests/unit/db/powerdisk.h tests/unit/db/powerdisk.c
tests_unit_db_power_test_LDADD = $(LIB_DB) $(LIB_TEST)
endif

EXTRA_PROGRAMS += tests/bench/logbook_bench
tests_bench_logbook_bench_SOURCES = tests/bench/logbook_bench.c
tests_bench_logbook_bench_LDADD = $(LIB_DB)
