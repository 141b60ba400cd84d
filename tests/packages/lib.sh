# What the package's tests share: clean Debian systems, booted with their own systemd. Sourced; root only.
passed=0 failed=0
work=$(mktemp -d /var/tmp/sp-packages.XXXXXX)
trap 'umount -l "$work"/*/proc 2>/dev/null; rm -rf "$work"' EXIT
count() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $2"; fi; }
# What was counted between one `part` and the next is a row of the table that `end` prints.
table='' part_name='' part_passed=0 part_failed=0
part_over() {
	local p=$((passed - part_passed)) f=$((failed - part_failed))
	[ -z "$part_name" ] || [ $((p + f)) = 0 ] || table+=$(printf '   %-72s %6d %6d' "$part_name" $p $f)$'\n'
	part_passed=$passed part_failed=$failed part_name=''
}
part() { part_over; part_name=$1; }
end() {
	part_over
	[ -z "$table" ] || printf '   %-72s passed failed\n%s' '' "$table"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
}
needs() { # NAME PROGRAM…
	local name=$1
	shift
	[ "$(id -u)" = 0 ] || { echo "sallyport: $name: needs root" >&2; exit 1; }
	for t in "$@"; do
		command -v "$t" >/dev/null || { printf 'sallyport: %s: %s is missing\nnext: packaging/try check installs it\n' "$name" "$t" >&2; exit 1; }
	done
}
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' | awk '$1=="bookworm"||$1=="trixie"{print $2;exit}')

clean_system() { # RELEASE ROOT PACKAGE,…
	mmdebstrap --quiet --variant=apt --include="systemd,systemd-sysv,dbus,$3" "$1" "$2" "$mirror" 2>"$work/$1.mm" ||
		{ tail -3 "$work/$1.mm"; count 1 "$1: mmdebstrap makes a clean system"; return 1; }
	cp /etc/resolv.conf "$2/etc/" 2>/dev/null
	return 0
}

# As an operator does it, from the release's own sources alone; /proc, or systemd-tmpfiles does nothing.
install_into() { # RELEASE ROOT DEB
	local rc
	cp "$3" "$2/root/sallyport.deb"
	mount -t proc proc "$2/proc"
	chroot "$2" env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq; apt-get install -y -qq --no-install-recommends /root/sallyport.deb' >"$work/$1.install" 2>&1
	rc=$?
	umount "$2/proc"
	count $rc "$1: install: $(tail -3 "$work/$1.install")"
	return $rc
}

