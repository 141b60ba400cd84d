# daemon/desk: sources, programs and tests of this room.
noinst_LIBRARIES += daemon/desk/libdesk.a
daemon_desk_libdesk_a_SOURCES = daemon/desk/desk.h daemon/desk/members.h daemon/desk/members.c \
	daemon/desk/relay.h daemon/desk/relay.c daemon/desk/desk_status.h daemon/desk/desk_status.c
LIB_DESK = daemon/desk/libdesk.a $(LIB_WIRE)

pkglibexec_PROGRAMS += daemon/desk/desk
daemon_desk_desk_SOURCES = daemon/desk/desk_main.c
daemon_desk_desk_LDADD = $(LIB_DESK)

if CMOCKA
check_PROGRAMS += tests/unit/desk/desk_test tests/unit/desk/counter_test
TESTS += tests/unit/desk/desk_test tests/unit/desk/counter_test
tests_unit_desk_desk_test_SOURCES = tests/unit/desk/desk_test.c
tests_unit_desk_desk_test_LDADD = $(LIB_DESK) $(LIB_TEST)
tests_unit_desk_counter_test_SOURCES = tests/unit/desk/counter_test.c tests/unit/courier/stage.h tests/unit/courier/stage.c
tests_unit_desk_counter_test_LDADD = $(LIB_WIRE) $(LIB_TEST)
endif
