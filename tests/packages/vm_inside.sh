#!/bin/bash
# Runs inside a virtual machine that booted with SELinux enforcing and with the package and its module installed, as an
# administrator's shell (unconfined_t): init, start, traffic, reload, restart, kill -9 of each process, the package again,
# stop; then a probe in the place of two processes. Prints "ok" and "FAILED" lines, and tables; the caller counts.
exec >/root/result 2>&1
check() {
	local sentence=$1
	shift
	if "$@" >/root/seen 2>&1; then echo "ok: $sentence"; else echo "FAILED: $sentence"; sed 's/^/     /' /root/seen | head -8; fi
}
first() { sallyport status | head -1; }
# an emulated machine is ten to twenty times slower
serving() { for _ in $(seq 1 60); do case $(first) in "serving — all well"*) return 0 ;; esac; sleep 0.5; done; sallyport status; return 1; }
pid_of() { pgrep -xo "$1" -u "sallyport-${1%%/*}"; }
killed() {
	local old
	old=$(pid_of "$1") && kill -9 "$old" || return 1
	for _ in $(seq 1 60); do [ -n "$(pid_of "$1")" ] && [ "$(pid_of "$1")" != "$old" ] && break; sleep 0.5; done
	serving
}
# what the kernel refused to us or about us since the boot: audit's file, and the kernel's own log for the time before auditd
denials() { { cat /var/log/audit/audit.log* 2>/dev/null; dmesg; } | grep 'avc:  *denied' | grep 'sallyport' | sed 's/.*avc:/avc:/' | sort -u; }
domains() { ps -eo label,pid,args | grep 'sallyport_.*_t' | grep -v grep | awk '{print $1, $3}' | sed 's/^[^:]*:[^:]*://; s/:[^ ]*//' | sort -u; }
right_domains() {
	local p
	domains
	for p in vault hsm ledger courier herald desk; do domains | grep -q "^sallyport_${p}_t $p\$" || { echo "$p is elsewhere"; return 1; }; done
	domains | grep -q '^sallyport_gate_t gate/0$' && domains | grep -q '^sallyport_monitor_t /usr/sbin/sallyportd$' && [ "$(domains | awk '{print $1}' | sort -u | wc -l)" = 8 ]
}
right_labels() { [ -z "$(restorecon -Rnv /usr/sbin/sallyportd /usr/libexec/sallyport /etc/sallyport /var/lib/sallyport /run/sallyport | tee /dev/stderr)" ]; }

echo "seconds: $(cut -d' ' -f1 /proc/uptime) from the kernel's start to this script; $(systemd-analyze time 2>/dev/null | head -1)"
check "SELinux is enforcing" test "$(getenforce)" = Enforcing
check "the module is loaded" bash -c 'semodule -l | grep -qx sallyport'
echo "context: $(id -Z)"
check "init makes an appliance" sallyport init --software-hsm --yes
check "every file has the type that it should have" right_labels
check "the service starts" systemctl start sallyport
check "… and serves" serving
check "every process is in its own domain" right_domains
domains | sed 's/^/domain: /'
check "the main job, from outside" sallyport demo
check "the log exports" sallyport audit export --output /root/x.tar
check "… and verifies" sallyport-verify /root/x.tar
check "reload" systemctl reload sallyport
check "… still serving" serving
for p in vault ledger hsm courier herald gate/0 desk; do check "kill -9 of $p is survived" killed $p; done
check "a restart" systemctl restart sallyport
check "… serves" serving
kill -9 "$(systemctl show -p MainPID --value sallyport)"
sleep 4
check "a killed monitor is started again" serving
check "installing the same package again leaves it serving" bash -c 'dpkg -i /root/sallyport.deb'
check "… serving" serving
check "a restart into what was installed" systemctl restart sallyport
check "… serves" serving
check "the main job again" sallyport demo
check "every process is in its own domain still" right_domains
check "every file has the type that it should have, still" right_labels
check "a stop" systemctl stop sallyport
sleep 1
echo "denials: $(denials | wc -l)"
denials | sed 's/^/denied: /'
check "no denial of ours, from the boot to here" test "$(denials | wc -l)" = 0

# the control: with the file rights opened wide, a program in the gate's and in the ledger's place is refused, and seen
denials >/root/before
chmod -R a+rX /var/lib/sallyport /etc/sallyport
for p in gate ledger; do cp /root/probe /usr/libexec/sallyport/$p; done
restorecon -RF /usr/libexec/sallyport
systemctl start --no-block sallyport
sleep 12
systemctl stop sallyport
denials | comm -13 /root/before - >/root/probed
journalctl -b -u sallyport --no-pager -o cat | grep '^probe:' | sort | uniq -c | sed 's/^/probed: /'
check "a probe in the gate's domain is denied, and it is seen" grep -q 'scontext=[^ ]*:sallyport_gate_t' /root/probed
check "a probe in the ledger's domain is denied the vault's directory" grep -q 'scontext=[^ ]*:sallyport_ledger_t.*tcontext=[^ ]*:sallyport_vault_var_lib_t' /root/probed
check "nothing that it tried went through" bash -c '! journalctl -b -u sallyport --no-pager -o cat | grep -q "WENT THROUGH"'
sed 's/^/control: /' /root/probed | head -12
sync
echo done
systemctl poweroff
