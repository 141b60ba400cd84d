# vault: the process that holds the cards. All but its main is a library, so that tests can drive it over a real database.
noinst_LIBRARIES += vault/libvault.a
vault_libvault_a_SOURCES = vault/vault.h vault/vault.c vault/group.h vault/group.c vault/pan.h vault/pan.c \
	vault/record.h vault/record.c vault/fingerprint.h vault/fingerprint.c vault/cardrow.h vault/cardrow.c vault/mint.h vault/mint.c \
	vault/cvc.h vault/cvc.c vault/grant.h vault/grant.c vault/close.h vault/close.c vault/refusals.h vault/refusals.c \
	vault/history.h vault/history.c vault/consent.h vault/consent.c vault/anchor.h vault/anchor.c vault/disk.h vault/disk.c \
	vault/signing.h vault/signing.c vault/views.h vault/views.c

pkglibexec_PROGRAMS += vault/vault
vault_vault_SOURCES = vault/vault_main.c vault/hsmlink.h vault/hsmlink.c vault/unseal.h vault/unseal.c vault/setup.h vault/setup.c
vault_vault_LDADD = vault/libvault.a $(LIB_KEYS) $(LIB_DB) $(LIB_WIRE)
