# console/tui: the ncurses console, one file per screen.
bin_PROGRAMS += console/tui/sallyport-console
console_tui_sallyport_console_SOURCES = console/tui/tui_main.c console/tui/app.c console/tui/app.h console/tui/view.c console/tui/view.h \
	console/tui/paint.c console/tui/paint.h console/tui/plain.c console/tui/plain.h \
	console/tui/screen_overview.c console/tui/screen_keys.c console/tui/screen_audit.c console/tui/screen_payments.c
console_tui_sallyport_console_CPPFLAGS = $(AM_CPPFLAGS) $(NCURSES_CFLAGS)
console_tui_sallyport_console_LDADD = $(LIB_WIRE) $(NCURSES_LIBS)
EXTRA_DIST += console/tui/screens.def
dist_man_MANS += console/tui/sallyport-console.1
