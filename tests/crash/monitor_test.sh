#!/bin/bash
# The monitor and the wire with stand-in children: restart, resend, a breaker cut off, reload, two over one directory,
# the monitor's death, a stop in order, a stop of a process that hangs. Run by make check in the build directory.
set -u
build=$PWD
work=$(mktemp -d /tmp/sallyport-monitor-XXXXXX)
chmod 755 "$work"
dir=$work/site log=$work/log out=$work/out
monitor=
cleanup() {
	[ -n "$monitor" ] && kill -9 "$monitor" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
fail() {
	echo "not ok: $*" >&2
	tail -n 40 "$log" >&2
	exit 1
}
ok() { echo "ok: $*"; }
# Waits up to $1 s for the rest of the line to succeed.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -le $end ] || return 1
		sleep 0.05
	done
}
pid_of() { sed -n "s/.*\"process ready\",\"process\":\"${1/\//\\/}\",\"pid\":\([0-9]*\).*/\1/p" "$log" | tail -n 1; }
dead() { ! kill -0 "$1" 2>/dev/null; }
logged() { grep -q "$1" "$log"; }
good() { sed -n 's/.*"what":"facts","good":\([0-9]*\).*/\1/p' "$log" | tail -n 1; }
more_than() { local n; n=$(good); [ "${n:-0}" -gt "$1" ]; }
new_pid() { [ -n "$(pid_of "$1")" ] && [ "$(pid_of "$1")" != "$2" ]; }
start() {
	: >"$log"
	: >"$out"
	"$build/daemon/monitor/sallyportd" --dir "$dir" --libexec "$work/libexec" >"$out" 2>"$log" &
	monitor=$!
	within 15 grep -q '^ready' "$out" || fail "no ready line"
}
children() { for p in hsm vault ledger courier herald gate/0 gate/1 desk; do pid_of $p; done; }

if [ "$(id -u)" = 0 ] && ! getent passwd sallyport-vault >/dev/null; then
	echo "skipped: the users of packaging/sysusers are missing"
	exit 77
fi
mkdir -p "$work/libexec" "$dir/tls"
chmod 755 "$dir"
for p in hsm vault ledger courier herald gate desk; do ln -s "$build/tests/crash/demo_child" "$work/libexec/$p"; done
touch "$dir/tls/server.key" "$dir/tls/server.crt" "$dir/tls/clients-ca.crt"
port=$((20000 + RANDOM % 20000))
printf 'mode = test\ninstall = x\nlisten = 127.0.0.1:%s\n' $port >"$dir/sallyport.conf"

start
[ "$(wc -l <"$out")" = 1 ] || fail "more than one line on stdout"
within 5 more_than 10 || fail "no answers"
ok "one line that begins with ready; the ledger's questions are answered"

"$build/daemon/monitor/sallyportd" --dir "$dir" --libexec "$work/libexec" >/dev/null 2>"$work/second"
[ $? = 1 ] && grep -q '^next: ' "$work/second" || fail "a second one over the same directory"
ok "a second one over the same directory is refused"

was=$(pid_of vault)
kill -9 "$was"
within 5 new_pid vault "$was" || fail "the vault was not started again"
now=$(good)
within 5 more_than $((now + 20)) || fail "no answers after the restart"
grep -q '"bad":[1-9]' "$log" && fail "a question that may be sent again was lost"
grep '"process":"vault"' "$log" | grep -q '"signal":9' || fail "the death is not in the log"
ok "kill -9 of the vault: started again, new sockets for all, no question lost"

# another version is put in place: it is told, and whoever dies comes back as he was
ln -sf /bin/false "$work/libexec/vault"
within 5 logged '"cause":"new_version_not_running"' || fail "a new version in place is not told"
was=$(pid_of vault)
kill -9 "$was"
within 5 new_pid vault "$was" || fail "the vault did not come back in the version that runs"
ln -sf "$build/tests/crash/demo_child" "$work/libexec/vault"
again() { [ "$(grep '"what":"state"' "$log" | tail -n 1 | grep -c '"cause":"ok"')" = 1 ]; }
within 5 again || fail "the same version put back is told as another"
grep -q '^vault' "$dir/stores" || fail "no mark of the stores' versions"
ok "a new version in place is told; a process that dies comes back in the old one"

