# vault: the keys' part (no database, no cards), which the process and its tests link as LIB_KEYS.
noinst_LIBRARIES += vault/libkeys.a
vault_libkeys_a_SOURCES = vault/hkdf.h vault/hkdf.c vault/xaes.h vault/xaes.c vault/keylife.h vault/keylife.c vault/boot.h vault/boot.c \
	vault/boot_journal.c vault/keyring.h vault/keyring.c
EXTRA_DIST += policy/keylife.def
