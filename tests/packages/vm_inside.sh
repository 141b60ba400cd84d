#!/bin/bash
# Runs inside a virtual machine that booted with SELinux enforcing, as an administrator's shell (unconfined_t), with two
# versions of the package lying in /root: installation, init, start, traffic, reload, restart, kill -9 of each process, the
# PIN as systemd's credential, `sallyport upgrade`, removal, installation again; then a probe in the place of each process.
# Prints "ok" and "FAILED" lines, and tables; the caller counts.
exec >/root/result 2>&1
export DEBIAN_FRONTEND=noninteractive
# what the kernel refused to us or about us since the boot: audit's file, and the kernel's own log for the time before auditd
denials() { { cat /var/log/audit/audit.log* 2>/dev/null; dmesg; } | grep 'avc:  *denied' | grep 'sallyport' | sed 's/.*avc:/avc:/; s/ for  pid=[0-9]*/ for /' | sort -u; }
check() {
	local sentence=$1
	shift
	if "$@" >/root/seen 2>&1; then echo "ok: $sentence"; else echo "FAILED: $sentence"; sed 's/^/     /' /root/seen | head -8; fi
	# each denial stands below the step that it belongs to
	denials >/root/denied.now
	comm -13 /root/denied /root/denied.now | sed "s/^/denied: /"
	mv /root/denied.now /root/denied
}
first() { sallyport status | head -1; }
is() { [ "$1" = "$2" ] || { echo "\"$1\" is not \"$2\""; return 1; }; }
# an emulated machine is ten to twenty times slower
for_a_while() { for _ in $(seq 1 120); do "$@" >/dev/null 2>&1 && return 0; sleep 0.5; done; "$@"; }
says() { case $(first) in "$1"*) return 0 ;; esac; sallyport status; return 1; }
serving() { for_a_while says "serving — all well"; }
waits() { for_a_while says "serving — new version not running"; }
pid_of() { pgrep -xo "$1" -u "sallyport-${1%%/*}"; }
killed() {
	local old
	old=$(pid_of "$1") && kill -9 "$old" || return 1
	for _ in $(seq 1 60); do [ -n "$(pid_of "$1")" ] && [ "$(pid_of "$1")" != "$old" ] && break; sleep 0.5; done
	serving
}
domains() { ps -eo label,pid,args | grep 'sallyport_.*_t' | grep -v grep | awk '{print $1, $3}' | sed 's/^[^:]*:[^:]*://; s/:[^ ]*//' | sort -u; }
right_domains() {
	local p
	domains
	for p in vault hsm ledger courier herald desk; do domains | grep -q "^sallyport_${p}_t $p\$" || { echo "$p is elsewhere"; return 1; }; done
	domains | grep -q '^sallyport_gate_t gate/0$' && domains | grep -q '^sallyport_monitor_t /usr/sbin/sallyportd$' && [ "$(domains | awk '{print $1}' | sort -u | wc -l)" = 8 ]
}
places="/usr/sbin/sallyportd /usr/libexec/sallyport /etc/sallyport /var/lib/sallyport /run/sallyport"
right_labels() { [ -z "$(restorecon -Rnv $places 2>/dev/null | tee /dev/stderr)" ]; }
loaded() { semodule -l | grep -qx sallyport; }
field() { sallyport --json status | tr ',{' '\n\n' | sed -n "s/^\"$1\":\"\{0,1\}\([^\"}]*\)\"\{0,1\}.*/\1/p" | head -1; }
runs() { is "$(field version)" "$1"; }
jails() {
	local p
	sallyport jail >/root/jail
	head -3 /root/jail
	grep -q '^in force' /root/jail && grep -q "SELinux enforcing, with the appliance's module" /root/jail || return 1
	for p in monitor vault hsm ledger courier herald desk gate/0; do grep -E "^$p .* sallyport_${p%/*}_t\$" /root/jail || { echo "$p is not shown in its domain"; return 1; }; done
}
console() {
	(sleep "$1"; printf q; sleep 5) | TERM=linux LC_ALL=C.UTF-8 timeout 120 script -qec 'sallyport-console' /root/console >/dev/null
	grep -qa Overview /root/console && grep -qa 'serving' /root/console
}
examined() {
	sallyport --json doctor >/root/doctor
	! tr '{' '\n' </root/doctor | grep '"result":"fail"' && grep -q 'SELinux is enforcing' /root/doctor
}
no_denials() { is "$(denials | wc -l)" 0; }
figure() { local begun=$SECONDS; "$@"; local rc=$?; echo "policy: $((SECONDS - begun)) s: $*" >>/root/policy; return $rc; }

: >/root/denied
echo "seconds: $(cut -d' ' -f1 /proc/uptime) from the kernel's start to this script; $(systemd-analyze time 2>/dev/null | head -1)"
check "SELinux is enforcing" is "$(getenforce)" Enforcing
echo "context: $(id -Z)"

# the package brings its module
check "the package installs" figure dpkg -i /root/first.deb
check "… and has loaded its module" loaded
check "… and says so" bash -c '/usr/share/sallyport/selinux-module status | grep -q "^loaded; Enforcing"'
check "… and its files have their types" right_labels
check "init makes an appliance" sallyport init --software-hsm --yes
check "every file has the type that it should have" right_labels
check "the service starts" systemctl start sallyport
check "… and serves" serving
check "every process is in its own domain" right_domains
domains | sed 's/^/domain: /'
check "sallyport jail shows each in its own domain, and no fault" jails

