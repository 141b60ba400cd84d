# daemon/audit: records, Merkle tree, checkpoints, export and its verification. Pure: no clock, no network.
noinst_LIBRARIES += daemon/audit/libaudit.a
daemon_audit_libaudit_a_SOURCES = daemon/audit/leaf.h daemon/audit/leaf.c daemon/audit/tree.h daemon/audit/tree.c \
	daemon/audit/note.h daemon/audit/note.c daemon/audit/manifest.h daemon/audit/manifest.c \
	daemon/audit/proof.h daemon/audit/proof.c daemon/audit/tile.h daemon/audit/tile.c daemon/audit/ustar.h daemon/audit/ustar.c daemon/audit/minisign.h daemon/audit/minisign.c \
	daemon/audit/export.h daemon/audit/export.c daemon/audit/verify.h daemon/audit/verify.c daemon/audit/verify_part.h daemon/audit/verify_log.c daemon/audit/verify_keys.c \
	daemon/audit/verify_report.c \
	daemon/audit/verify_file.h daemon/audit/verify_file.c

if CMOCKA
audit_tests = tests/unit/audit/leaf_test tests/unit/audit/tree_test tests/unit/audit/note_test \
	tests/unit/audit/export_test
check_PROGRAMS += $(audit_tests)
TESTS += $(audit_tests)
tests_unit_audit_leaf_test_SOURCES = tests/unit/audit/leaf_test.c
tests_unit_audit_leaf_test_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_audit_leaf_test_LDADD = $(LIB_AUDIT) $(JANSSON_LIBS) $(LIB_TEST)
tests_unit_audit_tree_test_SOURCES = tests/unit/audit/tree_test.c
tests_unit_audit_tree_test_LDADD = $(LIB_AUDIT) $(LIB_TEST)
tests_unit_audit_note_test_SOURCES = tests/unit/audit/note_test.c
tests_unit_audit_note_test_LDADD = $(LIB_AUDIT) $(LIB_TEST)
tests_unit_audit_export_test_SOURCES = tests/unit/audit/export_test.c
tests_unit_audit_export_test_LDADD = $(LIB_AUDIT) $(LIB_TEST)
endif

# Makes an export from a synthetic log with throw-away keys: what the third-party test and the benchmark check.
check_PROGRAMS += tests/unit/audit/audit_make
tests_unit_audit_audit_make_SOURCES = tests/unit/audit/audit_make.c
tests_unit_audit_audit_make_LDADD = $(LIB_AUDIT)

# Third parties' tools on an export, and on changed ones (N changes, SEED).
dist_check_SCRIPTS += tests/unit/audit/third_party.sh
TESTS += tests/unit/audit/third_party.sh

if FUZZERS
audit_fuzz = tests/fuzz/note_fuzz tests/fuzz/keyfile_fuzz tests/fuzz/export_fuzz
fuzz_programs += $(audit_fuzz)
EXTRA_PROGRAMS += $(audit_fuzz)
tests_fuzz_note_fuzz_SOURCES = tests/fuzz/note_fuzz.c
tests_fuzz_note_fuzz_LDADD = $(LIB_AUDIT)
tests_fuzz_note_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_keyfile_fuzz_SOURCES = tests/fuzz/keyfile_fuzz.c
tests_fuzz_keyfile_fuzz_LDADD = $(LIB_AUDIT)
tests_fuzz_keyfile_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_export_fuzz_SOURCES = tests/fuzz/export_fuzz.c
tests_fuzz_export_fuzz_LDADD = $(LIB_AUDIT)
tests_fuzz_export_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
