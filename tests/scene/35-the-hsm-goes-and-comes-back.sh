#!/bin/bash
# A HSM that is pulled out, hangs, slows down or is killed: cached keys serve for hsm_grace, then effects are refused, and
# everything returns by itself. Between the broker and its token stands a module that misbehaves on demand.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
shim=$work/p11_shim.so
cc -std=c11 -D_GNU_SOURCE -O1 -fPIC -shared -fvisibility=hidden $(pkg-config --cflags p11-kit-1) -o "$shim" "$top/tests/attack/p11_shim.c" -ldl ||
	{ echo "   the shim does not build"; failed=1; end; }
chmod 0644 "$shim"
appliance a
set_conf hsm.module "$shim"
set_conf hsm_grace 2s
set_conf hsm.deadline 500ms
start

# what the module does from its next call on; nothing: it behaves
hsm_does() {
	rm -f "$dir/hsm/p11_shim.control.fired"
	printf '%s' "$*" >"$dir/hsm/control.new"
	chmod 0644 "$dir/hsm/control.new"
	mv "$dir/hsm/control.new" "$dir/hsm/p11_shim.control"
}

pay() {
	api POST /v1/payments "$(new_key)" "{\"amount\":1000,\"currency\":\"EUR\",\"token\":\"$token\"}"
}

line_has() {
	sallyport --dir "$dir" status --no-color | head -1 | grep -q "$1"
}

health_is() { # state cause
	api GET /health
	[ "$(member state)" = "$1" ] || { echo "$body"; return 1; }
}

pays() {
	pay
	[ "$status" = 201 ]
}

refused() {
	pay
	[ "$status" = 503 ] && [ "$(member code)" = hsm_unavailable ]
}

restarts_of() {
	sallyport --dir "$dir" --json status | jq -r --arg p "$1" '.processes[] | select(.process==$p) | .restarts'
}

tokenize
check "a card goes in" is "$status" 201
pay
check "and a payment comes out" is "$status" 201
payment=$(member id)

# ── pulled out ──
hsm_does '1 0 return 0x32'
check "status names the HSM while it still serves" wait_until 30 line_has 'serving.*HSM'
check "a payment within the grace is authorized" pays
tokenize 5555555555554444
check "a card within the grace is stored" is "$status" 201
check "after the grace effects are refused" wait_until 60 refused
pay
check "the refusal can be repeated later" is "$(printf '%s' "$headers" | grep -ci '^retry-after:')" 1
check "status says refusing and names the HSM" line_has 'refusing.*HSM'
sallyport --dir "$dir" status >/dev/null 2>&1
check "status exits 4" is $? 4
api GET "/v1/payments/$payment"
check "reads go on" is "$status" 200
api POST /v1/tokens "$(new_key)" "$(card_json 4000056655665556)"
check "a card is refused with the same cause" is "$status $(member code)" '503 hsm_unavailable'
sleep 3
said=$(grep -c 'checkpoints are not signed' "$dir/run/log")
check "the journal says once that checkpoints wait, not each second" bash -c "[ $said -ge 1 ] && [ $said -le 2 ] || { echo '     lines: $said'; exit 1; }"
check "the broker was not restarted for it" is "$(restarts_of hsm)" 0

# ── put back ──
hsm_does
check "a payment is authorized again, by itself" wait_until 60 pays
check "status says serving and nothing else" wait_until 30 line_has 'serving — all well'
check "and that they are signed again" wait_until 60 grep -q 'checkpoints are signed again' "$dir/run/log"

# ── hangs ──
hsm_does '1 1 hang 0'
hung_is_over() {
	[ "$(restarts_of hsm)" -ge 1 ] && line_has 'serving — all well'
}
check "a broker that hangs is killed and started again" wait_until 100 hung_is_over
check "and payments go on" wait_until 30 pays

# ── slow, but within its deadline ──
hsm_does '1 0 slow 50'
sleep 2
before=$(restarts_of hsm)
check "a slow HSM slows no payment" pays
check "and is no reason to restart anything" is "$(restarts_of hsm)" "$before"
hsm_does

# ── killed, again and again, in traffic ──
killed=0 paid=0
for round in $(seq 1 30); do
	pays && paid=$((paid + 1))
	if [ $((round % 6)) = 0 ]; then
		wait_until 100 crash hsm && killed=$((killed + 1))
	fi
done
check "every payment while the broker was killed is authorized" is "$paid of 30" '30 of 30'
check "it was killed" is "$killed" 5
check "it comes back each time" wait_until 100 line_has 'serving — all well'

# ── gone at the start ──
stop
hsm_does '1 0 return 0x32'
sallyportd --dir "$dir" >"$dir/run/ready" 2>>"$dir/run/log" &
daemon=$!
echo "$daemon" >"$dir/run/pid"
check "without a HSM the vault stays sealed, and says why" wait_until 50 line_has 'sealed.*HSM'
api POST /v1/tokens "$(new_key)" "$(card_json)"
check "and a card is refused" is "$status" 503
hsm_does
check "it opens when the HSM comes" wait_until 100 line_has 'serving — all well'
check "and pays" wait_until 30 pays

# ── what is written down ──
stop
check "no PIN is in any log" lacks "$(cat "$dir/run/log")" "$(cat "$dir/credentials/hsm-pin")"
end
