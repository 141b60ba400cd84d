#!/bin/bash
# What is done, and what is refused, is on the record: each operation and the events that it must leave, in which log.
. "$(dirname "$0")/lib.sh"
appliance a
start

seen_vault=0 seen_ledger=0
records() { sallyport --dir "$dir" audit tail --raw --log "$1" --lines 1000; }
mark() { for l in vault ledger; do eval "seen_$l=$(records $l | tail -1 | jq .seq)"; done; }
# what LOG: the events and outcomes since the mark
what() { records "$1" | jq -r --argjson from "$(eval echo "\$seen_$1")" 'select(.seq > $from) | .ev + ":" + .outcome' | sort | uniq | tr '\n' ' '; }
# leaves "sentence" LOG EVENT:OUTCOME…: each of them is there since the mark (some come a moment after the answer)
leaves() {
	left=$1 log=$2
	shift 2
	for event in "$@"; do
		check "$left: $event in the $log's log" found
	done
}
there() { case " $(what "$log")" in *" $event "*) return 0 ;; esac; return 1; }
found() { wait_until 120 there || { echo "     since then: $(what "$log")"; return 1; }; }

check "the start is on the record" bash -c "sallyport --dir '$dir' audit tail --raw --log vault --lines 1000 | jq -r .ev | sort -u | tr '\n' ' ' | grep -q 'key.make key.state .*officer.enrol .*process.start .*vault.init .*vault.unseal'"
check "… and the ledger's" bash -c "sallyport --dir '$dir' audit tail --raw --log ledger --lines 1000 | jq -r .ev | sort -u | tr '\n' ' ' | grep -q 'client.add .*ledger.init .*ledger.start .*merchant.add'"

mark
tokenize 4242424242424242 123
leaves "a card is stored" vault token.create:ok
mark
api POST /v1/payments "p-$seed" "{\"amount\":900,\"currency\":\"EUR\",\"token\":\"$token\",\"capture_method\":\"manual\"}"
payment=$(member id)
check "a payment is authorized" is "$status" 201
leaves "a payment" ledger payment.request:ok payment.result:ok
leaves "a payment" vault token.redeem:ok cvc.wipe:ok
mark
api POST "/v1/payments/$payment/capture" "c-$seed" '{"amount":400,"final":false}'
leaves "a capture" ledger capture.request:ok capture.result:ok
mark
api POST "/v1/payments/$payment/refunds" "r-$seed" '{"amount":100}'
leaves "a refund" ledger refund.request:ok refund.result:ok
mark
api POST "/v1/payments/$payment/void" "v0-$seed" '{}'
check "a captured payment can't be voided" is "$status" 409
leaves "a refused void" ledger payment.refused:deny
mark
api POST /v1/payments "q-$seed" "{\"amount\":800,\"currency\":\"EUR\",\"token\":\"$token\",\"capture_method\":\"manual\"}"
second=$(member id)
api POST "/v1/payments/$second/void" "v-$seed" '{}'
leaves "a void" ledger void.request:ok void.result:ok
mark
tokenize 4000000000009995
declined=$token
api POST /v1/payments "d-$seed" "{\"amount\":100,\"currency\":\"EUR\",\"token\":\"$declined\"}"
check "a card is declined" is "$status" 402
leaves "a decline" ledger payment.result:deny
mark
api POST /v1/tokens "bad-$seed" "$(card_json 4242424242424241)"
check "a card that fails its check digit is refused" is "$status" 422
leaves "a refused card" vault token.refused:deny
mark
api DELETE "/v1/tokens/$declined"
leaves "a card is erased" vault token.delete:ok
mark
sallyport --dir "$dir" client add shop --scopes payments:read >/dev/null 2>&1
leaves "a client is added" ledger client.add:ok
leaves "an officer signs" vault officer.signature:ok
mark
client=shop
api POST /v1/tokens "no-$seed" "$(card_json 4242424242424242)"
check "without the scope it is refused" is "$status" 403
for i in 1 2 3 4 5 6 7 8 9; do api POST /v1/tokens "no-$seed-$i" "$(card_json 4242424242424242)"; done
client=demo
leaves "a refusal" ledger request.denied:deny
refused() { records ledger | jq -s --argjson from "$seen_ledger" '[.[] | select(.seq > $from and .ev == "request.denied")] | {count: (map(.count) | add), records: length, code: .[0].code, who: .[0].actor.id, ip: .[0].origin.ip}' | jq -r '"\(.count) \(.records < 4) \(.code) \(.who) \(.ip)"'; }
all_told() { is "$(refused)" "10 true insufficient_scope shop 127.0.0.0/24"; }
check "ten refusals are few records, by network and code" wait_until 120 all_told
mark
sallyport --dir "$dir" ledger rebuild >/dev/null
leaves "a rebuild" ledger ledger.rebuild:ok
mark
sallyport --dir "$dir" audit export --output "$work/x.tar" >/dev/null
leaves "an export" vault audit.read:ok audit.export:ok
leaves "an export" ledger audit.read:ok
mark
crash courier
leaves "a process died" ledger process.died:error
stop
start
check "a stop and a start are on the record" bash -c "sallyport --dir '$dir' audit tail --raw --log vault --lines 1000 | jq -r .ev | grep -q process.stop"
mark
stop
start
leaves "a stop" vault vault.seal:ok process.stop:ok process.start:ok vault.unseal:ok

end
