# daemon/tls: TLS 1.3 with client certificates, on the descriptor.
noinst_LIBRARIES += daemon/tls/libtls.a
daemon_tls_libtls_a_SOURCES = daemon/tls/tls.h daemon/tls/tls.c daemon/tls/tls_server.h daemon/tls/tls_server.c \
	daemon/tls/tls_x25519.h daemon/tls/tls_x25519.c daemon/tls/tls_pool.h daemon/tls/tls_pool.c \
	daemon/tls/tls_failure.h daemon/tls/tls_failure.c
# For every program that links LIB_TLS and wants its handshakes in half the time (tls_x25519.h).
TLS_LDFLAGS = -Wl,--wrap=mbedtls_psa_ecp_export_public_key -Wl,--wrap=mbedtls_psa_key_agreement_ecdh

if CMOCKA
check_PROGRAMS += tests/unit/tls/tls_test
TESTS += tests/unit/tls/tls_test
tests_unit_tls_tls_test_SOURCES = tests/unit/tls/tls_test.c
tests_unit_tls_tls_test_LDFLAGS = $(AM_LDFLAGS) $(TLS_LDFLAGS)
tests_unit_tls_tls_test_LDADD = $(LIB_TLS) $(LIB_TEST)
endif
