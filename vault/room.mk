# vault: the process that holds the cards. All but its main is a library, so that tests can drive it over a real database.
noinst_LIBRARIES += vault/libvault.a
vault_libvault_a_SOURCES = vault/vault.h vault/vault.c vault/group.h vault/group.c vault/pan.h vault/pan.c \
	vault/record.h vault/record.c vault/fingerprint.h vault/fingerprint.c vault/cardrow.h vault/cardrow.c vault/cardseal.h vault/cardseal.c vault/mint.h vault/mint.c \
	vault/cvc.h vault/cvc.c vault/grant.h vault/grant.c vault/close.h vault/close.c vault/refusals.h vault/refusals.c \
	vault/history.h vault/history.c vault/consent.h vault/consent.c vault/anchor.h vault/anchor.c vault/disk.h vault/disk.c \
	vault/signing.h vault/signing.c vault/views.h vault/views.c

pkglibexec_PROGRAMS += vault/vault
vault_vault_SOURCES = vault/vault_main.c vault/hsmlink.h vault/hsmlink.c vault/house.h vault/house.c vault/serve.h vault/serve.c vault/unseal.h vault/unseal.c vault/setup.h vault/setup.c
vault_vault_LDADD = vault/libvault.a $(LIB_KEYS) $(LIB_DB) $(LIB_WIRE)

if CMOCKA
vault_test_programs = tests/unit/vault/pan_test tests/unit/vault/record_test tests/unit/vault/mint_test \
	tests/unit/vault/grant_test tests/unit/vault/history_test tests/unit/vault/consent_test \
	tests/unit/vault/sick_disk_test tests/unit/vault/no_memory_test
check_PROGRAMS += $(vault_test_programs)
TESTS += $(vault_test_programs)
# The fake stands in for the keyring and for the sockets: wire is not linked.
fakevault = tests/unit/vault/fakevault.h tests/unit/vault/fakevault.c
LIB_FAKEVAULT = vault/libvault.a vault/libkeys.a $(LIB_DB) $(LIB_WIRE) $(MBEDCRYPTO_LIBS) $(LIB_TEST)
tests_unit_vault_pan_test_SOURCES = tests/unit/vault/pan_test.c
tests_unit_vault_pan_test_LDADD = vault/libvault.a $(LIB_BASE) $(LIB_TEST)
tests_unit_vault_record_test_SOURCES = tests/unit/vault/record_test.c
tests_unit_vault_record_test_LDADD = vault/libvault.a vault/libkeys.a $(LIB_BASE) $(MBEDCRYPTO_LIBS) $(LIB_TEST)
tests_unit_vault_mint_test_SOURCES = tests/unit/vault/mint_test.c $(fakevault)
tests_unit_vault_mint_test_LDADD = $(LIB_FAKEVAULT)
tests_unit_vault_grant_test_SOURCES = tests/unit/vault/grant_test.c $(fakevault)
tests_unit_vault_grant_test_LDADD = $(LIB_FAKEVAULT)
tests_unit_vault_history_test_SOURCES = tests/unit/vault/history_test.c $(fakevault)
tests_unit_vault_history_test_LDADD = $(LIB_FAKEVAULT)
tests_unit_vault_consent_test_SOURCES = tests/unit/vault/consent_test.c $(fakevault)
tests_unit_vault_consent_test_LDADD = $(LIB_FAKEVAULT)
tests_unit_vault_no_memory_test_SOURCES = tests/unit/vault/no_memory_test.c $(fakevault)
tests_unit_vault_no_memory_test_LDADD = $(LIB_FAKEVAULT)
tests_unit_vault_no_memory_test_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc
tests_unit_vault_sick_disk_test_SOURCES = tests/unit/vault/sick_disk_test.c $(fakevault) tests/unit/db/powerdisk.h tests/unit/db/powerdisk.c
tests_unit_vault_sick_disk_test_LDADD = $(LIB_FAKEVAULT)
endif

if FUZZERS
fuzz_programs += tests/fuzz/consent_fuzz
EXTRA_PROGRAMS += tests/fuzz/consent_fuzz
tests_fuzz_consent_fuzz_SOURCES = tests/fuzz/consent_fuzz.c
tests_fuzz_consent_fuzz_LDADD = vault/libvault.a vault/libkeys.a $(LIB_DB) $(LIB_WIRE) $(MBEDCRYPTO_LIBS)
tests_fuzz_consent_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif

EXTRA_PROGRAMS += tests/bench/vault_bench
tests_bench_vault_bench_SOURCES = tests/bench/vault_bench.c vault/pan.h vault/pan.c
tests_bench_vault_bench_LDADD = $(LIB_WIRE)
EXTRA_DIST += tests/bench/vault.sh
