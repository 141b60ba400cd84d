# policy: tables and schemas; the schemas become C by nanopb at build time.
noinst_LIBRARIES += policy/libschema.a
schemas = policy/schema/object policy/schema/event policy/schema/wire
nodist_policy_libschema_a_SOURCES = policy/schema/object.pb.c policy/schema/event.pb.c policy/schema/wire.pb.c
policy_libschema_a_SOURCES =
# generated code: our warnings are not its author's
policy_libschema_a_CFLAGS = -std=c11 $(HARD_CFLAGS) -w
BUILT_SOURCES += policy/schema/object.pb.h policy/schema/event.pb.h policy/schema/wire.pb.h
CLEANFILES += policy/schema/object.pb.h policy/schema/event.pb.h policy/schema/wire.pb.h policy/schema/object.pb.c policy/schema/event.pb.c policy/schema/wire.pb.c

policy/schema/%.pb.c: $(top_srcdir)/policy/schema/%.proto $(top_srcdir)/policy/schema/%.options
	$(AM_V_GEN)$(MKDIR_P) policy/schema && $(PROTOC) -I$(top_srcdir) --plugin=protoc-gen-nanopb=$(PROTOC_NANOPB) --nanopb_opt=-I$(top_srcdir) --nanopb_out=. policy/schema/$*.proto
policy/schema/%.pb.h: policy/schema/%.pb.c
	@test -f $@ || rm -f $<; test -f $@ || $(MAKE) $<
# A fresh tree builds one target at a time too: `make pb` first.
pb: $(BUILT_SOURCES)
.PHONY: pb
EXTRA_DIST += policy/error.def policy/runbook.def policy/processes.def policy/messages.def policy/scopes.def policy/client_certificate.def policy/metric.def policy/event.def policy/config.def policy/config_rule.def policy/currency.def policy/jail_common.def policy/schema_version.def \
	policy/jail_hsm.def policy/jail_vault.def policy/jail_ledger.def policy/jail_courier.def policy/jail_herald.def policy/jail_gate.def policy/jail_desk.def policy/test_values.def \
	policy/payment_event.def policy/transition.def policy/schema/event.proto policy/schema/event.options \
	policy/schema/object.proto policy/schema/object.options policy/schema/wire.proto policy/schema/wire.options
