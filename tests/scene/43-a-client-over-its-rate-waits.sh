#!/bin/bash
# A client that asks too fast is told so and when to come again; nothing of what it sent is done by half; others notice nothing.
. "$(dirname "$0")/lib.sh"
appliance a
set_conf gate.rate_per_client 2
set_conf gate.processes 1
sallyport --dir "$dir" config check >"$work/conf.log" 2>&1 || { cat "$work/conf.log"; failed=1; end; }
start

api GET /v1/whoami
check "each answer says what is allowed" has "$headers" 'RateLimit-Policy: "client";q=2;w=1'
check "and what is left" has "$headers" 'RateLimit: "client";r=1;t=1'
check "whoami says it too" is "$(member limits.requests_per_second)" 2

sallyport --dir "$dir" client add calm --scopes tokens:create,tokens:read >"$work/add.log" 2>&1
# forty requests over one connection, much faster than two a second
flood() {
	for i in $(seq 1 40); do printf 'url = "%s/v1/whoami"\noutput = "/dev/null"\n' "$base"; done >"$work/urls"
	curl -sS --cacert "$dir/ca.crt" --cert "$dir/clients/demo.crt" --key "$dir/clients/demo.key" -w '%{http_code}\n' -K "$work/urls" >"$work/codes" 2>"$work/curl.err"
}
flood
check "a flood gets its rate and no more" bash -c "n=\$(grep -c 200 '$work/codes'); [ \$n -ge 1 ] && [ \$n -le 15 ] || { echo \"     200: \$n\"; exit 1; }"
check "the rest is told 429" bash -c "n=\$(grep -c 429 '$work/codes'); [ \$n -ge 25 ] || { echo \"     429: \$n\"; exit 1; }"
flood
client=calm
tokenize
check "another client is served at once" is "$status" 201
client=demo
# on a busy machine the bucket may have a request again before this one comes: then once more, with another key
over() {
	flood
	key=$(new_key)
	api POST /v1/payments "$key" '{"amount":100,"currency":"EUR","token":"tok_test_visa"}'
	[ "$status" = 429 ]
}
for i in 1 2 3 4 5 6 7 8 9 10; do over && break; done
check "a payment over the rate is refused" is "$status $(member code) $(member retryable)" '429 rate_limited true'
check "with the time to wait" has "$headers" 'Retry-After:'
sleep 1.2
api POST /v1/payments "$key" '{"amount":100,"currency":"EUR","token":"tok_test_visa"}'
check "and the same key works a moment later" is "$status" 201
check "as a first try: the refusal was not kept" lacks "$headers" Idempotent-Replayed
end
