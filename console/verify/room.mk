# console/verify: the offline verifier. It links daemon/base, daemon/audit and libsodium, nothing else.
bin_PROGRAMS += sallyport-verify
sallyport_verify_SOURCES = console/verify/verify_main.c
sallyport_verify_LDADD = $(LIB_AUDIT)
