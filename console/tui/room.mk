# console/tui: the ncurses console, one file per screen.
noinst_LIBRARIES += console/tui/libtui.a
console_tui_libtui_a_SOURCES = console/tui/app.c console/tui/app.h console/tui/view.c console/tui/view.h console/tui/latency.c console/tui/latency.h \
	console/tui/screen_overview.c console/tui/screen_keys.c console/tui/screen_audit.c console/tui/screen_payments.c
console_tui_libtui_a_CPPFLAGS = $(AM_CPPFLAGS) $(NCURSES_CFLAGS)
bin_PROGRAMS += console/tui/sallyport-console
console_tui_sallyport_console_SOURCES = console/tui/tui_main.c console/tui/paint.c console/tui/paint.h console/tui/plain.c console/tui/plain.h
console_tui_sallyport_console_CPPFLAGS = $(AM_CPPFLAGS) $(NCURSES_CFLAGS)
console_tui_sallyport_console_LDADD = console/tui/libtui.a $(LIB_WIRE) $(NCURSES_LIBS)
EXTRA_DIST += console/tui/screens.def
dist_man_MANS += console/tui/sallyport-console.1

if CMOCKA
tui_tests = tests/unit/tui/keys_test tests/unit/tui/latency_test
check_PROGRAMS += $(tui_tests)
TESTS += $(tui_tests)
tests_unit_tui_keys_test_SOURCES = tests/unit/tui/keys_test.c
tests_unit_tui_keys_test_CPPFLAGS = $(AM_CPPFLAGS) $(NCURSES_CFLAGS) -DMAN_PAGE='"$(top_srcdir)/console/tui/sallyport-console.1"'
tests_unit_tui_keys_test_LDADD = console/tui/libtui.a $(LIB_WIRE) $(LIB_TEST)
tests_unit_tui_latency_test_SOURCES = tests/unit/tui/latency_test.c
tests_unit_tui_latency_test_CPPFLAGS = $(AM_CPPFLAGS) $(NCURSES_CFLAGS)
tests_unit_tui_latency_test_LDADD = console/tui/libtui.a $(LIB_WIRE) $(LIB_TEST)
endif
