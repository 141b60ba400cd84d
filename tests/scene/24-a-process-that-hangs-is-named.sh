#!/bin/bash
# One process at a time is stopped in its tracks (SIGSTOP): status still answers and names it, what does not need it goes on,
# and everything is as before when it goes on.
. "$(dirname "$0")/lib.sh"
appliance a
start
tokenize 4242424242424242
vault=$(pid_of vault) courier=$(pid_of courier) herald=$(pid_of herald)

says() { has "$(sallyport --dir "$dir" status)" "$1"; }
pay() { api POST /v1/payments "$(new_key)" "{\"amount\":100,\"currency\":\"EUR\",\"token\":\"$token\"}"; }

kill -STOP "$vault"
check "a vault that hangs is named" wait_until 60 says "refusing effects — vault unavailable"
pay
check "… and payments are refused, with a reason to try again" is "$status $(member retryable)" "503 true"
kill -CONT "$vault"
check "… until it goes on" wait_until 60 says "serving — all well"
pay
check "then payments are served" is "$status $(member status)" "201 captured"

kill -STOP "$courier"
(sleep 2; kill -CONT "$courier") &
pay
check "a payment waits for a courier that hangs for two seconds" is "$status $(member status)" "201 captured"
kill -STOP "$courier"
check "one that hangs for longer is named" wait_until 60 says "refusing effects — courier unavailable"
kill -CONT "$courier"
check "… until it goes on" wait_until 60 says "serving — all well"

kill -STOP "$herald"
check "a herald that hangs is a warning" wait_until 60 says "serving — peer away"
pay
check "… and payments do not wait for it" is "$status $(member status)" "201 captured"
payment=$(member id)
kill -CONT "$herald"
told() { grep -q "\"subject\":\"$payment\"" "$dir/herald/events.jsonl"; }
check "their events go out when it goes on" wait_until 100 told
check "nothing was charged twice" bash -c "[ \$(grep -c '\"kind\":\"authorize\"' '$dir/courier/simulator.jsonl') = \$(sed -n 's/.*\"kind\":\"authorize\",\"payment\":\"\\([^\"]*\\)\".*/\\1/p' '$dir/courier/simulator.jsonl' | sort -u | wc -l) ]"
end
