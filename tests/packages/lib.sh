# What the package's tests share: clean Debian systems, booted with their own systemd. Sourced; root only.
passed=0 failed=0
work=$(mktemp -d /var/tmp/sp-packages.XXXXXX)
trap 'umount -l "$work"/*/proc 2>/dev/null; rm -rf "$work"' EXIT
count() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $2"; fi; }
end() { echo "$passed passed, $failed failed"; [ "$failed" = 0 ]; exit; }
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

# Boots it, lets SCRIPT run inside, and counts the lines of its result. A system that can't be booted here is a failure.
boot_with() { # RELEASE ROOT SCRIPT SECONDS
	local root=$2
	install -m 0755 "$3" "$root/root/inside.sh"
	: >"$root/root/result"
	printf '[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/root/inside.sh\n' >"$root/etc/systemd/system/inside.service"
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -sf ../inside.service "$root/etc/systemd/system/multi-user.target.wants/inside.service"
	timeout "$4" unshare -m sh -c "mount --make-rprivate /; mount -t tmpfs tmpfs /run; exec systemd-nspawn -q --register=no --keep-unit -D '$root' --private-network --console=pipe --system-call-filter='@memlock memfd_secret landlock_create_ruleset landlock_add_rule landlock_restrict_self' -b </dev/null" >"$work/$1.boot" 2>&1
	grep -q '^done' "$root/root/result"
	count $? "$1: the system booted and went through to the end: $(tail -3 "$work/$1.boot")"
	while read -r line; do
		case $line in
		ok:*) passed=$((passed + 1)) ;;
		FAILED:*) count 1 "$1: ${line#FAILED: }" ;;
		figure:*) echo "   $1: ${line#figure: }" ;;
		esac
	done <"$root/root/result"
	grep -A6 '^FAILED' "$root/root/result" | head -60
}
