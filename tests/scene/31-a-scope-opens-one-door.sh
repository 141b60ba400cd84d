#!/bin/bash
# Each route needs its scope: a client with all scopes but one is refused at exactly that route, before any effect.
. "$(dirname "$0")/lib.sh"
appliance a
start

# made by the client who may do everything: what the others will try to touch
tokenize
kept=$token
api POST /v1/payments "$(new_key)" "{\"amount\":1000,\"currency\":\"EUR\",\"token\":\"$kept\",\"capture_method\":\"manual\"}"
authorized=$(member id)
api POST /v1/payments "$(new_key)" "{\"amount\":1000,\"currency\":\"EUR\",\"token\":\"$kept\"}"
captured=$(member id)
check "there is something to touch" is "$status" 201

# scope | method | path | body
cat >"$work/matrix" <<X
tokens:create|POST|/v1/tokens|$(card_json)
tokens:create|POST|/v1/payments|{"amount":5,"currency":"EUR",$(card_json | sed 's/^{//')
tokens:read|GET|/v1/tokens/$kept|
tokens:use|POST|/v1/payments|{"amount":5,"currency":"EUR","token":"$kept"}
tokens:delete|DELETE|/v1/tokens/$kept|
payments:read|GET|/v1/payments|
payments:read|GET|/v1/payments/$authorized|
payments:read|GET|/v1/payments/$authorized/events|
payments:read|GET|/v1/payments/$captured/refunds|
payments:read|GET|/v1/refunds/ref_00000000000000000000000000|
payments:write|POST|/v1/payments|{"amount":5,"currency":"EUR","token":"$kept"}
payments:write|POST|/v1/payments/$authorized/capture|{}
payments:write|POST|/v1/payments/$authorized/void|
refunds:write|POST|/v1/payments/$captured/refunds|{}
X
all=tokens:create,tokens:read,tokens:use,tokens:delete,payments:read,payments:write,refunds:write,ops:read
without() { printf '%s' "$all" | tr , '\n' | grep -vx "$1" | paste -sd,; }
for scope in $(cut -d'|' -f1 "$work/matrix" | sort -u); do
	sallyport --dir "$dir" client add "no-${scope%%:*}-${scope##*:}" --scopes "$(without "$scope")" >"$work/add.log" 2>&1 ||
		check "a client without $scope is made" cat "$work/add.log"
done
sallyport --dir "$dir" client add none --scopes ops:read >"$work/add.log" 2>&1
check "a client with next to no scope is made" test $? = 0

charges() { wc -l <"$dir/courier/simulator.jsonl"; }
before=$(charges)
while IFS='|' read -r scope method path json; do
	client=no-${scope%%:*}-${scope##*:}
	api "$method" "$path" "$(new_key)" "$json"
	check "$method $path without $scope" is "$status $(member code)" "403 insufficient_scope"
	client=none
	api "$method" "$path" "$(new_key)" "$json"
	check "$method $path with no scope" is "$status $(member code)" "403 insufficient_scope"
done <"$work/matrix"
check "nothing was charged" is "$(charges)" "$before"

client=none
api GET /v1/whoami
check "whoami says what there is" is "$(member 'scopes|join(",")')" ops:read
api GET /livez
check "livez needs none" is "$status" 200
api GET /metrics
check "metrics come in the exporter's format" has "$body" "sallyport_http_requests_total{process=\"gate\""
check "… every figure with our prefix" is "$(printf '%s\n' "$body" | grep -v '^#' | grep -vc '^sallyport_')" 0

# all other doors stay open to a client who lacks one scope
client=no-refunds-write
api GET "/v1/payments/$authorized"
check "lacking one scope closes no other door" is "$status" 200
api POST "/v1/payments/$authorized/capture" "$(new_key)" '{"amount":10}'
check "… nor that of another command" is "$status" 201
client=demo
api DELETE "/v1/tokens/$kept"
check "what others could not erase is there to be erased" is "$status" 204
end
