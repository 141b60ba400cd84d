#!/bin/bash
# Certificates are changed while clients are connected; a broken file changes nothing.
. "$(dirname "$0")/lib.sh"
appliance a
start
tls=$dir/tls

# server_issue DAYS: a new key and certificate of the appliance's CA in place of the server's
server_issue() {
	printf 'extendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n' >"$work/ext"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/new.key" -subj "/CN=localhost" 2>/dev/null |
		openssl x509 -req -CA "$dir/ca/ca.crt" -CAkey "$dir/ca/ca.key" -days "$1" -set_serial 0x$(openssl rand -hex 8) -extfile "$work/ext" -out "$work/new.crt" 2>/dev/null
	cat "$work/new.key" >"$tls/server.key"
	cat "$work/new.crt" >"$tls/server.crt"
}
shown() { # the fingerprint that the gates show, one line for each that differs
	for _ in 1 2 3 4 5 6; do
		openssl s_client -connect "127.0.0.1:$port" -cert "$dir/clients/demo.crt" -key "$dir/clients/demo.key" </dev/null 2>/dev/null |
			openssl x509 -noout -fingerprint -sha256
	done | sort -u
}
fingerprint() { openssl x509 -noout -fingerprint -sha256 -in "$1"; }
reload() {
	kill -HUP "$daemon"
	sleep 0.5
}

# a client that stays connected through all of it
cat >"$work/steady.py" <<'X'
import http.client, ssl, sys, time, os
port, ca, cert, key, end = int(sys.argv[1]), *sys.argv[2:6]
c = ssl.create_default_context(cafile=ca); c.check_hostname = False; c.load_cert_chain(cert, key)
h = http.client.HTTPSConnection("127.0.0.1", port, context=c, timeout=10); h.connect(); s = h.sock
n = 0
while not os.path.exists(end):
    h.request("GET", "/v1/whoami"); r = h.getresponse(); r.read(); n += 1
    assert r.status == 200 and h.sock is s, r.status
    time.sleep(0.02)
print("steady", n > 10)
X
python3 "$work/steady.py" "$port" "$dir/ca.crt" "$dir/clients/demo.crt" "$dir/clients/demo.key" "$work/enough" >"$work/steady" 2>&1 &
steady=$!

first=$(fingerprint "$tls/server.crt")
check "all gates show the server's certificate" is "$(shown)" "$first"
server_issue 40
reload
second=$(fingerprint "$tls/server.crt")
check "after a reload they show the new one" is "$(shown)" "$second"
api GET /metrics
expiry=$(printf '%s\n' "$body" | sed -n 's/^sallyport_certificate_expiry_timestamp_seconds{process="gate",instance="0"} //p')
check "the metric says when it expires" is "$expiry" "$(date -d "$(openssl x509 -noout -enddate -in "$tls/server.crt" | cut -d= -f2)" +%s)"

cp "$tls/server.crt" "$work/good.crt"
head -c 200 "$work/good.crt" >"$tls/server.crt"
reload
check "half a certificate changes nothing" is "$(shown)" "$second"
check "… and a line says which file" grep -q '"TLS files kept as they were"' "$dir/run/log"
cat "$dir/clients/demo.key" >"$tls/server.key"
cat "$work/good.crt" >"$tls/server.crt"
reload
check "a key of another certificate changes nothing" is "$(shown)" "$second"
check "… and a line says why" grep -q 'key (does not fit the certificate)' "$dir/run/log"
server_issue 40
reload
check "then a good pair is taken" is "$(shown)" "$(fingerprint "$tls/server.crt")"

touch "$work/enough"
wait "$steady"
check "the connected client noticed nothing" is "$(cat "$work/steady")" "steady True"
check "no process was started again" is "$(sallyport --dir "$dir" --json status | jq '[.processes[].restarts] | add')" 0

# another CA for clients: the old client is a stranger then, but only for new connections
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other.key" -subj "/CN=other" -days 5 -out "$work/other.crt" 2>/dev/null
cp "$tls/clients-ca.crt" "$work/clients-ca.crt"
cat "$work/other.crt" >"$tls/clients-ca.crt"
reload
api GET /livez
check "under another CA the old client gets no answer" is "$status" 0
cat "$work/clients-ca.crt" >"$tls/clients-ca.crt"
reload
api GET /livez
check "under its own it does again" is "$status" 200
# a certificate that ends: named while there is time, an outage when there is none, mended by one command
line_is() { [ "$(sallyport --dir "$dir" status --no-color | head -1)" = "$1" ]; }
server_issue 20
reload
check "a certificate that ends within 30 days is named" wait_until 30 line_is "serving — certificate expires soon; sallyport certificate renew"
sallyport --dir "$dir" status >/dev/null
check "… and it serves (0)" is "$?" 0
server_issue 0
reload
check "one that has expired is an outage" wait_until 30 line_is "refusing effects — certificate expired; sallyport certificate renew"
sallyport --dir "$dir" status >/dev/null
check "… (4)" is "$?" 4
insecure() { curl -sk --cert "$dir/clients/demo.crt" --key "$dir/clients/demo.key" "https://127.0.0.1:$port/$1" "${@:2}"; }
check "… /health says the same to who does not look" is "$(insecure health | jq -r '.status + " " + .code')" "refusing certificate_expired"
check "the command makes a new one" sallyport --dir "$dir" certificate renew
reload
check "after a reload all is well" wait_until 30 line_is "serving — all well"
tokenize
check "and clients come in, who trust the same CA" is "$status" 201
stop

# The address that is listened on stands in the certificate, whatever its family, at init and when it is renewed.
names() { openssl x509 -noout -ext subjectAltName -in "$dir/tls/server.crt" | tail -1 | tr -d ' '; }
six=$(free_port)
always=IPAddress:127.0.0.1,DNS:localhost
for row in "[::1]:$six $always,IPAddress:0:0:0:0:0:0:0:1" "[::]:$six $always" "0.0.0.0:$six $always" "127.0.0.2:$six $always,IPAddress:127.0.0.2"; do
	set -- $row
	dir=$work/on-${1//[^a-z0-9.]/_}
	sallyport --dir "$dir" init --software-hsm --yes --listen "$1" >"$work/init.log" 2>&1
	check "init on $1 names it" is "$(names)" "$2"
	sallyport --dir "$dir" certificate renew >/dev/null
	check "… and so does a renewed certificate" is "$(names)" "$2"
done
dir=$work/on-___1__$six
start
check "a client comes in over IPv6" is "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$dir/ca.crt" --cert "$dir/clients/demo.crt" --key "$dir/clients/demo.key" "https://[::1]:$six/livez")" 200
end
