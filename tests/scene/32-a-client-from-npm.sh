#!/bin/bash
# A program written for node, with keep-alive, parallel requests and typed errors, works as its author expects.
. "$(dirname "$0")/lib.sh"
command -v node >/dev/null || { echo "   not tried: node is not installed"; end; }
appliance a
start
node "$(dirname "$0")/32-client.cjs" "$port" "$dir" >"$work/node.log" 2>&1
check "the node client comes through ($(grep -c '^ok' "$work/node.log") steps)" test $? = 0
grep -v '^ok' "$work/node.log"
end
