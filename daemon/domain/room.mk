# daemon/domain: the law of payments, pure functions.
noinst_LIBRARIES += daemon/domain/libdomain.a
daemon_domain_libdomain_a_SOURCES = daemon/domain/payment.h daemon/domain/payment.c daemon/domain/payment_state.c \
	daemon/domain/payment_names.c daemon/domain/payment_view.h daemon/domain/payment_view.c \
	daemon/domain/payment_event.h daemon/domain/payment_event.c daemon/domain/idempotency.h daemon/domain/idempotency.c \
	daemon/domain/routing.h daemon/domain/routing.c daemon/domain/retry.h daemon/domain/retry.c
if CMOCKA
domain_tests = tests/unit/domain/payment_test tests/unit/domain/payment_property_test tests/unit/domain/domain_rules_test
check_PROGRAMS += $(domain_tests)
TESTS += $(domain_tests)
tests_unit_domain_payment_test_SOURCES = tests/unit/domain/payment_test.c tests/unit/domain/scenario.h tests/unit/domain/scenario.c
tests_unit_domain_payment_test_LDADD = $(LIB_DOMAIN) $(LIB_TEST)
tests_unit_domain_payment_property_test_SOURCES = tests/unit/domain/payment_property_test.c tests/unit/domain/scenario.h tests/unit/domain/scenario.c
tests_unit_domain_payment_property_test_LDADD = $(LIB_DOMAIN) $(LIB_TEST)
tests_unit_domain_domain_rules_test_SOURCES = tests/unit/domain/domain_rules_test.c
tests_unit_domain_domain_rules_test_LDADD = $(LIB_DOMAIN) $(LIB_TEST)
endif

# The catalog of events is made from its table.
dist_check_SCRIPTS += tests/events-doc
TESTS += tests/events-doc
EXTRA_DIST += docs/events.md docs/ledger-store.md tests/fuzz/seeds/event_fuzz
