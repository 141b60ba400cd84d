# vault: the keys' part (no database, no cards), which the process and its tests link as LIB_KEYS.
noinst_LIBRARIES += vault/libkeys.a
vault_libkeys_a_SOURCES = vault/hkdf.h vault/hkdf.c vault/xaes.h vault/xaes.c vault/keylife.h vault/keylife.c vault/boot.h vault/boot.c \
	vault/boot_journal.c vault/keyring.h vault/keyring.c
EXTRA_DIST += policy/keylife.def

if CMOCKA
keys_test_programs = tests/unit/vault/hkdf_test tests/unit/vault/xaes_test tests/unit/vault/keylife_test tests/unit/vault/keyring_test \
	tests/unit/vault/boot_test
check_PROGRAMS += $(keys_test_programs)
TESTS += $(keys_test_programs)
tests_unit_vault_hkdf_test_SOURCES = tests/unit/vault/hkdf_test.c
tests_unit_vault_hkdf_test_LDADD = $(LIB_KEYS) $(LIB_TEST)
tests_unit_vault_xaes_test_SOURCES = tests/unit/vault/xaes_test.c
tests_unit_vault_xaes_test_LDADD = $(LIB_KEYS) $(LIB_TEST)
tests_unit_vault_keylife_test_SOURCES = tests/unit/vault/keylife_test.c
tests_unit_vault_keylife_test_LDADD = $(LIB_KEYS) $(LIB_TEST)
# an hsm made by hand stands in for wire's peers
softhand = tests/unit/vault/softhand.h tests/unit/vault/softhand.c
tests_unit_vault_keyring_test_SOURCES = tests/unit/vault/keyring_test.c $(softhand)
tests_unit_vault_keyring_test_LDADD = $(LIB_KEYS) $(LIB_TEST)
tests_unit_vault_boot_test_SOURCES = tests/unit/vault/boot_test.c $(softhand)
tests_unit_vault_boot_test_LDADD = $(LIB_KEYS) $(LIB_TEST)
endif

EXTRA_DIST += tests/fuzz/seeds/boot_fuzz
if FUZZERS
fuzz_programs += tests/fuzz/boot_fuzz
EXTRA_PROGRAMS += tests/fuzz/boot_fuzz
tests_fuzz_boot_fuzz_SOURCES = tests/fuzz/boot_fuzz.c
tests_fuzz_boot_fuzz_LDADD = $(LIB_KEYS)
tests_fuzz_boot_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
