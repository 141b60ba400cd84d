# packaging: .deb and .rpm from the archive of the sources, so that what is packaged is what was released.
DEB_DIR = $(abs_builddir)/deb
deb: dist
	rm -rf $(DEB_DIR) && $(MKDIR_P) $(DEB_DIR)
	tar -C $(DEB_DIR) -xf $(distdir).tar.xz
	cp -r $(top_srcdir)/packaging/deb $(DEB_DIR)/$(distdir)/debian
	cp $(top_srcdir)/packaging/systemd/sallyport.service $(DEB_DIR)/$(distdir)/debian/sallyport.service
	cp $(top_srcdir)/packaging/sysusers/sallyport.conf $(DEB_DIR)/$(distdir)/debian/sallyport.sysusers
	cp $(top_srcdir)/packaging/tmpfiles/sallyport.conf $(DEB_DIR)/$(distdir)/debian/sallyport.tmpfiles
	chmod -R u+w $(DEB_DIR)/$(distdir)
	cd $(DEB_DIR)/$(distdir) && SOURCE_DATE_EPOCH=$$(dpkg-parsechangelog -S Timestamp) dpkg-buildpackage -us -uc -b
	@ls -l $(DEB_DIR)/*.deb
.PHONY: deb
# On real systems: clean Debian releases, booted with their own systemd (root only).
check-packages: all
	$(top_srcdir)/tests/packages/run $(abs_builddir) $(RELEASES)
.PHONY: check-packages
EXTRA_DIST += tests/packages
