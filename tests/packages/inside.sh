#!/bin/bash
# Runs inside a booted system (systemd-nspawn) on which the package was installed: what an operator would do in a first
# hour. Prints "ok" and "FAILED" lines; the caller counts them.
exec >/root/result 2>&1
check() {
	local sentence=$1
	shift
	mv -f /root/seen /root/last 2>/dev/null
	if "$@" >/root/seen 2>&1; then echo "ok: $sentence"; else echo "FAILED: $sentence"; sed 's/^/     /' /root/seen; fi
}
exits() { local want=$1 got; shift; "$@"; got=$?; [ "$got" = "$want" ] || { echo "exit $got"; return 1; }; }
first() { sallyport status | head -1; }
serving() { for _ in $(seq 1 50); do [ "$(first)" = "serving — all well" ] && return 0; sleep 0.1; done; first; return 1; }
pid_of() { sallyport --json status | tr '{' '\n' | sed -n "s/.*\"process\":\"$1\".*\"pid\":\([0-9]*\).*/\1/p" | head -1; }
killed() { kill -9 "$(pid_of "$1")" && sleep 1 && serving; }
exposure() { systemd-analyze security sallyport.service --no-pager | tail -1 | grep -oE '[0-9]+\.[0-9]' | awk '{ print; exit !($1 <= 2.0) }'; }

