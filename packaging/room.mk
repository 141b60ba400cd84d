# packaging: .deb and .rpm from the archive of the sources, so that what is packaged is what was released.
DEB_DIR = $(abs_builddir)/deb
RPM_DIR = $(abs_builddir)/rpm
deb: dist
	$(top_srcdir)/packaging/package deb $(distdir).tar.xz $(DEB_DIR)
	@ls -l $(DEB_DIR)/*.deb
rpm: dist
	$(top_srcdir)/packaging/package rpm $(distdir).tar.xz $(RPM_DIR)
	@ls -l $(RPM_DIR)/*.rpm
# Built twice, as differently as can be, and compared byte for byte (root only: it changes the user).
check-repro: dist
	$(top_srcdir)/tests/packages/repro $(abs_builddir)/$(distdir).tar.xz
# What can be said of the .rpm without an RPM system.
check-rpm: deb rpm
	$(top_srcdir)/tests/packages/rpm $(abs_builddir)
	$(top_srcdir)/tests/packages/rpm_selinux $(abs_builddir) $(abs_builddir)/$(distdir).tar.xz
	$(top_srcdir)/tests/packages/rpm_system $(abs_builddir) $(abs_builddir)/$(distdir).tar.xz
.PHONY: deb rpm check-repro check-rpm
# On real systems: clean Debian releases, booted with their own systemd (root only). RELEASES="bookworm trixie" chooses.
check-packages: all
	$(top_srcdir)/tests/packages/run $(abs_builddir) $(RELEASES)
# Two upgrades under traffic, a refused downgrade, a full disk, a killed dpkg.
check-upgrade: dist
	$(top_srcdir)/tests/packages/upgrade $(abs_builddir)/$(distdir).tar.xz $(RELEASES)
.PHONY: check-packages check-upgrade
EXTRA_DIST += tests/packages
# What to do when: each page is followed to the letter by tests/packages/inside.sh.
dist_doc_DATA = docs/operations.md
runbooksdir = $(docdir)/runbooks
dist_runbooks_DATA = docs/runbooks/certificate-expiry.md docs/runbooks/disk-full.md docs/runbooks/hsm-lost.md docs/runbooks/processor-outage.md docs/runbooks/sealed.md
# The same pages for man(1), from the same source; a page's other names are pages that lead to it.
man7 = packaging/man/sallyport-operations.7 packaging/man/sallyport-certificate-expiry.7 packaging/man/sallyport-disk-full.7 \
	packaging/man/sallyport-hsm-lost.7 packaging/man/sallyport-processor-outage.7 packaging/man/sallyport-sealed.7
man7_alias = packaging/man/sallyport-audit-full.7
nodist_man_MANS += $(man7) $(man7_alias)
CLEANFILES += $(man7) $(man7_alias)
EXTRA_DIST += packaging/manpage
$(man7): packaging/manpage $(dist_doc_DATA) $(dist_runbooks_DATA)
	$(AM_V_GEN)$(MKDIR_P) packaging/man; page=`basename $@ .7`; page=$${page#sallyport-}; \
		case $$page in operations) from=docs ;; *) from=docs/runbooks ;; esac; \
		case $$page in disk-full) alias=sallyport-audit-full ;; *) alias= ;; esac; \
		python3 $(srcdir)/packaging/manpage $(VERSION) $(srcdir)/$$from/$$page.md sallyport-$$page $$alias >$@.new && mv $@.new $@
$(man7_alias): packaging/manpage
	$(AM_V_GEN)$(MKDIR_P) packaging/man; echo '.so man7/sallyport-disk-full.7' >$@
# For the host: a firewall, the clock, the journal, the kernel's settings, files to watch. Each is tried by make check-packages.
examplesdir = $(docdir)/examples
dist_examples_DATA = packaging/examples/nftables.conf packaging/examples/chrony.conf packaging/examples/journald.conf packaging/examples/sysctl.conf packaging/examples/aide.conf
