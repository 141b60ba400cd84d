#!/bin/bash
# The module answers, the session is there, random numbers come — and the keys are gone (a token directory that was moved, a
# slot that was cleared). That is no HSM: it is named within two seconds, effects end with the grace, and it returns by itself.
. "$(dirname "$0")/lib.sh"
appliance a
set_conf hsm_grace 4s
start
tokenize
pays() { api POST /v1/payments "$(new_key)" "{\"amount\":100,\"currency\":\"EUR\",\"token\":\"$token\"}"; [ "$status" = 201 ]; }
line() { sallyport --dir "$dir" status --no-color | head -1; }
line_has() { line | grep -q "$1"; }
check "a payment" pays
for round in 1 2; do
	mv "$dir/hsm/tokens" "$work/tokens"
	check "keys that are gone are named while the appliance still serves" wait_until 25 line_has '^serving — hsm'
	api GET /health
	check "… by /health too" bash -c "printf '%s' '$body' | jq -r '.checks.hsm.code // .checks.vault.code' | grep -q '^hsm_'"
	sleep 1.5
	check "… and it stays so" line_has '^serving — hsm'
	check "cached keys go on serving" pays
	check "after the grace effects are refused" wait_until 60 line_has '^refusing effects — hsm'
	pays
	check "… with a cause of the HSM" has "$status $(member code)" "503 hsm_"
	mv "$work/tokens" "$dir/hsm/tokens"
	check "put back, it serves again by itself" wait_until 50 line_has '^serving — all well'
	check "… and pays" pays
done
end
