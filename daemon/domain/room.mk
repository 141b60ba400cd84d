# daemon/domain: the law of payments, pure functions.
noinst_LIBRARIES += daemon/domain/libdomain.a
daemon_domain_libdomain_a_SOURCES = daemon/domain/payment.h daemon/domain/payment_view.h daemon/domain/payment_event.h \
	daemon/domain/idempotency.h daemon/domain/routing.h daemon/domain/retry.h \
	daemon/domain/retry.c daemon/domain/routing.c
