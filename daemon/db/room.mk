# daemon/db: SQLCipher, and the log that lives in it.
noinst_LIBRARIES += daemon/db/libdb.a
daemon_db_libdb_a_SOURCES = daemon/db/db.h daemon/db/db.c

if CMOCKA
check_PROGRAMS += tests/unit/db/db_test
TESTS += tests/unit/db/db_test
tests_unit_db_db_test_SOURCES = tests/unit/db/db_test.c
tests_unit_db_db_test_LDADD = daemon/db/libdb.a $(LIB_BASE) $(SQLCIPHER_LIBS) $(LIB_TEST)
endif
