#!/bin/bash
# Vault, ledger and courier are killed at one system call of a payment after the other, each in a life of its own. Afterwards
# every payment was made once and every answer is true. CALL_STEP=1 takes every call (some minutes); by default every 9th.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" = 0 ] || { echo "$scene_name: skipped, only root may trace what runs in a jail"; exit 0; }
cc -std=gnu11 -O1 -o "$work/kill_at" "$top/tests/crash/kill_at.c" || { echo "   kill_at does not build"; failed=1; end; }
appliance a
set_conf simulator.timeout 300ms
set_conf payment.inquire_after 200ms
check "clients are served while a process dies at call after call" \
	python3 "$top/tests/crash/every_call.py" "$dir" "$port" "$work/kill_at" "${CALL_STEP:-9}" vault ledger courier
grep -o 'killed {.*' <<<"${seen:-}" || true
start
cp "$dir/story.json" "$work/story.json"
check "every payment was made once and every answer is true" \
	python3 "$top/tests/crash/traffic.py" judge "$dir" "$port" "$work/story.json"
check "many calls were hit" python3 -c 'import json,sys; sys.exit(sum(json.load(open(sys.argv[1]))["kills"].values()) < 12)' "$work/story.json"
check "the read models are what the events make" sallyport --dir "$dir" ledger rebuild
check "the log is whole" sallyport --dir "$dir" audit export --output "$work/e.tar"
check "an auditor agrees" sallyport-verify "$work/e.tar"
end
