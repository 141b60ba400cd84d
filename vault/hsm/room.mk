# vault/hsm: the broker. Everything but its main is a library, so that tests can work against a real token without wire.
noinst_LIBRARIES += vault/hsm/libhsm.a
vault_hsm_libhsm_a_SOURCES = vault/hsm/cryptoki.h vault/hsm/ckr.h vault/hsm/ckr.c vault/hsm/p11.h vault/hsm/p11.c vault/hsm/probe.h \
	vault/hsm/probe.c vault/hsm/hsmkey.h vault/hsm/hsmkey.c vault/hsm/wrap.h vault/hsm/wrap.c vault/hsm/hsmdata.h vault/hsm/hsmdata.c vault/hsm/look.h vault/hsm/look.c \
	vault/hsm/survey.h vault/hsm/survey.c
vault_hsm_libhsm_a_CFLAGS = $(AM_CFLAGS) $(P11KIT_CFLAGS)

pkglibexec_PROGRAMS += vault/hsm/hsm
vault_hsm_hsm_SOURCES = vault/hsm/hsm_main.c
vault_hsm_hsm_CFLAGS = $(AM_CFLAGS) $(P11KIT_CFLAGS)
vault_hsm_hsm_LDADD = vault/hsm/libhsm.a $(LIB_WIRE) $(P11KIT_LIBS)

if CMOCKA
# The modules that tests put between us and the token: one with every fault that an HSM can have, on demand; one that attacks.
EXTRA_DIST += tests/attack/p11_shim.c tests/attack/p11_evil.c
hsm_modules = tests/attack/p11_shim.so tests/attack/p11_evil.so
check_DATA += $(hsm_modules)
CLEANFILES += $(hsm_modules)
tests/attack/p11_%.so: $(top_srcdir)/tests/attack/p11_%.c
	@$(MKDIR_P) tests/attack
	$(AM_V_CCLD)$(CC) -std=c11 $(WARN_CFLAGS) -D_GNU_SOURCE -O1 -g -fPIC -shared -fvisibility=hidden $(P11KIT_CFLAGS) -o $@ $< -ldl

hsm_test_programs = tests/unit/hsm/p11_test tests/unit/hsm/ckr_test tests/unit/hsm/broker_test tests/unit/hsm/fault_test
check_PROGRAMS += $(hsm_test_programs)
TESTS += $(hsm_test_programs)
tests_unit_hsm_p11_test_SOURCES = tests/unit/hsm/p11_test.c tests/unit/hsm/token.h tests/unit/hsm/token.c
tests_unit_hsm_p11_test_CFLAGS = $(AM_CFLAGS) $(P11KIT_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hsm_p11_test_LDADD = vault/hsm/libhsm.a $(LIB_BASE) $(P11KIT_LIBS) $(LIB_TEST)
tests_unit_hsm_ckr_test_SOURCES = tests/unit/hsm/ckr_test.c
tests_unit_hsm_ckr_test_CFLAGS = $(AM_CFLAGS) $(P11KIT_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hsm_ckr_test_LDADD = vault/hsm/libhsm.a $(LIB_BASE) $(LIB_TEST)
# the process itself, in its jail: needs vault/hsm/hsm
tests_unit_hsm_broker_test_SOURCES = tests/unit/hsm/broker_test.c tests/unit/hsm/broker.h tests/unit/hsm/broker.c tests/unit/hsm/token.h tests/unit/hsm/token.c
tests_unit_hsm_broker_test_CFLAGS = $(AM_CFLAGS) $(P11KIT_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hsm_broker_test_LDADD = vault/hsm/libhsm.a $(LIB_KEYS) $(P11KIT_LIBS) $(LIB_TEST)
tests_unit_hsm_fault_test_SOURCES = tests/unit/hsm/fault_test.c tests/unit/hsm/token.h tests/unit/hsm/token.c
tests_unit_hsm_fault_test_CFLAGS = $(AM_CFLAGS) $(P11KIT_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hsm_fault_test_LDADD = vault/hsm/libhsm.a $(LIB_BASE) $(P11KIT_LIBS) $(LIB_TEST)
# killed at its writes, then run again
check_PROGRAMS += tests/crash/token_child
tests_crash_token_child_SOURCES = tests/crash/token_child.c
tests_crash_token_child_CFLAGS = $(AM_CFLAGS) $(P11KIT_CFLAGS)
tests_crash_token_child_LDADD = vault/hsm/libhsm.a $(LIB_BASE) $(P11KIT_LIBS)
check_PROGRAMS += tests/attack/key_residue
tests_attack_key_residue_SOURCES = tests/attack/key_residue.c
tests_attack_key_residue_CFLAGS = $(AM_CFLAGS) $(P11KIT_CFLAGS)
tests_attack_key_residue_LDADD = vault/hsm/libhsm.a $(LIB_KEYS) $(P11KIT_LIBS)
dist_check_SCRIPTS += tests/crash/token_test.sh
TESTS += tests/crash/token_test.sh
endif

# verbs a second: make tests/bench/hsm_bench && tests/bench/hsm_bench
EXTRA_PROGRAMS += tests/bench/hsm_bench
tests_bench_hsm_bench_SOURCES = tests/bench/hsm_bench.c tests/unit/hsm/broker.h tests/unit/hsm/broker.c tests/unit/hsm/token.h tests/unit/hsm/token.c
tests_bench_hsm_bench_CFLAGS = $(AM_CFLAGS) $(P11KIT_CFLAGS)
tests_bench_hsm_bench_LDADD = vault/hsm/libhsm.a $(LIB_WIRE) $(P11KIT_LIBS)
