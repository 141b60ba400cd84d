# daemon/monitor: sallyportd, the parent of all.
sbin_PROGRAMS += daemon/monitor/sallyportd
daemon_monitor_sallyportd_SOURCES = daemon/monitor/monitor_main.c daemon/monitor/site.h daemon/monitor/site.c \
	daemon/monitor/listen.h daemon/monitor/listen.c daemon/monitor/child.h daemon/monitor/child.c \
	daemon/monitor/member.h daemon/monitor/member.c daemon/monitor/gift.h daemon/monitor/gift.c \
	daemon/monitor/family.h daemon/monitor/family.c daemon/monitor/watch.h daemon/monitor/watch.c \
	daemon/monitor/halt.h daemon/monitor/halt.c daemon/monitor/reload.h daemon/monitor/reload.c \
	daemon/monitor/notify.h daemon/monitor/notify.c daemon/monitor/release.h daemon/monitor/release.c
daemon_monitor_sallyportd_CFLAGS = $(AM_CFLAGS) $(CAPNG_CFLAGS)
daemon_monitor_sallyportd_LDADD = $(LIB_WIRE) $(CAPNG_LIBS)

# Stands in for any process, so that the monitor is tested without them.
check_PROGRAMS += tests/crash/demo_child
tests_crash_demo_child_SOURCES = tests/crash/demo_child.c
tests_crash_demo_child_LDADD = $(LIB_WIRE)
dist_check_SCRIPTS += tests/crash/monitor_test.sh
TESTS += tests/crash/monitor_test.sh
dist_man_MANS += daemon/monitor/sallyportd.8
