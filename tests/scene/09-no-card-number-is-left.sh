#!/bin/bash
# One second after traffic no planted card number is in any file, log or writable memory; a planted one is found.
. "$(dirname "$0")/lib.sh"
residue=$(dirname "$0")/../attack/residue.py
# random numbers, so that no table in a binary holds them
pan() {
	python3 - "$1" <<'P'
import random, sys
random.seed(int(sys.argv[1]))
d = [4] + [random.randrange(10) for _ in range(14)]
s = sum(x if i % 2 else (2 * x - 9 if x > 4 else 2 * x) for i, x in enumerate(d))
print("".join(map(str, d)) + str(-s % 10))
P
}
a=$(pan "$seed") b=$(pan $((seed + 1))) c=$(pan $((seed + 2))) holder="Quillon Vexworth $seed"
appliance a
start
for n in 1 2 3 4 5 6 7 8; do
	tokenize "$a" 737
	api POST /v1/payments "$(new_key)" "{\"amount\":1$n,\"currency\":\"EUR\",\"token\":\"$token\"}"
done
check "payments go through" is "$status" 201
api POST /v1/payments "$(new_key)" "{\"amount\":500,\"currency\":\"EUR\",\"card\":{\"number\":\"$b\",\"exp_month\":3,\"exp_year\":2032,\"cvc\":\"737\",\"holder\":\"$holder\"}}"
check "an inline card too" is "$status" 201
api POST /v1/payments "$(new_key)" "{\"amount\":500,\"currency\":\"EUR\",\"card\":{\"number\":\"$c\",\"exp_month\":13,\"exp_year\":2032}}"
check "a bad card is refused" is "$status" 422 || true
check "… without an echo" lacks "$body" "$c"
api POST /v1/payments "$(new_key)" "{\"amount\":500,\"currency\":\"EUR\",\"nonsense\":\"$c\"}"
check "a number in the wrong place is refused" is "$status" 400
api POST /v1/tokens "$(new_key)" "{\"card\":{\"number\":\"$c\",,}"
check "broken JSON with a number in it is refused" is "$status" 400
api GET "/v1/payments?order_id=$c"
sallyport --dir "$dir" payment list >"$work/list"
sallyport --dir "$dir" audit export --output "$work/x.tar" >/dev/null
sleep 1
pids=$(sallyport --dir "$dir" --json status | jq -r '.processes[].pid')
if [ "$(id -u)" = 0 ]; then mem="$pids $daemon"; else mem=''; echo "   (memory is not read: not root, and the processes are not dumpable)"; fi
check "no file, log or memory holds a number or a name" "$residue" --secret "$a" "$b" "$c" "$holder" --file "$dir" "$work/list" "$work/x.tar" --pid $mem
# the planted faults: a file and a process that do hold one
echo "card $a" >"$work/planted"
check "a planted file is found" bash -c "'$residue' --secret $a --file '$work/planted'; [ \$? = 1 ]"
if [ -n "$mem" ]; then
	python3 -c "import sys,time; x=bytearray(sys.stdin.buffer.read()); time.sleep(30)" <"$work/planted" &
	planted=$!
	sleep 0.5
	check "a planted process is found" bash -c "'$residue' --secret $a --pid $planted; [ \$? = 1 ]"
	kill $planted
fi
check "no security code is held any more" is "$(sallyport --dir "$dir" --json status | jq .metrics.cvc_held)" 0
check "no core was left" is "$(find "$dir" "$work" -name 'core*' | wc -l)" 0
end