was=$(pid_of gate/1) vault=$(pid_of vault)
kill -USR1 "$was"
within 5 logged '"it broke the protocol"' || fail "the breaker was not ended"
within 5 new_pid gate/1 "$was" || fail "the breaker was not started anew"
[ "$(pid_of vault)" = "$vault" ] && ! dead "$vault" || fail "the receiver did not live"
ok "a gate that breaks the protocol is cut off; its receivers live"

was=$(pid_of ledger)
kill -USR1 "$(pid_of hsm)" # the inner one of vault and hsm is not killed, the link is made anew
within 8 logged '"peer cut off","peer":"hsm"' || fail "the broker's nonsense was read"
ok "an inner process that breaks the protocol is cut off too"

echo 'gate.processes = none' >>"$dir/sallyport.conf"
kill -HUP "$monitor"
within 3 logged 'configuration refused' || fail "a bad configuration was taken"
sed -i '$d' "$dir/sallyport.conf"
echo 'gate.idle_timeout = 9s' >>"$dir/sallyport.conf"
kill -HUP "$monitor"
within 3 logged 'configuration reloaded' || fail "a good configuration was refused"
ok "reload: a bad one keeps the old, a good one is taken"

all=$(children)
kill -9 "$monitor"
wait "$monitor" 2>/dev/null
for p in $all; do within 2 dead "$p" || fail "pid $p outlives the monitor"; done
ok "the monitor's death ends all"

start
all=$(children)
kill -TERM "$monitor"
wait "$monitor"
[ $? = 0 ] || fail "exit status of a stop"
for p in $all; do dead "$p" || fail "pid $p outlives a stop"; done
ok "SIGTERM stops all, exit status 0"

# systemd that has stopped reading: its socket is full after a few datagrams
python3 - "$work/notify" <<'X' &
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
time.sleep(6)
s.setblocking(False)
try:
    while True: print(s.recv(4096).decode(), flush=True)
except BlockingIOError: pass
X
deaf=$!
within 3 test -S "$work/notify" || fail "no notify socket"
chmod 666 "$work/notify"
export NOTIFY_SOCKET=$work/notify WATCHDOG_USEC=10000
start
unset NOTIFY_SOCKET WATCHDOG_USEC
sleep 1
was=$(pid_of desk)
kill -9 "$was"
within 3 new_pid desk "$was" || fail "a deaf systemd holds up the monitor"
kill -TERM "$monitor"
wait "$monitor" || fail "exit status beside a deaf systemd"
kill "$deaf" 2>/dev/null
ok "a systemd that does not read holds nothing up"

cp "$dir/stores" "$work/stores"
sed -i 's/^ledger .*/ledger 99/' "$dir/stores"
timeout 30 "$build/daemon/monitor/sallyportd" --dir "$dir" --libexec "$work/libexec" >"$out" 2>"$log"
[ $? = 1 ] && [ ! -s "$out" ] && grep -q 'ledger.s store has schema 99' "$log" && grep -q '^next: ' "$log" || fail "stores of a newer version"
cp "$work/stores" "$dir/stores"
ok "stores of a newer version are refused, and it is said whose"

mkdir "$work/broken"
for p in hsm vault ledger courier herald gate desk; do ln -s "$build/tests/crash/demo_child" "$work/broken/$p"; done
ln -sf /bin/false "$work/broken/vault"
timeout 30 "$build/daemon/monitor/sallyportd" --dir "$dir" --libexec "$work/broken" >"$out" 2>"$log"
[ $? = 1 ] && [ ! -s "$out" ] || fail "a process that can't start"
grep -q '^sallyport: vault does not start' "$log" && grep -q '^next: ' "$log" || fail "it is not said who can't start"
ok "a process that never starts ends the start: exit status 1, who and what next"

start
# a terminal or systemd signals all processes at once: the monitor's order holds all the same
kill -TERM "$monitor" $(children)
wait "$monitor" || fail "exit status of a stop of the whole group"
logged '"what":"process ended"' && fail "a process died of a signal that is the monitor's"
ok "SIGTERM to all at once is a stop in order too"

start
kill -USR2 "$(pid_of ledger)"
sleep 0.2
begin=$SECONDS
kill -TERM "$monitor"
wait "$monitor"
[ $? = 0 ] && [ $((SECONDS - begin)) -le 5 ] || fail "a hanging process holds up the stop"
logged '"it did not stop in time"' || fail "it stopped by itself"
monitor=
ok "a process that hangs does not hold up the stop"