check "before init the service is not started and has not failed" bash -c '! systemctl -q is-failed sallyport && ! systemctl -q is-active sallyport'
sallyport status >/dev/null
check "status says that there is no appliance (6)" test $? = 6
check "… and so does upgrade" exits 6 sallyport upgrade
check "a demo for a stranger makes nothing (7)" exits 7 setpriv --reuid nobody --regid nogroup --clear-groups sallyport demo
echo 'part: init, with all that can stand against it'
# small enough to be filled; at first too small for anything
mount -t tmpfs -o size=20m,mode=0755 tmpfs /var/lib/sallyport
said() { grep -q "$1" /root/last && grep -q '^next: ' /root/last; }
check "init on a disk that is nearly full fails" exits 1 sallyport init --software-hsm --yes
check "… and says so" said '^sallyport: directories: .*disk'
mount -o remount,size=320m /var/lib/sallyport
mount -t tmpfs -o size=16k,mode=0755 tmpfs /etc/sallyport
check "… with no room for the configuration too" exits 1 sallyport init --software-hsm --yes
check "… and says so" said '^sallyport: c[a-z]*: .*disk'
mount -o remount,size=8m /etc/sallyport
mv /usr/lib/softhsm/libsofthsm2.so /usr/lib/softhsm/libsofthsm2.so.away
check "without the HSM's module it fails" bash -c '! sallyport init --software-hsm --yes'
check "… and says so" said '^sallyport: keys and stores: .*module'
mv /usr/lib/softhsm/libsofthsm2.so.away /usr/lib/softhsm/libsofthsm2.so
check "init makes one, going on from there" sallyport init --software-hsm --yes
check "init refuses to run over it" bash -c 'sallyport init --software-hsm --yes; [ $? = 1 ]'
echo 'part: the service: users, jails, kill -9 of each, reload, restart'
check "the service starts, and is up when systemctl returns" systemctl start sallyport
check "… and serves" serving
check "a stranger may not upgrade (7)" exits 7 setpriv --reuid nobody --regid nogroup --clear-groups sallyport upgrade
check "every process has its own user" bash -c "[ \$(ps -eo user:32,comm | grep -c '^sallyport-') -ge 8 ]"
check "every process is in its jail, as the kernel tells" sallyport jail
check "the main job, from outside" sallyport demo
check "the log exports" sallyport audit export --output /root/x.tar
check "… and verifies" sallyport-verify /root/x.tar
for p in vault ledger hsm courier herald gate desk; do check "kill -9 of $p is survived" killed $p; done
check "reload" systemctl reload sallyport
check "… still serving" serving
echo 'gate.procesess = 3' >/etc/sallyport/sallyport.conf.d/bad.conf
check "config check finds a bad line (9)" bash -c 'sallyport config check; [ $? = 9 ]'
refused="serving — config refused; sallyport config check"
check "a reload with an error fails for systemctl" bash -c '! systemctl reload sallyport'
check "… and says why in the journal" bash -c 'journalctl -u sallyport --no-pager | grep -q "config reload: sallyport.conf.d/bad.conf:1: gate.procesess: unknown key; did you mean gate.processes?"'
check "… what runs goes on with the old one, and status says so" test "$(first)" = "$refused"
check "… systemd does too, within two seconds" bash -c 'for _ in $(seq 1 20); do systemctl status sallyport --no-pager | grep -q "config refused" && exec systemctl -q is-active sallyport; sleep 0.1; done; exit 1'
check "a restart with it does not start" bash -c '! systemctl restart sallyport'
check "… systemctl status has the same words" bash -c 'systemctl status sallyport --no-pager -l | grep -q "not started — The configuration has errors: sallyport.conf.d/bad.conf:1: gate.procesess"'
check "… and it is not tried again and again" bash -c 'sleep 3; [ "$(systemctl show -p ActiveState,Result --value sallyport | paste -sd\ )" = "exit-code failed" ] || { systemctl show -p ActiveState,Result,NRestarts sallyport; false; }'
rm /etc/sallyport/sallyport.conf.d/bad.conf
check "mended it starts" systemctl start sallyport
check "… and serves" serving
cp -p /etc/sallyport/tls/server.crt /root/server.crt
cp /etc/sallyport/ca.crt /etc/sallyport/tls/server.crt
check "a certificate of another key is refused before any process sees it" bash -c '! systemctl reload sallyport'
check "… and status says so" test "$(first)" = "$refused"
cp -p /root/server.crt /etc/sallyport/tls/server.crt
check "a reload that is taken ends it" systemctl reload sallyport
check "… with all well" serving
kill -9 "$(systemctl show -p MainPID --value sallyport)"
sleep 2.5
check "systemd starts a killed monitor again" serving
check "the main job again" sallyport demo
before=$(sallyport --json ledger rebuild)
check "a restart" systemctl restart sallyport
check "… serves" serving
check "… and lost nothing" test "$(sallyport --json ledger rebuild)" = "$before"
check "installing the same package again leaves it serving" bash -c 'dpkg -i /root/sallyport.deb && [ "$(sallyport status | head -1)" = "serving — all well" ]'
echo 'part: runbooks and guide, followed to the letter'
# ── the runbooks: each trouble is made, then its page is followed to the letter ──
end_certificate() { sallyport certificate renew --days 20 && systemctl reload sallyport; }
lose_hsm() { cp -a /var/lib/sallyport/hsm/tokens /root/ && rm -r /var/lib/sallyport/hsm/tokens; }
fill_disk() { cat /dev/zero >/var/lib/sallyport/old-export.tar; sallyport audit export --output /root/y.tar; true; }
lose_pin() { mv /etc/sallyport/credentials/hsm-pin /root/hsm-pin && systemctl restart sallyport; }
silence_processor() {
	echo 'simulator.outage = refused' >/etc/sallyport/sallyport.conf.d/outage.conf && systemctl reload sallyport || return 1
	for _ in $(seq 1 10); do sallyport demo >/dev/null 2>&1 || break; done # the first one that is refused is tried five times
}
runbook() { serving && "$2" && /root/runbook "/usr/share/doc/sallyport/runbooks/$1.md"; }
for row in certificate-expiry:end_certificate hsm-lost:lose_hsm disk-full:fill_disk sealed:lose_pin processor-outage:silence_processor; do
	followed=$((${followed:-0} + 1))
	check "the runbook ${row%:*} ends its trouble" runbook "${row%:*}" "${row#*:}"
