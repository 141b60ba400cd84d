#!/bin/bash
# Without its PIN an appliance stays up, sealed, and says so to everybody; with a wrong one too, and it costs the token one
# try only; when the right one comes, a reload opens it. Nothing is lost meanwhile.
. "$(dirname "$0")/lib.sh"
appliance a
start
tokenize
api POST /v1/payments p1 "{\"amount\":100,\"currency\":\"EUR\",\"token\":\"$token\"}"
payment=$(member id)
stop
pin=$dir/credentials/hsm-pin
mv "$pin" "$work/pin"
: >"$dir/run/ready"
sallyportd --dir "$dir" >"$dir/run/ready" 2>>"$dir/run/log" &
daemon=$!
echo "$daemon" >"$dir/run/pid"
answers() { api GET /livez; [ "$status" = 200 ]; }
line() { sallyport --dir "$dir" status --no-color | head -1; }
line_is() { [ "$(line)" = "$1" ]; }
check "without a PIN the gate still answers" wait_until 100 answers
check "status says what is missing and what to do" wait_until 50 line_is "sealed — hsm pin missing; provide the credential hsm-pin and restart"
sallyport --dir "$dir" status >"$work/seen"
check "… and exits 3" is "$?" 3
api GET /v1/payments
check "a read is told that the vault is sealed, and when to come again" is "$status $(member code) $(member retryable)" "503 vault_sealed true"
check "… with the header" has "$headers" "Retry-After:"
api POST /v1/tokens "$(new_key)" "$(card_json)"
check "an effect is told the same" is "$status $(member code)" "503 vault_sealed"
curl -s --cacert "$dir/ca.crt" -o "$work/anon" "https://127.0.0.1:$port/v1/payments"
check "a stranger without a certificate is told nothing" test ! -s "$work/anon"
for path in /readyz /health; do
	api GET $path
	check "$path names the cause" is "$status $(member status) $(member code)" "503 sealed hsm_pin_missing"
done

# the broker's own line: others that name the cause may come later
tries() { grep -c '"verb":"hsm_login","cause":"hsm_pin_refused' "$dir/run/log"; }
printf '%s\n' 000000000 >"$pin"
chmod 0600 "$pin"
kill -HUP "$daemon"
check "a wrong PIN is tried, and refused" wait_until 50 eval 'line | grep -q "^sealed.*refused"'
kill -HUP "$daemon"
kill -HUP "$daemon"
sleep 2.5
check "the same wrong PIN is not tried again" is "$(tries)" 1
check "no PIN in the log" lacks "$(cat "$dir/run/log")" 000000000

cp "$work/pin" "$pin"
kill -HUP "$daemon"
check "with the right one a reload opens it" wait_until 100 line_is "serving — all well"
api GET "/v1/payments/$payment"
check "what was there is there" is "$status $(member status)" "200 captured"
api POST /v1/payments p2 "{\"amount\":100,\"currency\":\"EUR\",\"token\":\"$token\"}"
check "and it works" is "$status $(member status)" "201 captured"
kill -HUP "$daemon"
sleep 0.5
check "another reload changes nothing" line_is "serving — all well"
end
