#!/bin/bash
# kill -9 of every process in turn while clients pay, capture, refund and void over mTLS; then of all at once. Afterwards
# each acknowledged answer is compared with the API, the issuer's books and the events. SECONDS_EACH=30 kills for longer.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
traffic() { python3 "$top/tests/crash/traffic.py" "$@"; }
seconds=${SECONDS_EACH:-12}

appliance a
set_conf simulator.timeout 300ms
set_conf payment.inquire_after 200ms
start
echo "   seed $seed"

check "clients are served while every process is killed in turn" traffic run "$dir" "$port" "$seconds" "$seed" kill
cp "$dir/story.json" "$work/first.json"
check "nothing acknowledged is lost or doubled" traffic judge "$dir" "$port" "$work/first.json"

# all at once: the machine loses its power as far as processes can tell
traffic run "$dir" "$port" 6 $((seed + 1)) >"$work/second.log" 2>&1 &
client_pid=$!
sleep 3
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
start
wait "$client_pid"
cat "$work/second.log"
cp "$dir/story.json" "$work/second.json"
check "clients got their answers after all processes died at once" test -s "$work/second.json"
check "nothing acknowledged is lost or doubled by that" traffic judge "$dir" "$port" "$work/second.json"
check "what was acknowledged before is still true" traffic judge "$dir" "$port" "$work/first.json"
check "the read models are what the events make" sallyport --dir "$dir" ledger rebuild
check "the log is whole" sallyport --dir "$dir" audit export --output "$work/e.tar"
check "an auditor agrees" sallyport-verify "$work/e.tar"

# planted faults: the judge must see each of them
planted() { # sentence, command on a copy of what the judge reads
	cp "$work/second.json" "$work/story.json"
	cp "$dir/courier/simulator.jsonl" "$work/books" && cp "$dir/herald/events.jsonl" "$work/events"
	eval "$2"
	check "$1" sh -c '! python3 "$0" judge "$1" "$2" "$3" >/dev/null' "$top/tests/crash/traffic.py" "$dir" "$port" "$work/story.json"
	cat "$work/books" >"$dir/courier/simulator.jsonl" && cat "$work/events" >"$dir/herald/events.jsonl"
}
planted "planted: a charge that was made twice is seen" 'tail -1 "$work/books" >>"$dir/courier/simulator.jsonl"'
planted "planted: a lost event is seen" 'sed -i "20d" "$dir/herald/events.jsonl"'
planted "planted: an acknowledged payment that is not there is seen" 'sed -i "s/\"pay_01/\"pay_11/g" "$work/story.json"'
planted "planted: a sum that is not the issuer's is seen" "sed -i '0,/\"amount\":1/s//\"amount\":2/' \"\$dir/courier/simulator.jsonl\""
end
