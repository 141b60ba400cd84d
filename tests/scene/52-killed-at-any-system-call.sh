#!/bin/bash
# kill -9 at the k-th write, sync or message of ledger, vault, courier and herald while a client pays, captures and
# refunds. TRIALS=500 does more. Each killed process serves again within seconds, and nothing acknowledged is lost.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
trials=${TRIALS:-25}
if [ "$(id -u)" != 0 ]; then
	echo "   needs root: nobody else may trace a process of the appliance (which is right)"
	end
fi
appliance a
set_conf simulator.timeout 300ms
set_conf payment.inquire_after 200ms
start
check "every request is answered, whatever call a process died at" python3 "$top/tests/crash/syscalls.py" "$dir" "$port" "$seed" "$trials"
cp "$dir/story.json" "$work/story.json"
check "nothing acknowledged is lost or doubled" python3 "$top/tests/crash/traffic.py" judge "$dir" "$port" "$work/story.json"
check "the read models are what the events make" sallyport --dir "$dir" ledger rebuild
check "the log is whole" sallyport --dir "$dir" audit export --output "$work/e.tar"
check "an auditor agrees" sallyport-verify "$work/e.tar"
end
