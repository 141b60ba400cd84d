#!/bin/bash
# Runs inside a booted system on which the package was installed: the first start in production as docs/operations.md tells it,
# its commands as they stand, on a token that this script sets up as the HSM's owner would. Prints "ok" and "FAILED" lines.
exec >/root/result 2>&1
check() {
	local sentence=$1
	shift
	if "$@" >/root/seen 2>&1; then echo "ok: $sentence"; else echo "FAILED: $sentence"; sed 's/^/     /' /root/seen; fi
}
exits() { local want=$1 got; shift; "$@"; got=$?; [ "$got" = "$want" ] || { echo "exit $got"; return 1; }; }
first() { sallyport status | head -1; }
serving() { for _ in $(seq 1 100); do [ "$(first)" = "serving — all well" ] && return 0; sleep 0.1; done; first; return 1; }
api() { curl -sS --cacert /etc/sallyport/ca.crt --cert /root/site/shop1.crt --key /root/site/shop1.key -H 'Content-Type: application/json' -H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" "https://127.0.0.1:8443$1" --data-binary "$2"; }

umask 077
printf 'a pin of six words' >/root/pin
printf 'correct horse battery\n' >/root/passphrase
mkdir /root/keys
printf 'directories.tokendir = /var/lib/softhsm-sallyport\nobjectstore.backend = file\nlog.level = ERROR\n' >/etc/softhsm-sallyport.conf
chmod 0644 /etc/softhsm-sallyport.conf
install -d -o sallyport-hsm -g sallyport-hsm -m 0700 /var/lib/softhsm-sallyport
SOFTHSM2_CONF=/etc/softhsm-sallyport.conf softhsm2-util --init-token --free --label payments --so-pin 'the owner keeps it' --pin "$(cat /root/pin)" >/dev/null
chown -R sallyport-hsm: /var/lib/softhsm-sallyport

echo 'part: the first start in production'
awk '/^## / { f = $0 == "## The first start in production" } f && sub(/^    /, "")' /usr/share/doc/sallyport/operations.md >/root/commands
check "the guide has commands for it" test "$(wc -l </root/commands)" -ge 25
check "the first start in production, as the guide stands" bash -e -o pipefail -x /root/commands
cat /root/seen >/root/guide
check "its page says what to carry off" grep -q '^Carry off the host:' /root/guide
check "… and that payments have no processor" grep -q no_live_processor /root/guide
check "it serves" serving
check "status does not call it a test" bash -c '! sallyport status | grep -q TEST'
check "the PIN is sealed, and in no file" bash -c 'test -s /etc/credstore.encrypted/hsm-pin && ! grep -rqaF "a pin of six words" /etc /var/lib/sallyport /root/init.answers /run/sallyport'
check "the journal has it nowhere either" bash -c '! journalctl --no-pager | grep -qF "a pin of six words"'
check "a card gives a token" bash -c "$(declare -f api); api /v1/tokens '{\"card\":{\"number\":\"4539578763621486\",\"exp_month\":12,\"exp_year\":2031}}' | tee /root/token | grep -q '\"livemode\":true'"
token=$(grep -oE 'tok_[0-9A-Za-z]+' /root/token | head -1)
check "a payment is answered no_live_processor" bash -c "$(declare -f api); api /v1/payments '{\"amount\":100,\"currency\":\"EUR\",\"token\":\"$token\"}' | grep -q no_live_processor"
check "a restart finds the PIN" systemctl restart sallyport
check "… and serves" serving
check "nothing stands against an upgrade" bash -c 'sallyport upgrade --dry-run >/root/upgrade && cat /root/upgrade && ! grep -q "^ *fail" /root/upgrade'
check "the doctor finds no fault in the installation" bash -c '! sallyport doctor | grep -E "^ *fail +(install|tls|stores|run)\."'
check "init refuses to run over it" exits 1 sallyport init --answers /root/init.answers --yes
check "demo refuses it" bash -c '! sallyport demo'
echo 'part: a PIN that its operator seals by hand'
# ── another one, whose PIN its operator seals by hand, by the lines that the last page tells ──
systemctl stop sallyport
rm -rf /etc/sallyport/* /var/lib/sallyport/* /etc/credstore.encrypted /etc/systemd/system/sallyport.service.d
systemctl daemon-reload
systemd-tmpfiles --create
printf 'a pin of six words' >/root/pin
sed -i '/^pin-credential/d; /^pin-file/d' /root/init.answers
check "on a token with another's keys nothing is made" exits 1 sallyport init --answers /root/init.answers --yes --pin-file /root/pin
check "… and nothing stays" bash -c '! find /etc/sallyport /var/lib/sallyport -type f | grep .'
SOFTHSM2_CONF=/etc/softhsm-sallyport.conf softhsm2-util --init-token --free --label payments2 --so-pin 'the owner keeps it' --pin "$(cat /root/pin)" >/dev/null
chown -R sallyport-hsm: /var/lib/softhsm-sallyport
sed -i 's/^token = .*/token = payments2/' /root/init.answers
check "without --pin-credential it is made" bash -c 'sallyport init --answers /root/init.answers --yes --pin-file - </root/pin >/root/told'
check "it starts" systemctl start sallyport
check "… sealed, for want of its PIN (3)" exits 3 sallyport status
sed -n '/^The PIN was not kept/,/^next:/p' /root/told | sed -n 's/^  //p' | sed 's/systemd-ask-password -n [^|]*/cat \/root\/pin /' >/root/lines
check "the lines that init told are five" test "$(wc -l </root/lines)" = 5
check "… and are right" bash -e -o pipefail -x /root/lines
systemctl restart sallyport
check "with them it serves" serving
echo done
systemctl poweroff
