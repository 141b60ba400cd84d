# selinux: the policy module, made with the development Makefile of selinux-policy-dev. `make selinux` makes it; it is
# installed where configure was called --with-selinux (the packages are).
EXTRA_DIST += selinux/README.md selinux/sallyport.te selinux/sallyport.if selinux/sallyport.fc
selinux/sallyport.pp: selinux/sallyport.te selinux/sallyport.if selinux/sallyport.fc
	@test -e $(SELINUX_MAKEFILE) || { echo "sallyport: selinux: $(SELINUX_MAKEFILE) is missing" >&2; \
		echo "next: apt-get install selinux-policy-dev" >&2; exit 1; }
	$(MKDIR_P) selinux/made
	for f in te if fc; do cp -f $(top_srcdir)/selinux/sallyport.$$f selinux/made/ || exit 1; done
	$(MAKE) -C selinux/made -f $(SELINUX_MAKEFILE) NAME=$(SELINUX_TYPE) sallyport.pp
	mv selinux/made/sallyport.pp $@ && rm -rf selinux/made
selinux: selinux/sallyport.pp
CLEANFILES += selinux/sallyport.pp
if SELINUX
selinuxdir = $(datadir)/selinux/packages
selinux_DATA = selinux/sallyport.pp
dist_pkgdata_SCRIPTS += selinux/selinux-module
endif
SELINUX_MAKEFILE = /usr/share/selinux/devel/Makefile
# the policy that it is made for: Debian's; Fedora and RHEL call theirs targeted
SELINUX_TYPE = default
# Needed rules are there and forbidden ones are not, in the policy of a whole system (Debian 12 and 13).
check-selinux: selinux/sallyport.pp
	$(top_srcdir)/tests/packages/selinux $(abs_builddir) $(RELEASES)
# Enforcing, in a virtual machine (root only): check-vm RELEASES="bookworm trixie" for both.
check-vm: dist
	$(top_srcdir)/tests/packages/vm $(abs_builddir) $(distdir).tar.xz $(RELEASES)
.PHONY: selinux check-selinux check-vm
