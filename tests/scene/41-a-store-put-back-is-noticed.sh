#!/bin/bash
# Yesterday's database put back opens with the right key, and is noticed all the same: the vault's against the anchor in the
# HSM, the ledger's against what the vault signed. Nothing is served from it, and the right one serves again.
. "$(dirname "$0")/lib.sh"
appliance a
start
pay() {
	api POST /v1/payments "$(new_key)" "{\"amount\":1000,\"currency\":\"EUR\",\"token\":\"$token\"}"
}
line_has() {
	sallyport --dir "$dir" status --no-color | head -1 | grep -q "$1"
}
start_anyway() {
	sallyportd --dir "$dir" >"$dir/run/ready" 2>>"$dir/run/log" &
	daemon=$!
	echo "$daemon" >"$dir/run/pid"
}
keep() { # process as
	cp -p "$dir/$1/$1.db" "$work/$1.$2"
}
put_back() {
	cp -p "$work/$1.$2" "$dir/$1/$1.db"
	rm -f "$dir/$1/$1.db-wal"
}

tokenize
pay
check "yesterday: a payment" is "$status" 201
stop
keep vault yesterday
keep ledger yesterday
start
tokenize 5555555555554444
pay
check "today: another" is "$status" 201
payment=$(member id)
stop
keep vault today
keep ledger today

# ── the vault's ──
put_back vault yesterday
start_anyway
check "the older vault.db is noticed" wait_until 100 line_has 'sealed.*rollback suspected'
api POST /v1/tokens "$(new_key)" "$(card_json)"
check "no card goes in" is "$status" 503
sallyport --dir "$dir" status >/dev/null 2>&1
check "status exits 3" is $? 3
stop
put_back vault today
start
check "today's serves again" wait_until 50 line_has 'serving — all well'
stop
keep ledger today

# ── the ledger's ──
put_back ledger yesterday
start_anyway
check "the older ledger.db is noticed" wait_until 100 line_has 'sealed.*rollback suspected'
pay
check "no payment is made on it" is "$status" 503
api GET "/v1/payments/$payment"
check "none is read from it" is "$status" 503
stop
put_back ledger today
start
check "today's serves again" wait_until 50 line_has 'serving — all well'
api GET "/v1/payments/$payment"
check "with today's payment" is "$status" 200
pay
check "and takes new ones" is "$status" 201
end