done
guide() { awk '$0 == "```sh" { f = 1; next } /^```/ { f = 0 } f' /usr/share/doc/sallyport/operations.md >/root/commands && [ "$(wc -l </root/commands)" -ge 12 ] && bash -e -o pipefail -x /root/commands; }
check "the guide's commands, as they stand" guide
check "each runbook was followed" test "$(ls /usr/share/doc/sallyport/runbooks | wc -l)" = "$followed"
echo 'part: owners: what doctor says mends it'
# ── whose the files are: named with the command that mends it, which is then run as it stands ──
mended() { # CHECK COMMAND…: after the command the service does not come up as it was; what doctor names next mends it
	local name=$1 step
	shift
	"$@" && systemctl stop sallyport && { timeout 60 systemctl start sallyport || true; }
	[ "$(first)" = "serving — all well" ] && { echo "it serves all the same"; return 1; }
	step=$(sallyport doctor | grep -A1 "^ *fail  $name " | sed -n 's/^ *next: //p')
	echo "doctor: $step"
	eval "${step%%, *}" || return 1
	systemctl reset-failed sallyport
	timeout 60 systemctl restart sallyport
	serving
}
for p in vault ledger; do
	check "$p's directory of another user: doctor's next step mends it" mended install.dir.$p chown root:root /var/lib/sallyport/$p
	check "$p's store of another user: doctor's next step mends it" mended stores.${p}_db chown root:root /var/lib/sallyport/$p/$p.db
done
check "a TLS key of another user: doctor's next step mends it" mended tls.key_mode chown nobody /etc/sallyport/tls/server.key
check "the main job once more" sallyport demo
echo 'part: stores of a newer version'
# ── stores of a newer version: neither the package nor the monitor touches them ──
cp -a /var/lib/sallyport/stores /root/stores
sed -i 's/^ledger .*/ledger 99/' /var/lib/sallyport/stores
check "an older package is refused" bash -c '! dpkg -i /root/sallyport.deb'
check "… says why and what next" bash -c 'grep -q "schema 99" /root/last && grep -q "^next: install version .* or a newer one; nothing was changed" /root/last'
check "… what runs goes on" serving
check "an older monitor does not start" bash -c '! systemctl restart sallyport'
check "… and says why and what next" bash -c 'journalctl -b -u sallyport -o cat --no-pager >/root/journal; grep -q "schema 99" /root/journal && grep -q "^next: " /root/journal'
check "… so does the doctor" bash -c 'sallyport doctor | grep -A1 "fail  stores.version " | grep "next: "'
mv /root/stores /var/lib/sallyport/stores
systemctl reset-failed sallyport
check "with the right ones it starts" systemctl restart sallyport
check "… and serves" serving
echo 'part: the host'\''s examples'
[ ! -e /root/examples ] || . /root/examples
echo 'part: exposure, stop, removal, installation again, purge'
check "exposure ≤ 2.0" exposure
echo "figure: exposure $(exposure) (systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'))"
echo "figure: system calls allowed: $(sallyport --json status | tr '{' '\n' | sed -n 's/.*"process":"\([a-z]*\)","index":0.*"system_calls":\([0-9]*\).*/\1 \2/p' | paste -sd, | sed 's/,/, /g')"
check "the journal has no panic" bash -c '! journalctl -u sallyport --no-pager | grep -q "\"level\":\"panic\""'
check "a stop" systemctl stop sallyport
sallyport status >/dev/null
check "status says not running (5)" test $? = 5
check "… and so does upgrade" exits 5 sallyport upgrade
check "it starts again" systemctl start sallyport
check "removing the package, with the appliance running" env DEBIAN_FRONTEND=noninteractive apt-get remove -y sallyport
check "… stops it" bash -c '! pgrep -u sallyport-vault,sallyport-ledger && ! pgrep -x sallyportd'
check "… leaves the stores and keys" test -e /var/lib/sallyport/vault/vault.db -a -e /etc/sallyport/ca/ca.key
check "installing it again" dpkg -i /root/sallyport.deb
check "… and the appliance is as it was" bash -c 'systemctl start sallyport && sallyport payment list | grep -q pay_'
check "purging the package" env DEBIAN_FRONTEND=noninteractive apt-get purge -y sallyport
check "… leaves the stores and keys too" test -e /var/lib/sallyport/vault/vault.db -a -e /etc/sallyport/ca/ca.key
echo done
systemctl poweroff
