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
within_two() { local i; for i in $(seq 1 20); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done; "$@"; }
systemd_says() { systemctl status sallyport --no-pager | grep "$1"; }
says() { is "$(first)" "$1"; }
well() { for_a_while says "serving — all well"; }
waits() { for_a_while says "serving — new version not running; sallyport upgrade"; }
field() { sallyport --json status | tr ',{' '\n\n' | sed -n "s/^\"$1\":\"\{0,1\}\([^\"}]*\)\"\{0,1\}.*/\1/p" | head -1; }
pid_of() { sallyport --json status | tr '{' '\n' | sed -n "s/.*\"process\":\"$1\".*\"pid\":\([0-9]*\).*/\1/p" | head -1; }
all_pids() { sallyport --json status | tr ',' '\n' | sed -n 's/^"pid":\([0-9]*\)$/\1/p' | paste -sd,; }
main_pid() { systemctl show -p MainPID --value sallyport; }
# whose the files are, with which rights, and what stands in those that people edit; what is written at run time left out
facts() {
	find /etc/sallyport /var/lib/sallyport /etc/systemd/system/sallyport.service.d -not -path '*/tokens/*' \
		-not -name '*-wal' -not -name '*-shm' -not -name '*.tmp' -not -name stores -printf '%p %u:%g %m\n' | sort
	sha256sum /etc/sallyport/sallyport.conf /etc/sallyport/sallyport.conf.d/* /etc/needrestart/conf.d/sallyport.conf
	systemctl show -p LimitMEMLOCK sallyport
	grep 'locked memory' "/proc/$(pid_of vault)/limits"
}
# By the host's own automatic updates, from the site's signed repository; the control is a service that needrestart must restart.
automatic() {
	cat >/etc/apt/apt.conf.d/99site <<-'X'
	Unattended-Upgrade::Origins-Pattern { "origin=Sallyport"; };
	X
	apt-get update -qq && unattended-upgrade -v && [ "$(dpkg-query -W -f '${Version}' sallyport)" = "$1" ]
}
by_hand() { dpkg --force-confold -i "/root/$1.deb"; }
control() {
	cp /usr/bin/sleep /usr/local/bin/control
	printf '[Service]\nType=exec\nExecStart=/usr/local/bin/control infinity\n' >/etc/systemd/system/control.service
	systemctl daemon-reload && systemctl restart control
	cp /usr/bin/sleep /usr/local/bin/control.new && mv /usr/local/bin/control.new /usr/local/bin/control
	systemctl show -p MainPID --value control >/root/control.pid
}
needrestart_runs() { control && needrestart -v -r a && [ "$(systemctl show -p MainPID --value control)" != "$(cat /root/control.pid)" ]; }
# Ctrl-C in the middle, as a terminal gives it: to the whole group
interrupted() {
	python3 - "$@" <<-'X'
	import os, signal, subprocess, sys, time
	p = subprocess.Popen(sys.argv[1:], start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
	time.sleep(0.8)
	begun = time.monotonic()
	os.killpg(p.pid, signal.SIGINT)
	status = p.wait()
	sys.exit(status if time.monotonic() - begun < 1 else 1)
	X
}
spoil() { # a version that can't start: what is in place says its number and no more
	mv /usr/sbin/sallyportd /usr/sbin/sallyportd.good
	printf '#!/bin/sh\n[ "$1" != --version ] || exec /usr/sbin/sallyportd.good --version\nexit 1\n' >/usr/sbin/sallyportd
	chmod 0755 /usr/sbin/sallyportd
}
mend() { mv /usr/sbin/sallyportd.good /usr/sbin/sallyportd; }
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
schema() { sed -n 's/^ledger //p' /var/lib/sallyport/stores; }
first_schema=$(schema)

echo 'part: a new version that does not start'
# a new version that does not come up
before=$(sallyport --json ledger rebuild)
check "a newer package" by_hand 0.2.0
spoil
check "a new version that does not start is no success" exits 1 sallyport upgrade
cp /root/seen /root/said
check "… it says that nothing is lost, and the next step" bash -c 'grep -q "version 0.2.0 does not serve: .*Nothing is lost; the stores may have been migrated" /root/said && grep -q "^next: journalctl -u sallyport" /root/said'
check "… status says that nothing runs" exits 5 sallyport status
mend
check "… the version before can be installed again" by_hand first
check "… starts" for_a_while systemctl start sallyport
check "… serves" well
check "… is the first version" is "$(field version)" 0.1.0
check "… and has everything" is "$(sallyport --json ledger rebuild)" "$before"

for row in 0.2.0:automatic 0.3.0:by_hand; do
	to=${row%:*}
	echo "part: to $to under traffic, ${row#*:}"
	from=$(field version) main=$(main_pid) pids=$(all_pids)
	pay 40 "${to//./}" &
	client=$!
	sleep 3
	check "$to: the package installs under traffic, ${row#*:}" "${row#*:}" "$to"
	check "$to: the old version serves, and status names what to do" waits
	check "$to: … with exit status 0" exits 0 sallyport status
	check "$to: … they are the same processes" is "$(all_pids)" "$pids"
	check "$to: … of the old version" is "$(field version)" "$from"
	check "$to: … beside the new command" is "$(field installed_version)" "$to"
	check "$to: systemd says it too, within two seconds" within_two systemd_says "new version not running"
	check "$to: other commands name the step" bash -c 'sallyport payment list 2>&1 | grep -q "^next: sallyport upgrade$"'
	for p in vault courier gate; do
		was=$(pid_of $p)
		kill -9 "$was"
		back() { local now; now=$(pid_of $p); [ "${now:-0}" != 0 ] && [ "$now" != "$was" ]; }
		check "$to: a killed $p comes back" for_a_while back
		check "$to: … in the old version" bash -c "readlink /proc/$(pid_of $p)/exe | grep -q deleted"
	done
	check "$to: it serves as before" waits
	pids=$(all_pids)
	check "$to: needrestart restarts what it may" needrestart_runs
	check "$to: … and leaves ours alone" is "$(main_pid) $(all_pids)" "$main $pids"
	check "$to: … serving" waits
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
	if [ $to = 0.2.0 ]; then
		check "$to: sallyport upgrade" bash -c 'sallyport upgrade >/root/upgrade.said'
		check "$to: … tells what happened" grep -q "^upgraded — $to runs: serving — all well" /root/upgrade.said
		echo "figure: $(grep 'away for' /root/upgrade.said | sed 's/^ *//') (under traffic, $from to $to)"
	else
		check "$to: Ctrl-C while it restarts" exits 130 interrupted sallyport upgrade
		cp /root/seen /root/said
		check "$to: … says what goes on, and how to watch it" bash -c 'grep -q "^restarting it" /root/said && grep -q "upgrade: Interrupted; systemd goes on with the restart" /root/said && grep -q "^next: sallyport status" /root/said'
		check "$to: … a second run waits for the end of it" bash -c 'sallyport upgrade >/root/upgrade.said'
		check "$to: … and finds it done" grep -q "^nothing to do — version $to is installed, and it runs" /root/upgrade.said
		check "$to: … after waiting" grep -q '^a restart is under way' /root/upgrade.said
	fi
	check "$to: it serves" well
	check "$to: … the new version" is "$(field version)" "$to"
	check "$to: the stores have migrated" is "$(schema)" $((first_schema + 1))
	wait $client
	check "$to: the client's traffic ended well" tail -3 /root/traffic.log
	check "$to: nothing acknowledged is lost or doubled" judge
	echo "figure: $(tail -1 /root/seen)"
	check "$to: read models equal the events" bash -c 'sallyport --json ledger rebuild | grep -q .'
	facts >/root/facts.after
	check "$to: configuration, rights and memory locking are as they were" diff /root/facts.before /root/facts.after
done

echo 'part: downgrades and older programs'
main=$(main_pid)
check "a downgrade is refused" bash -c '! dpkg -i /root/first.deb'
check "… and says why and what next" bash -c "dpkg -i /root/first.deb 2>&1 | grep -q 'store has schema $(schema), this package knows $first_schema' && dpkg -i /root/first.deb 2>&1 | grep -q '^next: install version 0.3.0'"
check "… the new version stays installed" bash -c '[ "$(dpkg-query -W -f "\${Version} \${db:Status-Status}" sallyport)" = "0.3.0 installed" ]'
check "… and runs" is "$(main_pid)" "$main"

# an older program all the same: at the monitor's door, and past it at the stores themselves
systemctl stop sallyport
dpkg-deb -x /root/first.deb /root/old
cp -a /root/old/usr/libexec/sallyport/. /usr/libexec/sallyport/
cp -a /root/old/usr/sbin/sallyportd /usr/sbin/
check "an older monitor refuses newer stores" bash -c '! timeout 20 sallyportd 2>/root/old.said && grep -q "schema '"$(schema)"'" /root/old.said && grep -q "^next: " /root/old.said'
mv /var/lib/sallyport/stores /root/stores
systemctl start sallyport &
refuses() { sallyport --json status | grep -q database_version; }
check "… and an older vault and ledger refuse them too" for_a_while refuses
systemctl stop sallyport
wait
mv /root/stores /var/lib/sallyport/stores

echo 'part: dpkg killed at nine moments'
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

echo 'part: no room on the disk; purge'
# no room for the programs: the old ones stay
mount -t tmpfs -o size=1m tmpfs /usr/libexec/sallyport
check "a package that does not fit on the disk is refused" bash -c '! dpkg --force-confold -i /root/0.3.0.deb'
umount /usr/libexec/sallyport
check "… the appliance is as it was" is "$(main_pid)" "$main"
check "… with room it installs" dpkg --force-confold -i /root/0.3.0.deb
check "… and it serves" well
# no room for what dpkg itself writes: a disk of its own for /var/lib/dpkg, filled to the last byte
cp -a /var/lib/dpkg /root/dpkg
mount -t tmpfs -o size=200m,mode=0755 tmpfs /var/lib/dpkg
cp -a /root/dpkg/. /var/lib/dpkg/
cat /dev/zero >/var/lib/dpkg/filler 2>/dev/null
check "with /var full the package is refused" bash -c '! dpkg --force-confold -i /root/0.3.0.deb'
check "… the appliance is as it was" is "$(main_pid)" "$main"
check "… and serves" well
rm /var/lib/dpkg/filler
check "… with room dpkg goes on" dpkg --configure -a
check "… and it installs" dpkg --force-confold -i /root/0.3.0.deb
check "… and serves" well
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
