# daemon/base: what every room stands on.
noinst_LIBRARIES += daemon/base/libbase.a
daemon_base_libbase_a_SOURCES = daemon/base/err.h daemon/base/err.c daemon/base/mem.h daemon/base/mem.c daemon/base/buf.h daemon/base/buf.c \
	daemon/base/str.h daemon/base/str.c daemon/base/clock.h daemon/base/clock.c daemon/base/id.h daemon/base/id.c \
	daemon/base/money.h daemon/base/money.c daemon/base/currency.h daemon/base/currency.c daemon/base/secret.h daemon/base/secret.c \
	daemon/base/log.h daemon/base/log.c daemon/base/mark.h daemon/base/mark.c daemon/base/conf.h daemon/base/conf.c daemon/base/conf_load.c daemon/base/conf_rule.h daemon/base/conf_rule.c \
	daemon/base/reserve.h daemon/base/reserve.c daemon/base/jail.h daemon/base/jail.c

if CMOCKA
base_tests = tests/unit/base/conf_test tests/unit/base/value_test tests/unit/base/guard_test tests/unit/base/reserve_test tests/unit/base/mark_test
check_PROGRAMS += $(base_tests)
TESTS += $(base_tests)
tests_unit_base_conf_test_SOURCES = tests/unit/base/conf_test.c
tests_unit_base_conf_test_LDADD = $(LIB_BASE) $(LIB_TEST)
tests_unit_base_value_test_SOURCES = tests/unit/base/value_test.c
tests_unit_base_value_test_LDADD = $(LIB_BASE) $(LIB_TEST)
tests_unit_base_guard_test_SOURCES = tests/unit/base/guard_test.c
tests_unit_base_guard_test_LDADD = $(LIB_BASE) $(LIB_TEST)
tests_unit_base_reserve_test_SOURCES = tests/unit/base/reserve_test.c
tests_unit_base_reserve_test_LDADD = $(LIB_BASE) $(LIB_TEST)
tests_unit_base_mark_test_SOURCES = tests/unit/base/mark_test.c
tests_unit_base_mark_test_LDADD = $(LIB_BASE) $(LIB_TEST)
endif

EXTRA_DIST += tests/fuzz/seeds/config_fuzz
if FUZZERS
base_fuzz = tests/fuzz/config_fuzz
fuzz_programs += $(base_fuzz)
EXTRA_PROGRAMS += $(base_fuzz)
tests_fuzz_config_fuzz_SOURCES = tests/fuzz/config_fuzz.c
tests_fuzz_config_fuzz_LDADD = $(LIB_BASE)
tests_fuzz_config_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
