#!/bin/bash
# The doctor: a healthy appliance is healthy; each fault fails the check that bears its name and no other; it works with
# the daemon dead, in little time, without log-in, and changes nothing.
. "$(dirname "$0")/lib.sh"

doctor() { # sets out, code, took_ms, failed_checks
	local t0
	t0=$(date +%s%N)
	out=$(sallyport --dir "$dir" --json doctor 2>"$work/err")
	code=$?
	took_ms=$((($(date +%s%N) - t0) / 1000000))
	failed_checks=$(printf '%s' "$out" | jq -r '[.checks[] | select(.result=="fail") | .check] | join(" ")')
}
result_of() { printf '%s' "$out" | jq -r --arg c "$1" '.checks[] | select(.check==$c) | .result'; }
below() { [ "$1" -lt "$2" ] || { echo "     saw: $1, not below $2"; return 1; }; }

# fault "what" check…: what the last doctor must have found, and nothing else
fault() {
	doctor
	check "$1: only $2 fails" is "$failed_checks" "$2"
	check "… exit 9" is "$code" 9
	check "… with a cause and a next step" is "$(printf '%s' "$out" |
		jq '[.checks[] | select(.result!="ok") | select(.cause=="" or .next=="")] | length')" 0
	check "… and below 5 s" below "$took_ms" 5000
}
healthy() {
	doctor
	check "$1" is "$code $failed_checks" "0 "
}

# a disk of its own, where that can be had: it is filled below
if [ "$(id -u)" = 0 ] && mkdir "$work/small" && mount -t tmpfs -o size=60m,mode=0755 none "$work/small" 2>/dev/null; then
	small=small/
	trap 'stop; umount "$work/small"; cleanup' EXIT
fi
appliance "${small:-}a"
set_conf audit.reserve 2MiB
start
pin=$dir/credentials/hsm-pin

before=$(cd "$dir" && find tls credentials officers sallyport.conf* ca* clients vault/boot -type f -exec sha256sum {} + | sort)
healthy "a healthy appliance exits 0"
check "… in less than 5 s" below "$took_ms" 5000
check "… with 30 checks at least" below 29 "$(printf '%s' "$out" | jq '.checks | length')"
check "… each of a name of its own" is "$(printf '%s' "$out" | jq -r '.checks[].check' | sort | uniq -d)" ""
check "… the desk was asked, the port tried, the key compared" is \
	"$(result_of running.desk) $(result_of api.port) $(result_of api.tls) $(result_of tls.key) $(result_of stores.boot)" "ok ok ok ok ok"
check "… and nothing was changed" is \
	"$(cd "$dir" && find tls credentials officers sallyport.conf* ca* clients vault/boot -type f -exec sha256sum {} + | sort)" "$before"
text=$(sallyport --dir "$dir" doctor)
check "for people the first line says so" has "$(printf '%s\n' "$text" | head -1)" "healthy — "
check "… in 80 columns" below "$(printf '%s\n' "$text" | head -1 | wc -m)" 82
check "… and neither form shows the PIN" lacks "$text$out" "$(cat "$pin")"

mv "$pin" "$work/pin"
fault "no PIN" install.pin
cp -p "$work/pin" "$pin" && : >"$pin"
fault "an empty PIN" install.pin
cp -p "$work/pin" "$pin" && chmod 0644 "$pin"
fault "a PIN that all may read" install.pin_mode
chmod 0600 "$pin"

tls=$dir/tls
cp -p "$tls/server.crt" "$tls/server.key" "$tls/clients-ca.crt" "$work/"
# valid from yesterday but one to yesterday: openssl ca alone takes both dates
mkdir "$work/ca" && : >"$work/ca/index" && echo 01 >"$work/ca/serial"
printf '[ca]\ndefault_ca=x\n[x]\ndatabase=%s/ca/index\nserial=%s/ca/serial\nnew_certs_dir=%s/ca\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' "$work" "$work" "$work" >"$work/ca/conf"
certificate() { # from to: a certificate of the server's key
	openssl req -new -key "$work/server.key" -subj /CN=localhost -out "$work/ca/csr" 2>/dev/null
	openssl ca -batch -notext -config "$work/ca/conf" -cert "$dir/ca/ca.crt" -keyfile "$dir/ca/ca.key" -in "$work/ca/csr" \
		-startdate "$(date -u -d "$1" +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d "$2" +%Y%m%d%H%M%SZ)" -out "$work/ca/crt" 2>"$work/ca/log"
	cp "$work/ca/crt" "$tls/server.crt"
}
certificate '2 days ago' '1 day ago'
fault "a certificate that has expired" tls.expiry
check "… and that another is presented is a warning" is "$(result_of api.tls)" warn
certificate '1 day ago' '10 days'
healthy "a certificate of ten more days is no failure"
check "… but a warning" is "$(result_of tls.expiry)" warn
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other.key" -subj /CN=other -days 90 -out "$tls/server.crt" 2>/dev/null
fault "a certificate of another key" tls.key
echo nothing >"$tls/server.crt"
fault "a certificate that is none" tls.certificate
cp -p "$work/server.crt" "$tls/server.crt"
rm "$tls/server.key"
fault "no key" tls.key
cp -p "$work/server.key" "$tls/server.key"
chmod 0640 "$tls/server.key"
fault "a key that its group may read" tls.key_mode
chmod 0600 "$tls/server.key"
echo nothing >"$tls/clients-ca.crt"
fault "a CA of clients that is none" tls.clients_ca
cp -p "$work/clients-ca.crt" "$tls/clients-ca.crt"

