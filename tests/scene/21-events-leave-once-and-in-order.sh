#!/bin/bash
# The herald's file: CloudEvents, every one at least once, in order per key, through kills and a rotation.
. "$(dirname "$0")/lib.sh"
appliance a
start
file=$dir/herald/events.jsonl
tokenize 4242424242424242

road() { # order: authorize, capture twice, refund
	api POST /v1/payments "$(new_key)" "{\"amount\":1000,\"currency\":\"EUR\",\"token\":\"$token\",\"capture_method\":\"manual\",\"order_id\":\"$1\"}"
	local payment
	payment=$(member id)
	api POST "/v1/payments/$payment/capture" "$(new_key)" '{"amount":600,"final":false}'
	api POST "/v1/payments/$payment/capture" "$(new_key)" '{}'
	api POST "/v1/payments/$payment/refunds" "$(new_key)" '{"amount":100}'
	[ "$status" = 201 ] || echo "     $1: $status $(member code)"
}
for i in 1 2 3 4 5; do road "order-$i"; done
crash herald
for i in 6 7 8; do road "order-$i"; done

refunds_seen() { cat "$file" "$file".1 2>/dev/null | jq -r 'select(.type | startswith("refund.succeeded")) | .partitionkey' | sort -u | wc -l; }
all_seen() { [ "$(refunds_seen)" -ge "$1" ]; }
check "every order's events went out, also those of a killed herald's time" wait_until 150 all_seen 8

mv "$file" "$file.1"
kill -HUP "$daemon"
road order-9
check "after a rotation they go on in a new file" wait_until 100 test -s "$file"
check "… and none is lost" wait_until 100 all_seen 9

all=$work/all.jsonl
cat "$file.1" "$file" >"$all"
check "every line is a CloudEvent with all that it needs" jq -es 'all(.[];
	.specversion == "1.0" and (.id | test("^evt_[0-9A-HJKMNP-TV-Z]{26}$")) and (.source | startswith("/sallyport/")) and
	(.type | test("^[a-z]+[.][a-z_]+[.]v1$")) and (.time | test("^20[0-9]{2}-[0-9-]{5}T[0-9:.]{12}Z$")) and
	.datacontenttype == "application/json" and (.sequence | test("^[0-9]{20}$")) and (.data | type == "object"))' "$all"
check "no id stands for two different events" jq -es 'group_by(.id) | all(.[]; (map(.sequence) | unique | length) == 1)' "$all"
# first sight of each event: at least once means that a repetition may come, but never a later one before an earlier one
in_order() {
	jq -es 'reduce .[] as $e ({seen: {}, last: {}, ok: true};
		if .seen[$e.id] then . else .ok = (.ok and ((.last[$e.partitionkey // $e.subject] // "") < $e.sequence)) |
		.seen[$e.id] = true | .last[$e.partitionkey // $e.subject] = $e.sequence end) | .ok' "$1"
}
check "within a key the sequence only grows" in_order "$all"
# planted: two neighbours of one key change places
jq -cs '(map(.partitionkey == "order-3") | index(true)) as $i | .[$i] as $a | .[$i] = .[$i + 1] | .[$i + 1] = $a | .[]' "$all" >"$work/swapped"
check "planted: two events of one key that changed places are seen" bash -c "$(declare -f in_order); ! in_order '$work/swapped'"
check "no card number and no security code is in them" bash -c "! grep -q 4242424242424242 '$all'"

# the field's own library reads every line
cloudevents=${TMPDIR:-/tmp}/sallyport-cloudevents-10.0.0
npm_there() {
	[ -d "$cloudevents/node_modules/cloudevents" ] && return 0
	command -v npm >/dev/null || return 1
	mkdir -p "$cloudevents"
	(cd "$cloudevents" && npm install --ignore-scripts --no-audit --no-fund --silent cloudevents@10.0.0) >"$work/npm.log" 2>&1
}
check "the cloudevents library is there" npm_there
cat >"$work/read.cjs" <<'X'
const { CloudEvent } = require("cloudevents");
const lines = require("fs").readFileSync(process.argv[2], "utf8").trimEnd().split("\n");
for (const line of lines) new CloudEvent(JSON.parse(line), true).validate();
console.log(lines.length);
X
check "the cloudevents library takes every line" is "$(NODE_PATH=$cloudevents/node_modules node "$work/read.cjs" "$all" 2>&1)" "$(wc -l <"$all")"
jq -c 'if input_line_number == 7 then del(.type) else . end' "$all" >"$work/typeless"
check "planted: … and refuses one that is none" bash -c "! NODE_PATH='$cloudevents/node_modules' node '$work/read.cjs' '$work/typeless'"
end
