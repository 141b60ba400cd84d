#!/bin/bash
# Each answer names its request; its client is told what became of it, within a second and from any gate, for as long as it is
# kept; nobody else is. Nothing that a client sent stands in what is kept.
. "$(dirname "$0")/lib.sh"

below() { [ "$1" -lt "$2" ] || { echo "     saw: $1, not below $2"; return 1; }; }
id_of() { printf '%s\n' "$headers" | sed -n 's/^Request-Id: //p'; }
story() { # id: asks within the second
	local t0
	t0=$(date +%s%N)
	api GET "/v1/requests/$1"
	took_ms=$((($(date +%s%N) - t0) / 1000000))
}
told() { # "what" route status code idempotency payment
	check "$1: its story is told" is "$status $(member id) $(member object)" "200 $id request"
	check "… route, status, code, what its key meant, payment" is \
		"$(member route)|$(member status)|$(member code)|$(member idempotency)|$(member payment)" "$2|$3|$4|$5|$6"
	check "… in less than a second" below "$took_ms" 1000
	check "… its times add up" is "$(printf '%s' "$body" | jq '.timings | .total_us > 0 and .total_us == .gate_us + .vault_us + .ledger_us')" true
}
pay() { api POST /v1/payments "$1" "{\"amount\":${2:-100},\"currency\":\"EUR\",\"token\":\"$token\"}"; id=$(id_of); }

appliance a
set_conf gate.processes 3
set_conf requests.keep 1m
start
tokenize
id=$(id_of)
story "$id"
told "a card" "POST /v1/tokens" 201 null first null
check "… most of it in the vault" is "$(printf '%s' "$body" | jq '.timings.vault_us > 0 and .timings.ledger_us == 0')" true
once=$(new_key)
pay "$once"
payment=$(member id)
trace=$(printf '%s\n' "$headers" | sed -n 's/^traceparent: //p')
story "$id"
told "a payment" "POST /v1/payments" 201 null first "$payment"
check "… with its trace" is "$(member traceparent)" "$trace"
check "… and the ledger's time" is "$(printf '%s' "$body" | jq '.timings.ledger_us > 0')" true
leaf=$(member 'leaves[0]')
sallyport --dir "$dir" audit export --output "$work/x.tar" >/dev/null
sallyport-verify "$work/x.tar" >/dev/null && sallyport audit verify "$work/x.tar" --record "ledger:$leaf" >"$work/leaf" 2>&1
check "… its leaf in the signed log names it" has "$(cat "$work/leaf")" "$id"
pay "$once"
story "$id"
told "the same again" "POST /v1/payments" 201 null replayed "$payment"
pay "$once" 200
story "$id"
told "its key with another body" "POST /v1/payments" 409 idempotency_key_reused reused null
api POST "/v1/payments/$payment/refunds" "$(new_key)" '{"amount":10}'
id=$(id_of)
story "$id"
told "a refund" "POST /v1/payments/{pay}/refunds" 201 null first "$payment"
tokenize 4000000000000002
pay "$(new_key)"
declined=$(member payment.id)
story "$id"
told "a decline" "POST /v1/payments" 402 card_declined first "$declined"
api GET "/v1/payments/$payment"
id=$(id_of)
story "$id"
told "a read" "GET /v1/payments/{pay}" 200 null none "$payment"
api POST /v1/payments "$(new_key)" '{"amount":1,"currency":"EUR","token":"tok_X","metadata":{"a":"4242424242424242"}}'
id=$(id_of)
story "$id"
told "what is refused at the door" "POST /v1/payments" 400 pan_in_metadata first null
check "… no card number stands in it" lacks "$body" 4242

# every gate tells, whoever took it
misses=0
for i in $(seq 1 12); do
	api GET /v1/whoami
	id=$(id_of)
	story "$id"
	[ "$status" = 200 ] || misses=$((misses + 1))
done
check "twelve requests over three gates are all told" is "$misses" 0

# nobody else
sallyport --dir "$dir" client add other --scopes payments:read >/dev/null
client=other
story "$id"
check "another client's request is not there" is "$status $(member code)" "404 no_such_object"
other=$body
client=demo
story req_00000000000000000000000000
strip() { printf '%s' "$1" | jq -S 'del(.request_id, .trace_id, .instance)'; }
check "… told as one that never was" is "$(strip "$other")" "$(strip "$body")"
story nonsense
check "what is no id is told as that" is "$status $(member code)" "400 invalid_id"
api GET /livez
id=$(id_of)
story "$id"
check "of what needs no client nothing is kept" is "$status" 404

# for officers
pay "$(new_key)"
story "$id"
text=$(sallyport --dir "$dir" request show "$id")
check "request show says it on one line" has "$(printf '%s\n' "$text" | head -1)" "$id  POST /v1/payments  $(member status)"
check "… whose it was" has "$text" "client       demo"
check "… the same in JSON" is "$(sallyport --dir "$dir" --json request show "$id" | jq -c '[.route, .idempotency, .payment, .leaves, .timings.total_us]')" \
	"$(printf '%s' "$body" | jq -c '[.route, .idempotency, .payment, .leaves, .timings.total_us]')"

# a number in the trace is no place for a card
answer=$(curl -sSi --cacert "$dir/ca.crt" --cert "$dir/clients/demo.crt" --key "$dir/clients/demo.key" \
	-H 'traceparent: 00-a4242424242424242a00000000000000-b7ad6b7169203331-01' "$base/v1/whoami" | tr -d '\r')
id=$(printf '%s\n' "$answer" | sed -n 's/^Request-Id: //p')
story "$id"
check "a trace that holds a card number is not kept" is "$status $(member traceparent)" "200 null"

# it outlives a process that dies, and a restart
pay "$(new_key)"
sleep 0.5
crash ledger
serves() { api GET /v1/whoami && [ "$status" = 200 ]; }
wait_until 100 serves
story "$id"
check "a ledger that dies forgets none" is "$status" 200
stop
start
story "$id"
check "… nor does a restart" is "$status" 200

# bounded
before=$id
set_conf requests.size_max 64KiB
sallyport --dir "$dir" config reload >/dev/null
flood() {
	for i in $(seq 1 1000); do printf 'url = "%s/v1/whoami"\noutput = "/dev/null"\n' "$base"; done |
		curl -sS --cacert "$dir/ca.crt" --cert "$dir/clients/demo.crt" --key "$dir/clients/demo.key" -K -
}
flood
sleep 1.2
api GET /v1/whoami
id=$(id_of)
gone() { story "$before"; [ "$status" = 404 ]; }
check "when there is no more room the oldest goes" wait_until 30 gone
story "$id"
check "… and the newest is there" is "$status" 200
check "no gate had to be started again" is "$(sallyport --dir "$dir" --json status | jq '[.processes[] | select(.process=="gate") | .restarts] | add')" 0
end
