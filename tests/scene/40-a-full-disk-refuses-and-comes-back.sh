#!/bin/bash
# A full disk: new effects are refused within moments and with the right words, reads go on, what was in flight ends, and
# when there is room again service returns by itself with nothing lost and nothing doubled.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] && mkdir "$work/small" && mount -t tmpfs -o size=40m,mode=0755 none "$work/small" 2>/dev/null ||
	{ echo "$scene_name: skipped, a small disk can only be mounted by root"; exit 0; }
trap 'stop; umount "$work/small"; cleanup' EXIT
appliance small/a
set_conf audit.reserve 2MiB
start

fill() { # all that is left; what is kept back for root counts too
	dd if=/dev/zero of="$work/small/ballast" bs=64k status=none 2>/dev/null
	dd if=/dev/zero of="$work/small/ballast2" bs=512 status=none 2>/dev/null
}
drain() {
	rm -f "$work/small/ballast" "$work/small/ballast2"
}
mint() {
	api POST /v1/tokens "$(new_key)" "$(card_json "$@")"
	echo "$status $(member code)"
}
pay() { # key
	api POST /v1/payments "$1" "{\"amount\":1000,\"currency\":\"EUR\",\"token\":\"$token\"}"
}
line_has() {
	sallyport --dir "$dir" status --no-color | head -1 | grep -q "$1"
}
refused() {
	[ "$(mint)" = '503 audit_unavailable' ]
}
serves() {
	[ "$(mint | cut -c1-2)" = 20 ]
}

tokenize 4242424242424242 123
kept=$token
check "a card goes in" is "$status" 201
pay before
check "a payment comes out" is "$status" 201
payment=$(member id)

# ── full ──
fill
check "cards are refused: audit_unavailable" wait_until 30 refused
check "status says refusing and names the disk" wait_until 30 line_has 'refusing.*disk'
pay "during"
check "a payment is refused" is "$status $(member code)" '503 audit_unavailable'
check "with a time to come back" is "$(printf '%s' "$headers" | grep -ci '^retry-after:')" 1
api GET "/v1/payments/$payment"
check "reads go on" is "$status" 200
api GET "/v1/tokens/$kept"
check "masked reads too" is "$status" 200
api GET /readyz
check "not ready" is "$status" 503
api GET /livez
check "but alive" is "$status" 200
for _ in 1 2 3 4 5 6 7 8; do seen=$(mint); done
check "refused as long as it is full" is "$seen" '503 audit_unavailable'
check "no process died of it" is "$(sallyport --dir "$dir" --json status | jq '[.processes[].restarts] | add')" 0

# ── room again ──
drain
check "service returns by itself" wait_until 60 serves
check "status says so" wait_until 30 line_has 'serving — all well'
pay before
check "what was acknowledged is there: the same key gives the same payment" is "$(member id)" "$payment"
pay during
check "what was refused left no trace: its key is good" is "$status" 201
api GET "/v1/tokens/$kept"
check "the first card is still there" is "$(member card.last4)" 4242

# ── full again, and stopped like that ──
fill
check "full once more: refused" wait_until 30 refused
stop
start
check "started on a full disk it refuses and does not die" wait_until 50 refused
drain
check "and comes back" wait_until 60 serves
sallyport --dir "$dir" audit export --output "$work/e.tar" >/dev/null 2>"$work/export.err"
check "the log is whole" sallyport-verify "$work/e.tar"
end
