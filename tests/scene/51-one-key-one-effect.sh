#!/bin/bash
# The same idempotency key sixty-four ways at once, with another body, from many refunds at a time, and while the ledger dies.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
appliance a
start
check "one key has one effect, sixty-four ways at once" python3 "$top/tests/crash/many.py" "$dir" "$port" "$seed"
check "the read models are what the events make" sallyport --dir "$dir" ledger rebuild
# planted: the issuer's books with a line twice
tail -1 "$dir/courier/simulator.jsonl" >"$work/line" && cat "$work/line" >>"$dir/courier/simulator.jsonl"
check "planted: a charge that was made twice is seen" sh -c '! python3 "$@" >/dev/null' sh "$top/tests/crash/many.py" "$dir" "$port" "${seed}9"
end
