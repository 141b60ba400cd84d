# console/verify: the offline verifier. It links daemon/base, daemon/audit and libsodium, nothing else.
bin_PROGRAMS += console/verify/sallyport-verify
console_verify_sallyport_verify_SOURCES = console/verify/verify_main.c
console_verify_sallyport_verify_LDADD = $(LIB_AUDIT)
dist_man_MANS += console/verify/sallyport-verify.1
