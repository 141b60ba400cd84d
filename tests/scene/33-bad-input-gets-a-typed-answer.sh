#!/bin/bash
# Every kind of bad input gets a typed problem or a closed connection; no process dies, other clients notice nothing.
. "$(dirname "$0")/lib.sh"
raw=$(dirname "$0")/../attack/raw_http.py
appliance a
set_conf gate.request_timeout 1s
set_conf gate.handshake_timeout 1s
start
mkdir "$work/pki"

# pki NAME USAGE DAYS [ca|foreign]: a certificate as one may turn up here
issue() {
	local ca=$dir/ca/ca
	[ "${4:-ca}" = ca ] || ca=$work/pki/foreign
	printf 'extendedKeyUsage=%s\nkeyUsage=digitalSignature\n' "$2" >"$work/pki/$1.ext"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/pki/$1.key" -subj "/CN=$1" 2>/dev/null |
		openssl x509 -req -CA "$ca.crt" -CAkey "$ca.key" -days "$3" -set_serial 0x$(openssl rand -hex 8) -extfile "$work/pki/$1.ext" -out "$work/pki/$1.crt" 2>/dev/null
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/pki/foreign.key" -subj "/CN=foreign" -days 5 -out "$work/pki/foreign.crt" 2>/dev/null
issue stranger clientAuth 5
issue enemy clientAuth 5 foreign
issue server serverAuth 5
issue old clientAuth 5
# one that has expired: newer OpenSSL makes none with -days -1, and openssl ca alone takes both dates everywhere
mkdir "$work/pki/ca" && : >"$work/pki/ca/index" && echo 01 >"$work/pki/ca/serial"
printf '[ca]\ndefault_ca=x\n[x]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' \
	"$work/pki/ca" "$work/pki/ca" "$work/pki/ca" >"$work/pki/ca/conf"
openssl req -new -key "$work/pki/old.key" -subj /CN=old -out "$work/pki/ca/csr" 2>/dev/null
openssl ca -batch -notext -config "$work/pki/ca/conf" -cert "$dir/ca/ca.crt" -keyfile "$dir/ca/ca.key" -in "$work/pki/ca/csr" -extfile "$work/pki/old.ext" \
	-startdate "$(date -u -d '3 days ago' +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d '1 day ago' +%Y%m%d%H%M%SZ)" -out "$work/pki/old.crt" 2>/dev/null
with() { # NAME PATH: a request with that certificate; sets status and body
	body=$(curl -sS --max-time 10 --cacert "$dir/ca.crt" --cert "$work/pki/$1.crt" --key "$work/pki/$1.key" -w '\n%{http_code}' "$base$2" 2>"$work/curl.err")
	status=${body##*
}
	body=${body%
*}
}
logged() { wait_until 20 grep -q "$1" "$dir/run/log"; }

# another client works all the while, on one connection, and counts what goes wrong
cat >"$work/steady.py" <<'X'
import http.client, ssl, sys, time, os
port, ca, cert, key, end = int(sys.argv[1]), *sys.argv[2:6]
c = ssl.create_default_context(cafile=ca); c.check_hostname = False; c.load_cert_chain(cert, key)
h = http.client.HTTPSConnection("127.0.0.1", port, context=c, timeout=10)
n = bad = 0
while not os.path.exists(end):
    try:
        h.request("GET", "/v1/whoami"); r = h.getresponse(); r.read(); n += 1; bad += r.status != 200
    except Exception as e:
        bad += 1; print(e, file=sys.stderr)
    time.sleep(0.02)
print(n, bad)
X
demo=("$dir/ca.crt" "$dir/clients/demo.crt" "$dir/clients/demo.key")
python3 "$work/steady.py" "$port" "${demo[@]}" "$work/enough" >"$work/steady" 2>"$work/steady.err" &
steady=$!
before=$(sallyport --dir "$dir" --json status | jq -c '[.processes[].pid]')

for group in smuggling limits methods slow tls; do
	"$raw" "$port" "${demo[@]}" $group >"$work/raw.$group" 2>&1
	check "$group: each of $(grep -c . "$work/raw.$group") cases ends as it must" is "$(grep -v '^ok' "$work/raw.$group")" ""
done

"$raw" "$port" "${demo[@]}" planted >"$work/raw.planted" 2>&1
check "three planted faults are noticed" is "$?" 3

with enemy /livez
check "a certificate of a foreign CA gets no answer" is "$status" 000
check "… and a line that says why" logged "client certificate of an unknown CA"
with server /livez
check "a server's certificate gets no answer" is "$status" 000
check "… and a line that says why" logged "certificate is not for clients"
with old /livez
check "an expired certificate gets no answer" is "$status" 000
check "… and a line that says why" logged "client certificate expired"
check "no certificate: a line that says why" logged "no client certificate"
check "the lines name the certificate" logged "$(openssl x509 -in "$work/pki/enemy.crt" -outform DER | sha256sum | cut -d' ' -f1)"

with stranger /livez
check "any certificate of the CA may see that it lives" is "$status" 200
with stranger /v1/payments
check "a certificate without a client record is 401" is "$status" 401
check "… client_unknown" is "$(member code)" client_unknown
with stranger /v1/nothing
check "… and learns nothing about paths but that they are not there" is "$status" 404

# JSON: the field is named, the value is not
pan=4242424242424242
bad_body() { # SENTENCE PATH JSON STATUS CODE POINTER
	api POST "$2" "$(new_key)" "$3"
	check "$1" is "$status $(member code) $(member 'errors[0].pointer')" "$4 $5 $6"
	check "… without its value" lacks "$body" "$pan"
}
bad_body "a misspelled member" /v1/payments '{"amount":1,"curency":"EUR","token":"tok_test_visa"}' 400 unknown_member /curency
check "… with the name that was meant" is "$(member 'errors[0].nearest')" currency
bad_body "an amount with a fraction" /v1/payments '{"amount":1.5,"currency":"EUR","token":"tok_test_visa"}' 400 wrong_type /amount
bad_body "an amount of nothing" /v1/payments '{"amount":0,"currency":"EUR","token":"tok_test_visa"}' 400 amount_out_of_range /amount
bad_body "no such currency" /v1/payments '{"amount":1,"currency":"QQQ","token":"tok_test_visa"}' 422 unsupported_currency /currency
bad_body "a card number in the order id" /v1/payments "{\"amount\":1,\"currency\":\"EUR\",\"token\":\"tok_test_visa\",\"order_id\":\"x $pan\"}" 400 pan_in_metadata /order_id
bad_body "a card number as a member's name" /v1/payments "{\"$pan\":1}" 400 unknown_member ""
bad_body "a card that fails its check digit" /v1/tokens '{"card":{"number":"4242424242424241","exp_month":12,"exp_year":2031}}' 422 invalid_number /card/number
bad_body "the same as a payment" /v1/payments '{"amount":1,"currency":"EUR","card":{"number":"4242424242424241","exp_month":12,"exp_year":2031}}' 422 invalid_number /card/number
bad_body "a card that has expired" /v1/tokens "{\"card\":{\"number\":\"$pan\",\"exp_month\":1,\"exp_year\":2020}}" 422 expired_card /card/exp_year
bad_body "track data" /v1/tokens "{\"card\":{\"number\":\"$pan\",\"exp_month\":1,\"exp_year\":2031,\"track2\":\"$pan=3112\"}}" 422 track_data_refused /card/track2
bad_body "what is not served yet" /v1/payments '{"amount":1,"currency":"EUR","encrypted":"x"}' 422 not_supported /encrypted
bad_body "token and card at once" /v1/payments "{\"amount\":1,\"currency\":\"EUR\",\"token\":\"tok_test_visa\",\"card\":{\"number\":\"$pan\",\"exp_month\":1,\"exp_year\":2031}}" 400 payment_source null
bad_body "a merchant of somebody else" /v1/payments '{"amount":1,"currency":"EUR","token":"tok_test_visa","merchant":"other"}' 403 merchant_not_allowed null
bad_body "a member twice" /v1/payments '{"amount":1,"amount":2,"currency":"EUR","token":"tok_test_visa"}' 400 malformed_json null
api GET "/v1/payments?limit=1000"
check "a query out of bounds" is "$status $(member code) $(member 'errors[0].parameter')" "400 invalid_query limit"
api GET /v1/payments/pay_nothing
check "an id that is none" is "$status $(member code)" "400 invalid_id"
api GET /v1/payments/pay_00000000000000000000000000
check "an id of nothing" is "$status $(member code)" "404 payment_not_found"
api GET /v1/tokens/tok_00000000000000000000000000
check "a token of nobody" is "$status $(member code)" "404 token_not_found"

touch "$work/enough"
wait "$steady"
check "the other client noticed nothing" is "$(cut -d' ' -f2 "$work/steady")" 0
check "no process died" is "$(sallyport --dir "$dir" --json status | jq -c '[.processes[].pid]')" "$before"
check "no log line holds a card number" lacks "$(cat "$dir/run/log")" "$pan"
end
