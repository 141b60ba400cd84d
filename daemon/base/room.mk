# daemon/base: what every room stands on.
noinst_LIBRARIES += daemon/base/libbase.a
daemon_base_libbase_a_SOURCES = daemon/base/err.h daemon/base/err.c daemon/base/mem.h daemon/base/mem.c daemon/base/buf.h daemon/base/buf.c \
	daemon/base/str.h daemon/base/str.c daemon/base/clock.h daemon/base/clock.c daemon/base/id.h daemon/base/id.c \
	daemon/base/money.h daemon/base/money.c daemon/base/currency.h daemon/base/currency.c daemon/base/secret.h daemon/base/secret.c \
	daemon/base/log.h daemon/base/log.c daemon/base/conf.h daemon/base/conf.c \
	daemon/base/reserve.h daemon/base/reserve.c daemon/base/jail.h daemon/base/jail.c
