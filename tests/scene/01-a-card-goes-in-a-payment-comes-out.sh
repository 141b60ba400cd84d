#!/bin/bash
# The first road, request by request, over TLS 1.3 with a client certificate.
. "$(dirname "$0")/lib.sh"
appliance a
start
check "every process is in its jail, as the kernel tells" has "$(sallyport --dir "$dir" jail | head -1)" "in force — "

api POST /v1/tokens t1 "$(card_json 4242424242424242 123)"
check "a card gives a token" is "$status" 201
token=$(member id)
check "the token has its form" bash -c "[[ '$token' =~ ^tok_[0-9A-HJKMNP-TV-Z]{26}\$ ]]"
check "the answer is masked" is "$(member card.last4)" 4242
check "no number comes back" lacks "$body" 4242424242424242
check "a code is held until the authorization" is "$(member cvc_state)" held
check "the token says that it is a test" is "$(member livemode)" false
api POST /v1/tokens t2 "$(card_json 4242424242424242)"
check "the same card again is the same token" is "$(member id) $status" "$token 200"
check "… and says so" has "$headers" "Deduplicated: true"
api POST /v1/tokens t1 "$(card_json 4242424242424242 123)"
check "the same key again is the same token" is "$(member id)" "$token"
api GET "/v1/tokens/$token"
check "it can be read, masked" is "$status $(member card.last4)" "200 4242"

api POST /v1/payments p1 "{\"amount\":4999,\"currency\":\"EUR\",\"token\":\"$token\",\"capture_method\":\"manual\",\"order_id\":\"o-1\",\"metadata\":{\"k\":\"v\"}}"
check "an authorization" is "$status $(member status) $(member amount_authorized)" "201 authorized 4999"
payment=$(member id)
check "metadata comes back" is "$(member metadata.k)" v
api POST "/v1/payments/$payment/capture" c1 '{"amount":2000,"final":false}'
check "a part is captured" is "$status" 201
api GET "/v1/payments/$payment"
check "the payment is partially captured" is "$(member status) $(member amount_captured)" "partially_captured 2000"
api POST "/v1/payments/$payment/capture" c2 '{}'
check "the rest is captured" is "$status $(member amount)" "201 2999"
api POST "/v1/payments/$payment/refunds" r1 '{"amount":500}'
check "a part is refunded" is "$status $(member status)" "201 succeeded"
refund=$(member id)
check "each id has its kind's prefix" is "${payment%%_*} ${refund%%_*}" "pay ref"
api GET "/v1/refunds/$refund"
check "the refund can be read" is "$status $(member amount)" "200 500"
api POST "/v1/payments/$payment/refunds" r2 '{"amount":4500}'
check "more than is left is refused" is "$status $(member code)" "422 amount_too_large"
api POST "/v1/payments/$payment/void" v1 '{}'
check "a captured payment can't be voided" is "$status $(member code)" "409 invalid_state"
check "… and what can be done is named" has "$(member 'allowed_actions|tostring')" refund
api GET "/v1/payments/$payment"
check "the sums are right" is "$(member amount_captured) $(member amount_refunded) $(member status)" "4999 500 partially_refunded"
api GET "/v1/payments/$payment/events"
check "the timeline tells the story" has "$(member 'data|map(.type)|join(" ")')" payment.authorized

api POST /v1/payments p2 "{\"amount\":1500,\"currency\":\"EUR\",\"token\":\"$token\",\"capture_method\":\"manual\"}"
second=$(member id)
api POST "/v1/payments/$second/void" v2 '{}'
check "another is voided" is "$status $(member status)" "200 voided"

tokenize 4000000000009995
api POST /v1/payments p3 "{\"amount\":100,\"currency\":\"USD\",\"token\":\"$token\"}"
check "a decline is a 402 with the payment" is "$status $(member decline_code) $(member payment.status)" "402 insufficient_funds declined"

api POST /v1/payments p1 "{\"amount\":4999,\"currency\":\"EUR\",\"token\":\"$(api GET "/v1/payments/$payment"; member token)\",\"capture_method\":\"manual\",\"order_id\":\"o-1\",\"metadata\":{\"k\":\"v\"}}"
check "an idempotent retry is the same payment as it is now" is "$(member id) $(member status)" "$payment partially_refunded"
check "… and says so" has "$headers" "Idempotent-Replayed: true"
api POST /v1/payments p1 '{"amount":1,"currency":"EUR","token":"tok_00000000000000000000000000"}'
check "the key with another body is refused" is "$status $(member code)" "409 idempotency_key_reused"

tokenize 5555555555554444
api POST '/v1/payments?mode=async' p4 "{\"amount\":700,\"currency\":\"EUR\",\"token\":\"$token\"}"
check "an asynchronous payment is accepted" is "$status $(member status)" "202 processing"
check "… with its place" has "$headers" "Location: /v1/payments/"
async=$(member id)
ended() { api GET "/v1/payments/$async"; [ "$(member status)" = captured ]; }
check "… and reaches its end" wait_until 100 ended
api POST /v1/payments p5 '{"amount":800,"currency":"EUR","card":{"number":"4242424242424242","exp_month":1,"exp_year":2030,"cvc":"999"}}'
check "a card inline" is "$status $(member status)" "201 captured"

api GET '/v1/payments?limit=2'
check "a list has pages" is "$(member 'data|length') $(member has_more)" "2 true"
api GET "/v1/payments?limit=2&cursor=$(member next_cursor)"
check "… and the next page differs" is "$(member 'data|length')" 2
api DELETE "/v1/tokens/$token"
check "a token can be erased" is "$status" 204
api GET "/v1/tokens/$token"
check "… and is gone" is "$status $(member code)" "404 token_not_found"

check "status says that all is well" has "$(sallyport --dir "$dir" status)" "serving — all well"
check "the read models are what the events say" sallyport --dir "$dir" ledger rebuild
check "the log exports" sallyport --dir "$dir" audit export --output "$work/x.tar"
check "… and verifies offline" sallyport-verify "$work/x.tar"
events() { [ "$(grep -c '"type":"payment' "$dir/herald/events.jsonl")" -ge 8 ]; }
check "the events went out" wait_until 50 events
check "… each line is JSON" jq -es 'length > 0' "$dir/herald/events.jsonl"
stop
check "it stops cleanly" is "$?" 0
check "and exits 5 then" bash -c "sallyport --dir $dir status; [ \$? = 5 ]"
end
