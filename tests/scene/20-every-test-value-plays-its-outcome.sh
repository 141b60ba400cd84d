#!/bin/bash
# Every row of policy/test_values.def by its number, one of each outcome by its amount and by its fixed token, over the real
# API, and the issuer's books afterwards.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
appliance a
set_conf simulator.timeout 200ms
set_conf payment.inquire_after 100ms
set_conf payment.inquiries_max 3
start

rows() { # outcome|number|token|amount|decline|network|advice
	sed -n 's/^TEST(\(.*\))$/\1/p' "$top/policy/test_values.def" | tr -d '" ' | tr ',' '|'
}

# what the request answers with, and what the payment is in the end
first_status() {
	case $1 in
	DECLINE) echo 402 ;;
	TIMEOUT_BEFORE | TIMEOUT_AFTER | LATE | LATE_DECLINE | SILENT) echo 504 ;;
	ERROR | AWAY) echo 502 ;;
	*) echo 201 ;;
	esac
}
last_state() {
	case $1 in
	DECLINE | LATE_DECLINE) echo declined ;;
	TIMEOUT_BEFORE | ERROR | AWAY) echo failed ;;
	SILENT) echo needs_review ;;
	*) echo authorized ;;
	esac
}
lines() {
	case $1 in
	TIMEOUT_BEFORE | ERROR | AWAY) echo 0 ;;
	*) echo 1 ;;
	esac
}

state_is() {
	api GET "/v1/payments/$1"
	[ "$(member status)" = "$2" ]
}

pay() { # token amount: sets payment
	api POST /v1/payments "$(new_key)" "{\"amount\":$2,\"currency\":\"EUR\",\"token\":\"$1\",\"capture_method\":\"manual\"}"
	payment=$(member id)
	[ "$status" = 201 ] || payment=$(member payment.id)
}

tries=()
row_by() { # title outcome token amount decline network advice
	pay "$3" "$4"
	check "$1: the answer's status" is "$status" "$(first_status "$2")"
	if [ "$2" = DECLINE ]; then
		check "$1: the decline is told" is "$(member code) $(member decline_code) $(member network_code) $(member advice)" "card_declined $5 $6 $7"
	fi
	tries+=("$1|$2|$payment")
}

while IFS='|' read -r outcome number _ amount decline network advice; do
	tokenize "$number"
	check "$number gives a token" has "200 201" "$status"
	row_by "$outcome $number" "$outcome" "$token" 1234 "$decline" "$network" "$advice"
done < <(rows)
tokenize 4242424242424242
plain=$token
while IFS='|' read -r outcome number _ amount decline network advice; do
	row_by "$outcome $amount" "$outcome" "$plain" "$amount" "$decline" "$network" "$advice"
done < <(rows | awk -F'|' '!seen[$1]++')
while IFS='|' read -r outcome number token amount decline network advice; do
	row_by "$outcome $token" "$outcome" "$token" 1234 "$decline" "$network" "$advice"
done < <(rows | awk -F'|' '$1 == "DECLINE" || !seen[$1]++')

for try in "${tries[@]}"; do
	IFS='|' read -r title outcome payment <<<"$try"
	check "$title: its last state" wait_until 100 state_is "$payment" "$(last_state "$outcome")"
	check "$title: its lines in the issuer's books" is "$(grep -c "\"kind\":\"authorize\",\"payment\":\"$payment\"" "$dir/courier/simulator.jsonl")" "$(lines "$outcome")"
done
check "rows were found" test "${#tries[@]}" -gt 60

# what comes after an authorization
operate() { # payment path json
	api POST "/v1/payments/$1/$2" "$(new_key)" "$3"
}
tokenize 4000009900000400
pay "$token" 1000
operate "$payment" capture '{}'
check "a capture that fails is no capture" state_is "$payment" authorized
operate "$payment" void '{}'
check "… and can be voided" is "$status $(member status)" "200 voided"
tokenize 4000009900000418
pay "$token" 1000
operate "$payment" void '{}'
check "a void that fails leaves the authorization" state_is "$payment" authorized
tokenize 4000000000005126
pay "$token" 1000
operate "$payment" capture '{}'
operate "$payment" refunds '{}'
check "a refund that fails gives nothing back" state_is "$payment" captured
pay "$plain" 2000000
operate "$payment" capture '{"amount":900062,"final":false}'
check "a capture whose answer is lost is found" wait_until 100 state_is "$payment" partially_captured
operate "$payment" capture '{"amount":900061,"final":false}'
check "a capture that never arrived is not one" is "$(api GET "/v1/payments/$payment"; member amount_captured)" 900062

# a pending refund stays so for one timeout: it gets a longer one, by a reload, so that a busy machine sees it too
set_conf simulator.timeout 3s
kill -HUP "$daemon"
sleep 1
tokenize 4000000000007726
pay "$token" 1000
operate "$payment" capture '{}'
operate "$payment" refunds '{"amount":400}'
check "a pending refund says so" is "$status $(member status)" "201 pending"
check "… and succeeds later" wait_until 100 state_is "$payment" partially_refunded

# the issuer's books agree with ours
sums() {
	jq -s 'map(select(.outcome == "approved")) | group_by(.kind) | map({(.[0].kind): (map(.amount) | add)}) | add' "$dir/courier/simulator.jsonl"
}
echo "   the issuer's sums: $(sums | tr -d '\n ')"
check "no number and no token is in the books" bash -c "! grep -qE '\"tok_|[^0-9]4[0-9]{15}[^0-9]' '$dir/courier/simulator.jsonl'"
check "the read models are what the events say" sallyport --dir "$dir" ledger rebuild
end
