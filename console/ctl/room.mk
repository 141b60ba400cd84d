# console/ctl: the `sallyport` command, one file per command.
bin_PROGRAMS += console/ctl/sallyport
console_ctl_sallyport_SOURCES = console/ctl/ctl_main.c console/ctl/commands.c console/ctl/commands.h console/ctl/ctl.c console/ctl/ctl.h console/ctl/help.c console/ctl/help.h console/ctl/completion.c console/ctl/completion.h console/ctl/manual.c console/ctl/manual.h console/ctl/interrupt.c console/ctl/interrupt.h \
	console/ctl/ca.c console/ctl/ca.h console/ctl/officer.c console/ctl/officer.h console/ctl/officer_ask.c console/ctl/officer_ask.h console/ctl/hidden.c console/ctl/hidden.h console/ctl/scopes.c console/ctl/scopes.h \
	console/ctl/layout.c console/ctl/layout.h console/ctl/program.c console/ctl/program.h console/ctl/show.c console/ctl/show.h console/ctl/told.c console/ctl/told.h \
	console/ctl/cmd_init.c console/ctl/making.c console/ctl/making.h console/ctl/init_live.c console/ctl/init_live.h console/ctl/init_wishes.c console/ctl/init_pin.c console/ctl/ca_check.c console/ctl/cmd_status.c console/ctl/cmd_client.c console/ctl/cmd_officer.c console/ctl/cmd_key.c console/ctl/cmd_certificate.c console/ctl/cmd_payment.c \
	console/ctl/cmd_config.c console/ctl/cmd_ledger.c console/ctl/cmd_upgrade.c console/ctl/cmd_demo.c \
	console/ctl/cmd_audit.c console/ctl/cmd_audit_export.c \
	console/ctl/doctor.c console/ctl/doctor.h console/ctl/doctor_host.c console/ctl/doctor_install.c console/ctl/doctor_tls.c \
	console/ctl/doctor_stores.c console/ctl/doctor_run.c console/ctl/doctor_bundle.c \
	console/ctl/paragraph.c console/ctl/paragraph.h console/ctl/cmd_explain.c console/ctl/cmd_jail.c console/ctl/jail_round.c console/ctl/jail_round.h console/ctl/jail_rows.c console/ctl/jail_rows.h \
	console/ctl/jail_judge.c console/ctl/jail_judge.h console/ctl/jail_seen.c console/ctl/jail_seen.h
console_ctl_sallyport_SOURCES += console/ctl/doctor_hsm.c console/ctl/config_check.h console/ctl/config_check.c console/ctl/cmd_reload.c console/ctl/cmd_request.c console/ctl/cmd_client_check.c
nodist_console_ctl_sallyport_SOURCES = console/ctl/doctor_sentences.def
console_ctl_sallyport_CPPFLAGS = $(AM_CPPFLAGS) -DSBINDIR='"$(sbindir)"' -DDOCDIR='"$(docdir)"' $(JANSSON_CFLAGS)
console_ctl_sallyport_LDADD = $(LIB_WIRE) $(LIB_AUDIT) $(JANSSON_LIBS) $(MBEDTLS_LIBS)
EXTRA_DIST += console/ctl/commands.def console/ctl/doctor_checks.def console/ctl/exit_codes.def console/ctl/states.def
# Every sentence that the processes can log, from their sources: what else stands in a log does not get into a support bundle.
BUILT_SOURCES += console/ctl/doctor_sentences.def
CLEANFILES += console/ctl/doctor_sentences.def
console/ctl/doctor_sentences.def: Makefile
	$(AM_V_GEN)$(MKDIR_P) console/ctl; (cd $(top_srcdir) && find daemon vault -name '*.c' -exec cat {} +) | tr '\n' ' ' | \
		grep -oE 'log_(info|warn|fatal)\([[:space:]]*"[^"]*"' | sed 's/^[^"]*/SENTENCE(/; s/$$/)/' | LC_ALL=C sort -u >$@.new && mv $@.new $@
# What --json writes, one schema a command; problem.json is every failure's.
schemasdir = $(pkgdatadir)/schemas
dist_schemas_DATA = console/ctl/schema/problem.json console/ctl/schema/payment.json console/ctl/schema/client.json console/ctl/schema/init.json console/ctl/schema/status.json console/ctl/schema/doctor.json console/ctl/schema/demo.json console/ctl/schema/client-add.json console/ctl/schema/client-list.json console/ctl/schema/officer-new.json console/ctl/schema/officer-show.json console/ctl/schema/key-list.json console/ctl/schema/payment-show.json console/ctl/schema/payment-list.json console/ctl/schema/audit-verify.json console/ctl/schema/audit-tail.json console/ctl/schema/audit-export.json console/ctl/schema/config-check.json console/ctl/schema/config-show.json console/ctl/schema/ledger-rebuild.json console/ctl/schema/help.json console/ctl/schema/upgrade.json console/ctl/schema/certificate-renew.json
dist_schemas_DATA += console/ctl/schema/jail.json console/ctl/schema/explain.json
dist_schemas_DATA += console/ctl/schema/config-reload.json console/ctl/schema/request-show.json console/ctl/schema/client-check.json
# From the command table and policy/config.def: the pages can't say more than the program does.
nodist_man_MANS = console/ctl/sallyport.1 console/ctl/sallyport.conf.5
CLEANFILES += $(nodist_man_MANS)
console/ctl/sallyport.1: console/ctl/sallyport$(EXEEXT)
	$(AM_V_GEN)console/ctl/sallyport help man > $@
console/ctl/sallyport.conf.5: console/ctl/sallyport$(EXEEXT)
	$(AM_V_GEN)console/ctl/sallyport help man-conf > $@
# What shells offer, from the same table. Debian keeps zsh's in a folder of its own: make install zshcompletiondir=…
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
nodist_bashcompletion_DATA = console/ctl/complete/sallyport
nodist_zshcompletion_DATA = console/ctl/complete/_sallyport
nodist_fishcompletion_DATA = console/ctl/complete/sallyport.fish
completions = $(nodist_bashcompletion_DATA) $(nodist_zshcompletion_DATA) $(nodist_fishcompletion_DATA)
CLEANFILES += $(completions)
$(completions): console/ctl/sallyport$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) console/ctl/complete; case $@ in */_*) s=zsh ;; *.fish) s=fish ;; *) s=bash ;; esac; console/ctl/sallyport help completion $$s > $@

if CMOCKA
ctl_tests = tests/unit/ctl/jail_test
check_PROGRAMS += $(ctl_tests)
TESTS += $(ctl_tests)
tests_unit_ctl_jail_test_SOURCES = tests/unit/ctl/jail_test.c console/ctl/jail_seen.c console/ctl/jail_judge.c
tests_unit_ctl_jail_test_CPPFLAGS = $(AM_CPPFLAGS) -DSBINDIR='"$(sbindir)"'
tests_unit_ctl_jail_test_LDADD = $(LIB_WIRE) $(LIB_TEST)
endif
