#!/bin/bash
# config check finds by form and by meaning, all in one run, each at its file and line; a reload of what it refuses changes
# nothing, and status, /health, the figures, the journal and the console say so until one is taken.
. "$(dirname "$0")/lib.sh"

shopt -s extglob
below() { [ "$1" -lt "$2" ] || { echo "     saw: $1, not below $2"; return 1; }; }
look() { # [arguments…]: sets found, code, doc
	found=$(sallyport --dir "$dir" config check "$@" 2>&1)
	code=$?
	doc=$(sallyport --dir "$dir" --json config check "$@" 2>/dev/null)
}
# fault "what" "file:line: key: " "problem": the last look must have found that, at that place, and nothing else
fault() {
	look
	check "$1: exit 9" is "$code" 9
	check "… alone" is "$(printf '%s' "$doc" | jq -r '.problems | length')" 1
	check "… at its place" has "$(printf '%s\n' "$found" | head -1)" "$2"
	check "… for its reason" has "$(printf '%s\n' "$found" | head -1)" "$3"
	check "… with what is allowed" has "$(printf '%s\n' "$found" | head -1)" "; allowed: "
	check "… the same in JSON" is "$(printf '%s' "$doc" | jq -r '.problems[0] | "\(.file):\(.line): \(.key): \(.problem); allowed: \(.allowed)"')" \
		"$(printf '%s\n' "$found" | head -1)"
}
well() {
	look
	check "$1" is "$code $(printf '%s' "$doc" | jq -c '[.valid, .not_checked, .warnings]')" "0 [true,[],[]]"
}
line_of() { grep -n "$1" "$dir/sallyport.conf" | head -1 | cut -d: -f1; }

appliance a
d=$dir/sallyport.conf.d
well "without the daemon a whole configuration is valid"

