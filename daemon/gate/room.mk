# daemon/gate: mutual TLS, HTTP and JSON in front of vault and ledger.
noinst_LIBRARIES += daemon/gate/libgate.a
daemon_gate_libgate_a_SOURCES = daemon/gate/http.h daemon/gate/http.c daemon/gate/shape.h daemon/gate/shape.c \
	daemon/gate/query.h daemon/gate/query.c daemon/gate/story.h daemon/gate/story.c daemon/gate/api_requests.c daemon/gate/writer.h daemon/gate/writer.c daemon/gate/render.h daemon/gate/render.c \
	daemon/gate/problem.h daemon/gate/problem.c daemon/gate/route.h daemon/gate/route.c daemon/gate/api.h daemon/gate/api.def \
	daemon/gate/client_cache.h daemon/gate/client_cache.c daemon/gate/readiness.h daemon/gate/readiness.c \
	daemon/gate/source.h daemon/gate/source.c daemon/gate/rate.h daemon/gate/rate.c daemon/gate/request.h daemon/gate/request.c daemon/gate/conn.h daemon/gate/conn.c daemon/gate/card.h daemon/gate/card.c \
	daemon/gate/denied.h daemon/gate/denied.c daemon/gate/operation.h daemon/gate/operation.c daemon/gate/prometheus.h daemon/gate/prometheus.c \
	daemon/gate/openapi.h daemon/gate/openapi.c daemon/gate/docs_page.h daemon/gate/docs_page.c daemon/gate/api_meta.c daemon/gate/api_tokens.c daemon/gate/api_payments.c \
	daemon/gate/api_refunds.c
daemon_gate_libgate_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
LIB_GATE = daemon/gate/libgate.a $(LIB_TLS) $(LIB_WIRE) $(LLHTTP_LIBS) $(JANSSON_LIBS)

pkglibexec_PROGRAMS += daemon/gate/gate
daemon_gate_gate_SOURCES = daemon/gate/gate_main.c
daemon_gate_gate_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
daemon_gate_gate_LDFLAGS = $(AM_LDFLAGS) $(TLS_LDFLAGS)
daemon_gate_gate_LDADD = $(LIB_GATE)

# The real gate with a monitor, a ledger and a vault that are one small program: for curl and for measuring.
check_PROGRAMS += tests/harness/gate_harness
tests_harness_gate_harness_SOURCES = tests/harness/gate_harness.c
tests_harness_gate_harness_LDADD = $(LIB_WIRE)

if CMOCKA
gate_tests = tests/unit/gate/client_cache_test tests/unit/gate/http_test tests/unit/gate/shape_test tests/unit/gate/denied_test \
	tests/unit/gate/rate_test
check_PROGRAMS += $(gate_tests)
TESTS += $(gate_tests)
tests_unit_gate_rate_test_SOURCES = tests/unit/gate/rate_test.c
tests_unit_gate_rate_test_LDADD = $(LIB_GATE) $(LIB_TEST)
tests_unit_gate_denied_test_SOURCES = tests/unit/gate/denied_test.c
tests_unit_gate_denied_test_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_gate_denied_test_LDADD = $(LIB_GATE) $(LIB_TEST)
tests_unit_gate_client_cache_test_SOURCES = tests/unit/gate/client_cache_test.c
tests_unit_gate_client_cache_test_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_gate_client_cache_test_LDADD = $(LIB_GATE) $(LIB_TEST)
tests_unit_gate_http_test_SOURCES = tests/unit/gate/http_test.c
tests_unit_gate_http_test_LDADD = $(LIB_GATE) $(LIB_TEST)
tests_unit_gate_shape_test_SOURCES = tests/unit/gate/shape_test.c
tests_unit_gate_shape_test_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_gate_shape_test_LDADD = $(LIB_GATE) $(LIB_TEST)
endif

if FUZZERS
gate_fuzz = tests/fuzz/http_fuzz tests/fuzz/json_fuzz
fuzz_programs += $(gate_fuzz)
EXTRA_PROGRAMS += $(gate_fuzz)
tests_fuzz_http_fuzz_SOURCES = tests/fuzz/http_fuzz.c
tests_fuzz_http_fuzz_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_http_fuzz_LDADD = $(LIB_GATE)
tests_fuzz_http_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_json_fuzz_SOURCES = tests/fuzz/json_fuzz.c
tests_fuzz_json_fuzz_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_json_fuzz_LDADD = $(LIB_GATE)
tests_fuzz_json_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
