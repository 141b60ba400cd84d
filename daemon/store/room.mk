# daemon/store: the event-store port, its two kinds, and what they share.
noinst_LIBRARIES += daemon/store/libstore.a
daemon_store_libstore_a_SOURCES = daemon/store/store.h daemon/store/store_ops.h daemon/store/store_impl.h daemon/store/store.c \
	daemon/store/store_payments.c daemon/store/store_lists.c daemon/store/store_outbox.c daemon/store/store_idempotency.c daemon/store/store_expiry.c daemon/store/store_small.c daemon/store/store_requests.c \
	daemon/store/store_rebuild.c daemon/store/event_codec.h daemon/store/event_codec.c daemon/store/store_memory.c \
	daemon/store/row_cache.h daemon/store/row_cache.c \
	daemon/store/key_filter.h daemon/store/key_filter.c daemon/store/key_index.h daemon/store/key_index.c daemon/store/sqlcipher_rows.h daemon/store/sqlcipher_rows.c daemon/store/store_sqlcipher.c daemon/store/store_schema.h daemon/store/store_schema.c

if CMOCKA
store_tests = tests/unit/store/store_contract_test tests/unit/store/store_crash_test \
	tests/unit/store/key_index_test tests/unit/store/store_fault_test
check_PROGRAMS += $(store_tests)
TESTS += $(store_tests)
tests_unit_store_store_contract_test_SOURCES = tests/unit/store/store_contract_test.c
tests_unit_store_store_contract_test_LDADD = $(LIB_STORE) $(LIB_SCHEMA) $(LIB_TEST)
tests_unit_store_key_index_test_SOURCES = tests/unit/store/key_index_test.c
tests_unit_store_key_index_test_LDADD = $(LIB_STORE) $(LIB_SCHEMA) $(LIB_TEST)
tests_unit_store_store_crash_test_SOURCES = tests/unit/store/store_crash_test.c tests/unit/store/store_work.h tests/unit/store/store_work.c
tests_unit_store_store_crash_test_LDADD = $(LIB_STORE) $(LIB_SCHEMA) $(LIB_TEST)
tests_unit_store_store_fault_test_SOURCES = tests/unit/store/store_fault_test.c tests/unit/store/store_work.h tests/unit/store/store_work.c
tests_unit_store_store_fault_test_LDADD = $(LIB_STORE) $(LIB_SCHEMA) $(LIB_TEST)
tests_unit_store_store_fault_test_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pwrite64,--wrap=pread64,--wrap=fdatasync,--wrap=malloc,--wrap=calloc
endif

EXTRA_PROGRAMS += tests/bench/store_bench
tests_bench_store_bench_SOURCES = tests/bench/store_bench.c tests/bench/fill.h tests/bench/fill.c
tests_bench_store_bench_LDADD = $(LIB_STORE) $(LIB_SCHEMA)

if FUZZERS
fuzz_programs += tests/fuzz/event_fuzz
EXTRA_PROGRAMS += tests/fuzz/event_fuzz
tests_fuzz_event_fuzz_SOURCES = tests/fuzz/event_fuzz.c
tests_fuzz_event_fuzz_LDADD = $(LIB_STORE) $(LIB_SCHEMA)
tests_fuzz_event_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
