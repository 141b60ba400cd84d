#!/bin/bash
# Runs inside a booted system without a network, whose only source is a folder of packages: three commands from nothing to an
# authorized payment. Prints "ok", "FAILED" and "figure" lines; the caller counts them.
exec >/root/result 2>&1
export DEBIAN_FRONTEND=noninteractive
check() {
	local sentence=$1
	shift
	mv -f /root/seen /root/last 2>/dev/null
	if "$@" >/root/seen 2>&1; then echo "ok: $sentence"; else echo "FAILED: $sentence"; tail -12 /root/seen | sed 's/^/     /'; fi
}
exits() { local want=$1 got; shift; "$@"; got=$?; [ "$got" = "$want" ] || { echo "exit $got"; return 1; }; }
facts() { sha256sum /etc/sallyport/ca.crt /etc/sallyport/sallyport.conf /etc/sallyport/credentials/hsm-pin; stat -c '%i' /var/lib/sallyport/vault/vault.db; }
check "there is no network" test "$(echo /sys/class/net/*)" = /sys/class/net/lo
check "nothing of ours is here yet" bash -c '! command -v sallyport && ! getent passwd sallyport-vault && ! command -v curl'
begun=$(date +%s%N)
check "1: the package installs from the folder" apt-get install -y -q sallyport
installed=$(date +%s%N)
check "2: sallyport demo" bash -c 'sallyport demo >/root/demo.said'
shown=$(date +%s%N)
try=$(grep -A1 '^Authorize a payment yourself:' /root/demo.said | sed -n 's/^  \(curl .*\)/\1/p')
check "3: the printed curl authorizes a payment" bash -c "$try | tee /dev/stderr | grep -q '\"status\":\"authorized\"'"
ended=$(date +%s%N)
check "… within five minutes" test $(((ended - begun) / 1000000000)) -lt 300
echo "figure: from nothing to an authorized payment: $(((ended - begun) / 1000000)) ms: install $(((installed - begun) / 1000000)), demo $(((shown - installed) / 1000000)), curl $(((ended - shown) / 1000000))"
check "it says TEST before, in what it makes, and at the end" bash -c 'sed -n 1p /root/demo.said | grep -q TEST && grep -q "marked TEST for ever" /root/demo.said && grep -q "^[0-9]* requests, 0 not as expected. TEST" /root/demo.said'
check "the configuration says test" grep -q '^mode = test' /etc/sallyport/sallyport.conf
check "the service will start with the host" systemctl is-enabled sallyport
facts >/root/facts.before
check "a second demo makes nothing" sallyport demo
facts >/root/facts.after
check "… all is as it was" diff /root/facts.before /root/facts.after
# an appliance that is no test: none of the demo's business, whole or begun
echo 'mode = live' >/etc/sallyport/sallyport.conf.d/live.conf
check "over an installation that is no test it refuses" exits 1 sallyport demo
systemctl stop sallyport
mv /etc/sallyport/ca.crt /root/
check "… and over one that was begun" exits 1 sallyport demo
check "… saying so" grep -q 'an installation that is no test was begun here' /root/last
mv /root/ca.crt /etc/sallyport/
rm /etc/sallyport/sallyport.conf.d/live.conf
facts >/root/facts.after
check "… all is as it was" diff /root/facts.before /root/facts.after
echo done
systemctl poweroff
