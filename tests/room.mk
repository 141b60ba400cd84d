# tests: what belongs to no single room. Units stand beside their room's fragment; scenes and screens run by tests/run.
# whole folders, but those that the build writes to: what is added to them is in the archive of the sources without another row
EXTRA_DIST += LICENSE tests/run tests/fuzz_one tests/scene tests/screen tests/fuzz/seeds docs packaging policy/brand.def \
	tests/attack/raw_http.py tests/attack/residue.py tests/attack/audit_tamper.py tests/attack/audit_verify.go tests/crash/traffic.py \
	tests/crash/many.py tests/crash/every_call.py
fuzz: $(BUILT_SOURCES) $(fuzz_programs)
list-fuzz:
	@printf '%s\n' $(fuzz_programs)
.PHONY: fuzz list-fuzz

# The rooms check with its planted faults.
dist_check_SCRIPTS += tests/rooms
TESTS += tests/rooms
# Figures, not tests: a table beside the machine's own ceilings, and beside the peers of the directory PEERS. BENCH: some rows, options.
bench: all tests/bench/store_bench tests/bench/ledger_fill tests/unit/audit/audit_make
	$(top_srcdir)/tests/bench/run.py $(abs_builddir) $(BENCH) $(if $(PEERS),--peers $(PEERS))
.PHONY: bench
# The long run of tests/screen/03: ten thousand resizes, about an hour.
check-resizes: all
	. $(abs_builddir)/env.sh && RESIZES=10000 PROGRESS=1 $(top_srcdir)/tests/screen/03-no-resize-leaves-a-wrong-cell.sh
.PHONY: check-resizes
EXTRA_DIST += tests/bench/run.py tests/bench/rig.py tests/bench/rows.py tests/bench/report.py tests/bench/plot.py \
	tests/bench/mtlsload.c tests/bench/sqlbench.c
