# daemon/tls: TLS 1.3 with client certificates, on the descriptor.
noinst_LIBRARIES += daemon/tls/libtls.a
daemon_tls_libtls_a_SOURCES = daemon/tls/tls.h daemon/tls/tls.c daemon/tls/tls_server.h daemon/tls/tls_server.c
