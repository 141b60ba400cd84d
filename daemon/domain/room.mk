# daemon/domain: the law of payments, pure functions.
noinst_LIBRARIES += daemon/domain/libdomain.a
daemon_domain_libdomain_a_SOURCES = daemon/domain/payment.h daemon/domain/payment.c daemon/domain/payment_state.c \
	daemon/domain/payment_names.c daemon/domain/payment_view.h daemon/domain/payment_view.c \
	daemon/domain/payment_event.h daemon/domain/payment_event.c daemon/domain/idempotency.h daemon/domain/idempotency.c \
	daemon/domain/routing.h daemon/domain/routing.c daemon/domain/retry.h daemon/domain/retry.c
