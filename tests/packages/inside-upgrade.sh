#!/bin/bash
# Runs inside a booted system on which the first version was installed: two upgrades while a client pays, and all that may
# go wrong with one. Prints "ok", "FAILED" and "figure" lines; the caller counts them.
exec >/root/result 2>&1
export DEBIAN_FRONTEND=noninteractive
check() {
	local sentence=$1
	shift
	if "$@" >/root/seen 2>&1; then echo "ok: $sentence"; else echo "FAILED: $sentence"; tail -12 /root/seen | sed 's/^/     /'; fi
}
is() { [ "$1" = "$2" ] || { echo "\"$1\" is not \"$2\""; return 1; }; }
exits() { local want=$1 got; shift; "$@"; got=$?; [ "$got" = "$want" ] || { echo "exit $got"; return 1; }; }
first() { sallyport status | head -1; }
for_a_while() { local i; for i in $(seq 1 100); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done; "$@"; }
says() { is "$(first)" "$1"; }
well() { for_a_while says "serving — all well"; }
waits() { for_a_while says "serving — new version not running; sallyport upgrade"; }
field() { sallyport --json status | tr ',{' '\n\n' | sed -n "s/^\"$1\":\"\{0,1\}\([^\"}]*\)\"\{0,1\}.*/\1/p" | head -1; }
pid_of() { sallyport --json status | tr '{' '\n' | sed -n "s/.*\"process\":\"$1\".*\"pid\":\([0-9]*\).*/\1/p" | head -1; }
main_pid() { systemctl show -p MainPID --value sallyport; }
# whose the files are, with which rights, and what stands in those that people edit; what is written at run time left out
facts() {
	find /etc/sallyport /var/lib/sallyport /etc/systemd/system/sallyport.service.d -not -path '*/tokens/*' \
		-not -name '*-wal' -not -name '*-shm' -not -name '*.tmp' -not -name stores -printf '%p %u:%g %m\n' | sort
	sha256sum /etc/sallyport/sallyport.conf /etc/sallyport/sallyport.conf.d/* /etc/needrestart/conf.d/sallyport.conf
	systemctl show -p LimitMEMLOCK sallyport
	grep 'locked memory' "/proc/$(pid_of vault)/limits"
}
pay() { python3 /root/traffic.py run /root/site "$port" "$1" "$2" >/root/traffic.log 2>&1; }
judge() { python3 /root/traffic.py judge /root/site "$port" /root/site/story.json; }

# a disk of its own, small enough to be filled
mount -t tmpfs -o size=320m,mode=0755 tmpfs /var/lib/sallyport
systemd-tmpfiles --create sallyport.conf
check "init" sallyport init --software-hsm --yes
port=$(sallyport config show | sed -n 's/^listen = .*:\([0-9]*\)$/\1/p')
# what an operator changes
echo 'gate.idle_timeout = 9s' >/etc/sallyport/sallyport.conf.d/site.conf
chmod 0640 /etc/sallyport/sallyport.conf.d/site.conf
chmod 0711 /etc/sallyport/sallyport.conf.d
echo '# ours' >>/etc/needrestart/conf.d/sallyport.conf
mkdir -p /etc/systemd/system/sallyport.service.d
printf '[Service]\nLimitMEMLOCK=6M\n' >/etc/systemd/system/sallyport.service.d/site.conf
systemctl daemon-reload
begun=$(date +%s%N)
check "the first version starts" systemctl start sallyport
echo "figure: start-up to ready under systemd: $((($(date +%s%N) - begun) / 1000000)) ms"
check "… and serves" well
sleep 2
echo "figure: resident memory after start: $(ps -o rss= -p "$(sallyport --json status | tr ',' '\n' | sed -n 's/^"pid":\([0-9]*\)$/\1/p' | paste -sd,)" | awk '{ s += $1 } END { printf "%.1f MiB in %d processes", s / 1024, NR }')"
mkdir -p /root/site
ln -sfn /etc/sallyport/ca.crt /root/site/ca.crt
for d in clients; do ln -sfn "/etc/sallyport/$d" "/root/site/$d"; done
for d in courier herald vault ledger; do ln -sfn "/var/lib/sallyport/$d" "/root/site/$d"; done
check "upgrade finds nothing to do (0)" exits 0 sallyport upgrade
facts >/root/facts.before

for to in 0.2.0 0.3.0; do
	from=$(field version) main=$(main_pid)
	pay 25 "${to//./}" &
	client=$!
	sleep 3
	check "$to: the package installs under traffic" dpkg --force-confold -i "/root/$to.deb"
	check "$to: the old version serves, and status names what to do" waits
	check "$to: … with exit status 0" exits 0 sallyport status
	check "$to: … it is the same process" is "$(main_pid)" "$main"
	check "$to: … of the old version" is "$(field version)" "$from"
	check "$to: … beside the new command" is "$(field installed_version)" "$to"
	check "$to: systemd says it too" bash -c 'systemctl status sallyport --no-pager | grep -q "new version not running"'
	check "$to: other commands name the step" bash -c 'sallyport payment list 2>&1 | grep -q "^next: sallyport upgrade$"'
	for p in vault courier gate; do
		was=$(pid_of $p)
		kill -9 "$was"
		back() { local now; now=$(pid_of $p); [ "${now:-0}" != 0 ] && [ "$now" != "$was" ]; }
		check "$to: a killed $p comes back" for_a_while back
		check "$to: … in the old version" bash -c "readlink /proc/$(pid_of $p)/exe | grep -q deleted"
	done
	check "$to: it serves as before" waits
	check "$to: needrestart leaves it alone" bash -c 'needrestart -b -r a && true'
	check "$to: … with the same process" is "$(main_pid)" "$main"
	check "$to: a rehearsal finds nothing against it" exits 0 sallyport upgrade --dry-run
	mv /etc/sallyport/credentials/hsm-pin /root/pin
	check "$to: without a PIN it refuses (9)" exits 9 sallyport upgrade
	mv /root/pin /etc/sallyport/credentials/hsm-pin
	echo 'gate.procesess = 3' >/etc/sallyport/sallyport.conf.d/bad.conf
	check "$to: with a bad configuration it refuses (9)" exits 9 sallyport upgrade
	rm /etc/sallyport/sallyport.conf.d/bad.conf
	fallocate -l $(($(df --output=avail -B1 /var/lib/sallyport | tail -1) - 30000000)) /var/lib/sallyport/filler
	check "$to: with a full disk it refuses (9)" exits 9 sallyport upgrade
	rm /var/lib/sallyport/filler
	check "$to: after all that it is the same process" is "$(main_pid)" "$main"
	check "$to: … and serves" waits
	check "$to: sallyport upgrade" bash -c 'sallyport upgrade >/root/upgrade.said'
	check "$to: … tells what happened" grep -q "^upgraded — $to runs: serving — all well" /root/upgrade.said
	echo "figure: $(grep 'away for' /root/upgrade.said | sed 's/^ *//') (under traffic, $from to $to)"
	check "$to: it serves" well
	check "$to: … the new version" is "$(field version)" "$to"
	check "$to: the stores have migrated" grep -q '^ledger 4' /var/lib/sallyport/stores
	wait $client
	check "$to: the client's traffic ended well" tail -3 /root/traffic.log
	check "$to: nothing acknowledged is lost or doubled" judge
	echo "figure: $(tail -1 /root/seen)"
	check "$to: read models equal the events" bash -c 'sallyport --json ledger rebuild | grep -q .'
	facts >/root/facts.after
	check "$to: configuration, rights and memory locking are as they were" diff /root/facts.before /root/facts.after
done

main=$(main_pid)
check "a downgrade is refused" bash -c '! dpkg -i /root/first.deb'
check "… and says why and what next" bash -c "dpkg -i /root/first.deb 2>&1 | grep -q 'store has schema 5, this package knows 4' && dpkg -i /root/first.deb 2>&1 | grep -q '^next: install version 0.3.0'"
check "… the new version stays installed" bash -c '[ "$(dpkg-query -W -f "\${Version} \${db:Status-Status}" sallyport)" = "0.3.0 installed" ]'
check "… and runs" is "$(main_pid)" "$main"

# an older program all the same: at the monitor's door, and past it at the stores themselves
systemctl stop sallyport
dpkg-deb -x /root/first.deb /root/old
cp -a /root/old/usr/libexec/sallyport/. /usr/libexec/sallyport/
cp -a /root/old/usr/sbin/sallyportd /usr/sbin/
check "an older monitor refuses newer stores" bash -c '! timeout 20 sallyportd 2>/root/old.said && grep -q "schema 4" /root/old.said && grep -q "^next: " /root/old.said'
mv /var/lib/sallyport/stores /root/stores
systemctl start sallyport &
refuses() { sallyport --json status | grep -q database_version; }
check "… and an older vault and ledger refuse them too" for_a_while refuses
systemctl stop sallyport
wait
mv /root/stores /var/lib/sallyport/stores

# dpkg killed at any moment, then told to go on
check "the right version is put back" dpkg --force-confold -i /root/0.3.0.deb
check "… starts" systemctl start sallyport
check "… serves" well
main=$(main_pid)
for ms in 5 20 50 80 120 200 300 450 600; do
	setsid dpkg --force-confold -i /root/0.3.0.deb >/root/dpkg.log 2>&1 &
	job=$!
	sleep "$(printf '0.%03d' $ms)"
	kill -9 -- "-$job" 2>/dev/null
	wait $job 2>/dev/null
	check "dpkg killed after $ms ms: the appliance is as it was" is "$(main_pid)" "$main"
	dpkg --configure -a >/root/dpkg.log 2>&1
	check "… and dpkg goes on" dpkg --force-confold -i /root/0.3.0.deb
	check "… and it serves" well
done

# no room for the programs: the old ones stay
mount -t tmpfs -o size=1m tmpfs /usr/libexec/sallyport
check "a package that does not fit on the disk is refused" bash -c '! dpkg --force-confold -i /root/0.3.0.deb'
umount /usr/libexec/sallyport
check "… the appliance is as it was" is "$(main_pid)" "$main"
check "… with room it installs" dpkg --force-confold -i /root/0.3.0.deb
check "… and it serves" well
check "a restart" systemctl restart sallyport
check "… serves" well
check "everything is still there" judge
facts >/root/facts.after
check "rights and configuration are as they were" diff /root/facts.before /root/facts.after
check "the journal has no panic" bash -c '! journalctl -u sallyport --no-pager | grep -q "\"level\":\"panic\""'
check "purging it, running as it is" apt-get purge -y sallyport
check "… leaves stores and keys, and says so" test -e /var/lib/sallyport/vault/vault.db -a -e /etc/sallyport/ca/ca.key
echo done
systemctl poweroff