# ── meaning ──
tls=$dir/tls
cp -p "$tls"/* "$work/"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other.key" -subj /CN=other -days 90 -out "$tls/server.crt" 2>/dev/null
fault "a certificate of another key" "tls/server.key:1: key: " "is not the key of tls/server.crt"
cp -p "$work/server.crt" "$tls/server.crt"
mkdir "$work/ca" && : >"$work/ca/index" && echo 01 >"$work/ca/serial"
printf '[ca]\ndefault_ca=x\n[x]\ndatabase=%s/ca/index\nserial=%s/ca/serial\nnew_certs_dir=%s/ca\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' "$work" "$work" "$work" >"$work/ca/conf"
openssl req -new -key "$work/server.key" -subj /CN=localhost -out "$work/ca/csr" 2>/dev/null
openssl ca -batch -notext -config "$work/ca/conf" -cert "$dir/ca/ca.crt" -keyfile "$dir/ca/ca.key" -in "$work/ca/csr" \
	-startdate 20200101000000Z -enddate 20200201000000Z -out "$tls/server.crt" 2>"$work/ca/log"
fault "a certificate that has expired" "tls/server.crt:1: certificate: " "expired"
cp -p "$work/server.crt" "$tls/server.crt"
echo none >"$tls/clients-ca.crt"
fault "a CA of clients that is none" "tls/clients-ca.crt:1: certificate: " "holds no certificate that can be read"
rm "$tls/clients-ca.crt"
fault "no CA of clients" "tls/clients-ca.crt:1: certificate: " "is missing"
cp -p "$work/clients-ca.crt" "$tls/clients-ca.crt"

own=$(sed -n 's/^listen = //p' "$dir/sallyport.conf")
"${PYTHON:-/usr/bin/python3}" -c '
import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))), s.listen()
time.sleep(60)' "$port" &
other=$!
held() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
wait_until 50 held
fault "a port that another program has" "sallyport.conf:$(line_of '^listen = '): listen: " "$own: another program has it"
kill "$other"; wait "$other" 2>/dev/null
echo 'listen = 192.0.2.1:8443' >"$d/10.conf"
fault "an address that is not of this host" "sallyport.conf.d/10.conf:1: listen: " "this host has no such address"
printf '\n\nhsm.module = %s/none.so\n' "$work" >"$d/10.conf"
fault "a module that is not there" "sallyport.conf.d/10.conf:3: hsm.module: " "No such file"
echo "hsm.module = $(ldconfig -p | sed -n 's/.*libm\.so\.6 .*=> //p' | head -1)" >"$d/10.conf"
fault "a library that is no PKCS#11 module" "sallyport.conf.d/10.conf:1: hsm.module: " "could not be loaded"
echo 'hsm.token = another' >"$d/10.conf"
fault "a token that is not there" "sallyport.conf.d/10.conf:1: hsm.token: " "no token with the configured label"
echo 'hsm.allow_software = no' >"$d/10.conf"
fault "a software HSM that is not allowed" "sallyport.conf" "software HSM"
printf 'gate.connections = 64\ngate.connections_per_ip = 65\n' >"$d/10.conf"
fault "numbers that contradict" "sallyport.conf.d/10.conf:2: gate.connections_per_ip: " "contradicts gate.connections = 64"
rm "$d/10.conf"
# what a preset means stands where init shows it: the broker's program that looks says what we tell it
mkdir "$work/libexec"
for p in "$SALLYPORT_LIBEXEC"/*; do ln -s "$(readlink -f "$p")" "$work/libexec/"; done
rm "$work/libexec/hsm"
broker() { printf '#include <stdio.h>\n#include <unistd.h>\nint main(int n, char **v) { (void)v; %s; return 0; }\n' "$1" | cc -x c -o "$work/libexec/hsm" -; }
broker 'puts(n == 3 ? "ok" : "hsm_token_missing")'
kept=$SALLYPORT_LIBEXEC
export SALLYPORT_LIBEXEC=$work/libexec
fault "a preset that means nothing here" "sallyport.conf:$(line_of '^#hsm.token = '): hsm.token: " "no token"
broker 'sleep(60)'
t0=$(date +%s)
fault "a module that hangs" "sallyport.conf:$(line_of '^#hsm.module = '): hsm.module: " "does not answer within 4 s"
check "… and holds up nobody" below $(($(date +%s) - t0)) 30
export SALLYPORT_LIBEXEC=$kept
chmod 0750 "$dir/vault"
fault "a directory that others may enter" "vault:1: directory: " "has mode 0750"
chmod 0700 "$dir/vault"
if [ "$(id -u)" = 0 ]; then
	chown 65534 "$dir/ledger"
	fault "a directory of another user" "ledger:1: directory: " "belongs to the user 65534"
	chown sallyport-ledger: "$dir/ledger"
fi
well "all mended it is valid again"

# ── all in one run, and files of their own ──
printf 'node = \nlistn = 1\n4242424242424242 = 1\n' >"$d/10.conf"
printf 'hsm_grace = 1s\nhsm.token = another\n' >"$d/20.conf"
chmod 0750 "$dir/vault"
look
check "six errors of form and meaning are told in one run" is "$(printf '%s' "$doc" | jq -r '[.problems[] | "\(.file):\(.line)"] | join(" ")')" \
	"sallyport.conf.d/10.conf:1 sallyport.conf.d/10.conf:2 sallyport.conf.d/10.conf:3 sallyport.conf.d/20.conf:1 vault:1 sallyport.conf.d/20.conf:2"
check "… the nearest key is named" has "$found" "sallyport.conf.d/10.conf:2: listn: unknown key; did you mean listen?"
check "… and what could be a number of a card is not repeated" lacks "$found$doc" 4242424242424242
rm "$d"/*
chmod 0700 "$dir/vault"
printf 'mode = test\nhsm.allow_software = yes\nlisten = 127.0.0.1:%s\ngate.processes = 99\n' "$port" >"$work/candidate.conf"
look "$work/candidate.conf"
check "a file of its own is looked at in the place of sallyport.conf" has "$found" "$work/candidate.conf:4: gate.processes: not a value"
sed -i 's/99/3/' "$work/candidate.conf"
look "$work/candidate.conf"
check "… and is valid" is "$code" 0
look "$work/none.conf"
check "… one that is not there is no missing appliance (1)" is "$code" 1
check "… whereas without an appliance that is said (6)" is "$(sallyport --dir "$work/none" config check >/dev/null 2>&1; echo $?)" 6

# ── as somebody who may see little ──
if [ "$(id -u)" = 0 ]; then
	install -m 0755 "$(command -v sallyport)" "$work/sallyport"
	as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$work/sallyport" --dir "$dir" "$@"; }
	found=$(as_nobody config check)
	check "a stranger hears no error, and no word of valid" is "$? $(printf '%s\n' "$found" | head -1 | cut -c1-14)" "0 no error found"
	check "… but what could not be looked at" has "$found" "tls/server.key:1: key: not checked: "
	chmod 0600 "$dir/sallyport.conf"
	found=$(as_nobody config check 2>&1)
	check "a file that may not be read is not a missing one (7)" is "$? $(printf '%s\n' "$found" | grep -c 'sallyport.conf:1: file: Permission denied')" "7 1"
	chmod 0644 "$dir/sallyport.conf"
fi

# ── a refused reload ──
start
well "the port of the running appliance is its own"
said() { # "what" needle: everyone says it
	local j
	j=$(sallyport --dir "$dir" --json status)
	text=$(sallyport --dir "$dir" status)
	check "$1: status keeps its state, with a cause" is "$(printf '%s\n' "$text" | head -1)" "serving — config refused; sallyport config check"
	check "… exit 0: it serves" is "$(printf '%s' "$j" | jq -r .exit_code)" 0
	check "… and tells what, since when, and what to do" has "$(printf '%s' "$text" | tr '\n' ' ')" \
		"$2"
	check "… the old one is in force" has "$text" "— the old one is in force"
	check "… next: config check" has "$text" "next: sallyport config check"
	check "… the same in JSON" has "$(printf '%s' "$j" | jq -r .configuration.refused.first)" "$2"
	api GET /health
	check "… /health" is "$status $(member code) $(member checks.configuration.code)" "200 config_refused config_refused"
	check "… which shows nobody the line" lacks "$body" "$2"
	api GET /metrics
	check "… the figures" has "$body" 'sallyport_config_refused_timestamp_seconds{process="'
	check "… the console's first line" has "$(TERM=dumb sallyport-console --dir "$dir" --plain --once --screen overview | head -2)" "config refused"
	check "… and what needs a person" has "$(TERM=dumb COLUMNS=200 sallyport-console --dir "$dir" --plain --once --screen overview)" "the configuration on disk was refused at"
}
unsaid() {
	check "$1" is "$(sallyport --dir "$dir" status | head -1)" "serving — all well"
	check "… nothing of it is left" is "$(sallyport --dir "$dir" --json status | jq -c .configuration.refused)" null
	api GET /health
	check "… in /health" is "$(member checks.configuration.code)" null
	api GET /metrics
	check "… in the figures" lacks "$body" 'sallyport_config_refused_timestamp_seconds{'
}
serves_on() { tokenize; api POST /v1/payments "$(new_key)" "{\"amount\":100,\"currency\":\"EUR\",\"token\":\"$token\"}"; check "$1" is "$status" 201; }
is_well() { [ "$(sallyport --dir "$dir" status | head -1)" = "serving — all well" ]; }
is_refused() { sallyport --dir "$dir" status | head -1 | grep -q 'config refused'; }

before=$(pid_of gate)
printf 'gate.idle_timeout = 9s\ngate.connections = many\n' >"$d/10.conf"
sallyport --dir "$dir" config reload >"$work/out" 2>&1
check "config reload refuses it (9)" is $? 9
check "… in two lines" is "$(sed 's/ T / /' "$work/out")" "sallyport: config reload: sallyport.conf.d/10.conf:2: gate.connections: not a value that this key takes; allowed: 8 to 65536 — the old one is in force
next: sallyport config check"
said "an error of form" "sallyport.conf.d/10.conf:2: gate.connections: not a value that this key takes"
check "… and the journal" has "$(cat "$dir/run/log")" '"first":"sallyport.conf.d/10.conf:2: gate.connections: not a value'
serves_on "payments go on"
check "… through the same processes" is "$(pid_of gate)" "$before"
herald=$(pid_of herald)
kill -9 "$herald"
came_back() { p=$(pid_of herald) && [ "${p:-0}" -gt 1 ] && [ "$p" != "$herald" ]; }
wait_until 100 came_back
wait_until 50 is_refused
said "a process that starts anew changes nothing in that" "sallyport.conf.d/10.conf:2: gate.connections: "
rm "$d/10.conf"
check "the file alone mends nothing: it stands until a reload" is_refused
sallyport --dir "$dir" --json config reload >"$work/out" 2>&1
check "a reload that is taken (0)" is "$? $(jq -r .result "$work/out")" "0 reloaded"
wait_until 50 is_well
unsaid "ends it"
kill -HUP "$(pid_of monitor)"
printf 'gate.connections_per_ip = 65\ngate.connections = 64\n' >"$d/10.conf"
kill -HUP "$(pid_of monitor)"
wait_until 50 is_refused
said "a bare SIGHUP is refused by the monitor itself" "sallyport.conf.d/10.conf:1: gate.connections_per_ip: 65 contradicts"
rm "$d/10.conf"
kill -HUP "$(pid_of monitor)"
wait_until 50 is_well
unsaid "… and taken when it is mended"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other.key" -subj /CN=other -days 90 -out "$tls/server.crt" 2>/dev/null
sallyport --dir "$dir" config reload >"$work/out" 2>&1
check "a certificate of another key is refused before any gate sees it (9)" is $? 9
said "an error of meaning" "tls/server.key:1: key: "
check "… no gate was asked" lacks "$(cat "$dir/run/log")" "TLS files kept as they were"
check "… and nothing is left in run/" is "$(ls "$dir/run" | grep -c refused)" 0
kill -HUP "$(pid_of monitor)"
gate_refused() { grep -q "TLS files kept as they were" "$dir/run/log"; }
wait_until 50 gate_refused
wait_until 50 is_refused
said "by a bare SIGHUP the gates refuse it" "tls/server.crt:1: certificate: the gate can't use what lies in tls/"
serves_on "… and serve with the old one"
cp -p "$work/server.crt" "$tls/server.crt"
sallyport --dir "$dir" config reload >"$work/out" 2>&1
wait_until 50 is_well
unsaid "mended and reloaded it is over"
# a verdict that a killed command left is no reason to refuse
echo 'x:1: y: z' >"$dir/run/config.refused" && touch -d '1 minute ago' "$dir/run/config.refused"
kill -HUP "$(pid_of monitor)"
gone() { [ ! -e "$dir/run/config.refused" ]; }
wait_until 50 gone
check "a verdict that lay about is thrown away" is_well

# ── a start ──
echo 'gate.connections = many' >"$d/10.conf"
stop
sallyportd --dir "$dir" >"$work/out" 2>&1
check "with a bad configuration it does not start (9)" is $? 9
check "… and says so in the same words" is "$(cat "$work/out")" \
	"sallyport: The configuration has errors: sallyport.conf.d/10.conf:1: gate.connections: not a value that this key takes; allowed: 8 to 65536
next: sallyport config check"
check "config reload has nobody to ask (5)" is "$(sallyport --dir "$dir" config reload >/dev/null 2>&1; echo $?)" 5
rm "$d/10.conf"
start
unsaid "a start with a mended one knows of nothing"
end