echo 'gate.connections = many' >"$dir/sallyport.conf.d/zz.conf"
fault "an error in the configuration" install.configuration
echo "hsm.module = $work/none.so" >"$dir/sallyport.conf.d/zz.conf"
fault "an HSM module that is not there" hsm.module
echo "hsm.module = $pin" >"$dir/sallyport.conf.d/zz.conf"
fault "an HSM module that is none" hsm.module
echo 'audit.reserve = 100MiB' >"$dir/sallyport.conf.d/zz.conf"
doctor
check "a reserve that was raised and is not held" is "$failed_checks" "stores.vault_reserve stores.ledger_reserve"
rm "$dir/sallyport.conf.d/zz.conf"

chmod 0750 "$dir/vault"
fault "a store's directory that its group may enter" install.dir.vault
chmod 0700 "$dir/vault"
chmod 0755 "$dir/officers"
fault "officers' keys that all may reach" install.dir.officers
chmod 0700 "$dir/officers"
if [ "$(id -u)" = 0 ]; then
	chown 65534 "$dir/herald"
	fault "a directory of another user" install.dir.herald
	chown --reference="$dir/herald/." "$dir/herald" 2>/dev/null
	chown "sallyport-herald:" "$dir/herald"
fi
mv "$dir/hsm/tokens" "$dir/hsm/gone"
fault "the tokens' directory is gone" hsm.tokens
mv "$dir/hsm/gone" "$dir/hsm/tokens"
mv "$dir/vault/boot" "$dir/vault/boot.gone"
fault "no boot file" stores.boot
sed 's/^complete yes$/complete no/' "$dir/vault/boot.gone" >"$dir/vault/boot"
fault "a boot file of a setup that was not ended" stores.boot
rm "$dir/vault/boot" && mv "$dir/vault/boot.gone" "$dir/vault/boot"
chmod 0644 "$dir/ledger/ledger.db"
fault "a database that all may read" stores.ledger_db
chmod 0600 "$dir/ledger/ledger.db"
mv "$dir/ca.crt" "$work/mark"
fault "a setup that was not ended" install.whole
mv "$work/mark" "$dir/ca.crt"
if [ -n "${small:-}" ]; then
	left=$(($(stat -f -c '%a * %S' "$work/small")))
	fallocate -l $((left - 800 * 1024)) "$work/small/ballast" # the vault refuses below 512 KiB
	fault "a disk that is nearly full" host.disk_space
	rm "$work/small/ballast"
fi
healthy "all mended it is healthy again"

if [ "$(id -u)" = 0 ]; then
	install -m 0755 "$(command -v sallyport)" "$work/sallyport"
	out=$(setpriv --reuid 65534 --regid 65534 --clear-groups "$work/sallyport" --dir "$dir" doctor)
	check "who may read nothing hears no fault, and no word of health" is "$? $(printf '%s' "$out" | head -1 | cut -c1-14)" "0 no fault found"
fi

herald=$(pid_of herald)
kill -9 "$herald"
came_back() { [ "$(pid_of herald)" -gt 1 ] && [ "$(pid_of herald)" != "$herald" ]; }
wait_until 100 came_back
healthy "a process that was started again is no failure"
check "… but a warning" is "$(result_of running.restarts)" warn

desk=$(pid_of desk)
kill -STOP "$desk"
fault "a desk that hangs" running.desk
kill -CONT "$desk"
stop
fault "nothing runs" running.desk
check "what needs it says so" is "$(result_of api.port) $(result_of running.state)" "warn warn"
check "for people the first line names it" has "$(sallyport --dir "$dir" doctor | head -1)" "running.desk"
dir=$work/none
doctor
check "where there is no appliance that alone is said" is "$failed_checks" install.whole
check "… and the host is looked at" is "$(result_of host.kernel)" ok
check "… exit 9" is "$code" 9
end