# a day's work
check "the main job, from outside" sallyport demo
check "doctor finds nothing that fails" examined
check "the log exports" sallyport audit export --output /root/x.tar
check "… and verifies" sallyport-verify /root/x.tar
check "read models are made anew" sallyport ledger rebuild
check "the console opens and closes" console 15
check "reload" systemctl reload sallyport
check "… still serving" serving
check "the listener's certificate is renewed" sallyport certificate renew
check "… and taken by a reload" systemctl reload sallyport
check "… still serving" serving
check "… with the types that it should have" right_labels
check "the main job with it" sallyport demo
for p in vault ledger hsm courier herald gate/0 desk; do check "kill -9 of $p is survived" killed $p; done
check "a restart" systemctl restart sallyport
check "… serves" serving
kill -9 "$(systemctl show -p MainPID --value sallyport)"
sleep 4
check "a killed monitor is started again" serving

# the PIN where systemd keeps credentials, and nowhere else
mkdir -p -m 0700 /etc/credstore
mv /etc/sallyport/credentials/hsm-pin /etc/credstore/hsm-pin
restorecon -R /etc/credstore
check "a restart with the PIN as systemd's credential" systemctl restart sallyport
check "… serves" serving
check "… with every process in its own domain" right_domains

# another version
main=$(systemctl show -p MainPID --value sallyport)
check "a new version's package installs" figure dpkg -i /root/0.2.0.deb
check "… leaves the old one serving, and status says so" waits
check "… in the same process" is "$(systemctl show -p MainPID --value sallyport)" "$main"
check "… and the module is loaded" loaded
check "… and the files have their types" right_labels
check "sallyport upgrade" sallyport upgrade --wait 300
check "… serves" serving
check "… in the new version" for_a_while runs 0.2.0
check "… whose stores have migrated" grep -q '^ledger' /var/lib/sallyport/stores
check "… every process in its own domain still" right_domains
check "the main job again" sallyport demo
check "installing the same package again leaves it serving" figure dpkg -i /root/0.2.0.deb
check "… serving" serving
check "every file has the type that it should have, still" right_labels

# out and in again
check "removing the package, with the appliance running" figure dpkg -r sallyport
check "… stops it" bash -c '! pgrep -x sallyportd && ! pgrep -u sallyport-vault,sallyport-ledger'
check "… takes the module out" bash -c '! semodule -l | grep -q sallyport'
check "… leaves no type of ours on a file" bash -c '! ls -RZ /etc/sallyport /var/lib/sallyport | grep -q sallyport_'
check "… leaves stores and keys" test -s /var/lib/sallyport/vault/vault.db -a -s /var/lib/sallyport/ledger/ledger.db -a -s /etc/sallyport/ca/ca.key
check "installing it again" figure dpkg -i /root/0.2.0.deb
check "… loads the module" loaded
check "… and the files have their types" right_labels
check "… and the appliance starts" systemctl start sallyport
check "… and serves" serving
check "… and knows its payments" bash -c 'sallyport payment list | grep -q pay_'
check "… every process in its own domain" right_domains
check "a stop" systemctl stop sallyport
sleep 1
cat /root/policy
echo "denials: $(denials | wc -l)"
check "no denial of ours, from the boot to here" no_denials
check "no record was lost" bash -c 'auditctl -s | grep -qx "lost 0"'

# the control: with the file rights opened wide, a program in each process's place is refused, and seen
denials >/root/before
chmod -R a+rX /var/lib/sallyport /etc/sallyport
for p in vault hsm ledger gate courier herald desk; do cp /root/probe /usr/libexec/sallyport/$p; done
restorecon -RF /usr/libexec/sallyport
probe() { systemctl start --no-block sallyport; sleep 25; systemctl stop sallyport; }
said() { journalctl -b -u sallyport --no-pager -o cat | grep '^probe:' | sort | uniq -c | sed "s/^/$1: /"; }
check() { if "${@:2}" >/root/seen 2>&1; then echo "ok: $1"; else echo "FAILED: $1"; fi; }
probe
denials | comm -13 /root/before - >/root/probed
said probed | tee /root/refused
refused() { grep -q "scontext=[^ ]*:sallyport_$1_t.*tclass=$2" /root/probed; }
for p in vault hsm ledger gate courier herald desk; do
	check "a probe in the place of $p is refused a network socket, and it is seen" refused $p tcp_socket
done
check "a probe in the ledger's place is denied the vault's directory" grep -q 'scontext=[^ ]*:sallyport_ledger_t.*tcontext=[^ ]*:sallyport_vault_var_lib_t' /root/probed
check "a probe in the vault's place is denied the ledger's directory" grep -q 'scontext=[^ ]*:sallyport_vault_t.*tcontext=[^ ]*:sallyport_ledger_var_lib_t' /root/probed
check "nothing that they tried went through" bash -c 'grep -q refused /root/refused && ! grep -q "WENT THROUGH" /root/refused'
grep -E 'tcp_socket|vault_var_lib_t|ledger_var_lib_t' /root/probed | sed 's/^/control: /' | head -12
# … and by SELinux alone: the same programs, the same walls but this one
setenforce 0
probe
setenforce 1
said permissive >/root/permissive
grep 'WENT' /root/permissive | sed 's/^/control: /'
for p in vault ledger gate; do
	check "without SELinux the network socket of a probe in the place of $p goes through" grep -q "probe: $p[^:]*: make a socket to the network: WENT" /root/permissive
done
check "without SELinux the vault's file would be read" grep -q "probe: ledger[^:]*: open another's store: WENT" /root/permissive
sync
echo done
systemctl poweroff