# A repository of files in the system, signed as a site's own would be, and no other source: repository ROOT DEB…
repository() {
	local root=$1 repo=$1/srv/repo
	shift
	mkdir -p "$repo" "$work/gnupg"
	chmod 0700 "$work/gnupg"
	cp "$@" "$repo/"
	(cd "$repo" && dpkg-scanpackages --multiversion . 2>/dev/null >Packages) || return 1
	printf 'Origin: Sallyport\nSuite: stable\nArchitectures: %s\nDate: %s\nSHA256:\n %s %s Packages\n' "$(dpkg --print-architecture)" "$(LC_ALL=C date -Ru)" \
		"$(sha256sum <"$repo/Packages" | cut -c1-64)" "$(stat -c %s "$repo/Packages")" >"$repo/Release"
	[ -s "$work/gnupg/pubring.kbx" ] || gpg -q --homedir "$work/gnupg" --batch --passphrase '' --quick-gen-key 'a test <test@sallyport.invalid>' ed25519 sign never 2>/dev/null
	gpg -q --homedir "$work/gnupg" --batch --yes --clearsign -o "$repo/InRelease" "$repo/Release" || return 1
	gpg -q --homedir "$work/gnupg" --export >"$root/usr/share/keyrings/sallyport.gpg"
	gpgconf --homedir "$work/gnupg" --kill all
	rm -f "$root"/etc/apt/sources.list.d/*
	echo "deb [signed-by=/usr/share/keyrings/sallyport.gpg] file:/srv/repo ./" >"$root/etc/apt/sources.list"
}

# An installation that is killed in the middle of its last script; what is there then says so, dpkg goes on from there.
half_configured() { # RELEASE ROOT DEB
	local root=$2
	# apt gives dpkg a PATH of its own: the program's place is taken
	mv "$root/usr/bin/systemd-sysusers" "$root/usr/bin/systemd-sysusers.real"
	cat >"$root/usr/bin/systemd-sysusers" <<-'X'
	#!/bin/sh
	case "$*" in *sallyport*) kill -9 "$(awk '{ print $4 }' "/proc/$PPID/stat")" "$PPID" $$ ;; esac
	exec /usr/bin/systemd-sysusers.real "$@"
	X
	chmod 0755 "$root/usr/bin/systemd-sysusers"
	cp "$3" "$root/root/sallyport.deb"
	mount -t proc proc "$root/proc"
	inside() { chroot "$root" env -i DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
	inside apt-get update -qq >"$work/$1.half" 2>&1
	inside apt-get install -y -qq --no-install-recommends /root/sallyport.deb >>"$work/$1.half" 2>&1
	count "$([ $? != 0 ] && [ "$(inside dpkg-query -W -f '${db:Status-Status}' sallyport)" = half-configured ]; echo $?)" "$1: the installation is killed half-way: $(tail -2 "$work/$1.half")"
	inside sallyport init --software-hsm --yes >"$work/$1.said" 2>&1
	count "$([ $? = 1 ] && grep -q '^sallyport: directories: The system users .* missing' "$work/$1.said" && grep -q '^next: finish the installation: dpkg --configure -a' "$work/$1.said"; echo $?)" "$1: init says that the installation is not whole: $(cat "$work/$1.said")"
	count "$([ ! -e "$root/etc/sallyport/sallyport.conf" ]; echo $?)" "$1: … and makes nothing"
	mv "$root/usr/bin/systemd-sysusers.real" "$root/usr/bin/systemd-sysusers"
	inside dpkg --configure -a >>"$work/$1.half" 2>&1
	count "$([ $? = 0 ] && [ "$(inside dpkg-query -W -f '${db:Status-Status}' sallyport)" = installed ] && inside getent passwd sallyport-vault >/dev/null && [ -d "$root/var/lib/sallyport/vault" ]; echo $?)" "$1: dpkg goes on from there: $(tail -2 "$work/$1.half")"
	inside dpkg --purge sallyport >>"$work/$1.half" 2>&1
	count $? "$1: it can be purged: $(tail -2 "$work/$1.half")"
	umount "$root/proc"
}

# Boots it, lets SCRIPT run inside, and counts the lines of its result. A system that can't be booted here is a failure.
boot_with() { # RELEASE ROOT SCRIPT SECONDS
	local root=$2
	install -m 0755 "$3" "$root/root/inside.sh"
	: >"$root/root/result"
	printf '[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/root/inside.sh\n' >"$root/etc/systemd/system/inside.service"
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -sf ../inside.service "$root/etc/systemd/system/multi-user.target.wants/inside.service"
	timeout "$4" unshare -m sh -c "mount --make-rprivate /; mount -t tmpfs tmpfs /run; exec systemd-nspawn -q --register=no --keep-unit -D '$root' --private-network --console=pipe --system-call-filter='@memlock memfd_secret landlock_create_ruleset landlock_add_rule landlock_restrict_self' -b </dev/null" >"$work/$1.boot" 2>&1
	part "$1: booted with its own systemd"
	grep -q '^done' "$root/root/result"
	count $? "$1: the system booted and went through to the end: $(tail -3 "$work/$1.boot")"
	while read -r line; do
		case $line in
		ok:*) passed=$((passed + 1)) ;;
		FAILED:*) count 1 "$1: ${line#FAILED: }" ;;
		part:*) part "$1: ${line#part: }" ;;
		figure:*) echo "   $1: ${line#figure: }" ;;
		esac
	done <"$root/root/result"
	grep -A6 '^FAILED' "$root/root/result" | head -60
}
