#!/bin/bash
# The making of a token and its keys, killed at the k-th system call that writes, for many k; run again it must always end
# well: no key half there, no token that nobody can use in the way. STEP=1 tries every k (about a minute).
set -u
child=$PWD/tests/crash/token_child
[ -x "$child" ] || { echo "run it from the build's top"; exit 99; }
[ -r /usr/lib/softhsm/libsofthsm2.so ] || exit 77
# where processes may not be traced there is nothing to kill them with at the right moment
strace -qq -o /dev/null true 2>/dev/null || exit 77
work=$(mktemp -d "${TMPDIR:-/tmp}/sp-token.XXXXXX")
trap 'rm -rf "$work"' EXIT
export SOFTHSM2_CONF=$work/conf
step=${STEP:-20} seed=${SEED:-$RANDOM} tried=0 failed=0
printf 'directories.tokendir = %s/t\nobjectstore.backend = file\nlog.level = ERROR\n' "$work" >"$SOFTHSM2_CONF"

killed_at() { # call k: true when it was killed, false when it had ended before
	rm -rf "$work/t"
	mkdir "$work/t"
	# the kill's own message is bash's, not ours
	{ strace -qq -o /dev/null -e trace="$1" -e inject="$1:signal=KILL:when=$2" "$child" >/dev/null; } 2>/dev/null
	[ $? != 0 ]
}

for call in mkdir unlink ftruncate write; do
	# few of some, hundreds of others: all of the few, and a stride through the rest
	k=1
	while [ $k -lt 1000 ]; do
		killed_at $call $k || break
		tried=$((tried + 1))
		if ! "$child" >"$work/out"; then
			failed=$((failed + 1))
			echo "killed at $call $k, then: $(cat "$work/out")"
		fi
		[ $k -lt 6 ] && k=$((k + 1)) || k=$((k + 1 + (seed + k) % step))
	done
done
echo "seed $seed: killed at $tried places, $failed did not recover"
[ $failed = 0 ] && [ $tried -gt 20 ]
