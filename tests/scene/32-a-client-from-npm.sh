#!/bin/bash
# A program written for node with npm's undici: keep-alive, parallel requests and typed errors work as its author expects.
. "$(dirname "$0")/lib.sh"
appliance a
start
modules=${TMPDIR:-/tmp}/sallyport-undici-6.29.1
mkdir -p "$modules"
[ -d "$modules/node_modules/undici" ] || (cd "$modules" && npm install --ignore-scripts --no-audit --no-fund --silent undici@6.29.1) >"$work/npm.log" 2>&1
check "undici is there" test -d "$modules/node_modules/undici"
NODE_PATH=$modules/node_modules node "$(dirname "$0")/32-client.cjs" "$port" "$dir" >"$work/node.log" 2>&1
result=$?
check "the node client comes through ($(grep -c '^ok' "$work/node.log") steps)" is "$result" 0
grep -v '^ok' "$work/node.log"
end
