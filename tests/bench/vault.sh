#!/bin/bash
# Tokens per second through the real vault: tests/bench/vault.sh BUILD. The gate is replaced by vault_bench; the rest is real.
set -eu
build=$(cd "${1:-build}" && pwd)
dir=$(mktemp -d /tmp/sallyport-bench-XXXXXX)
chmod 755 "$dir"
. "$build/env.sh"
make -s -C "$build" tests/bench/vault_bench
sallyport init --dir "$dir/a" --software-hsm --yes --listen 127.0.0.1:0 >/dev/null 2>&1 ||
	sallyport init --dir "$dir/a" --software-hsm --yes --listen 127.0.0.1:19990 >/dev/null
sed -i -E 's/^#? *gate.processes *=.*/gate.processes = 1/; s/^#? *vault.redeem_ceiling *=.*/vault.redeem_ceiling = 100000000/' "$dir/a/sallyport.conf"
mkdir "$dir/libexec"
cp -L "$build"/libexec/* "$dir/libexec/"
cp "$build/tests/bench/vault_bench" "$dir/libexec/gate"
SALLYPORT_LIBEXEC=$dir/libexec sallyportd --dir "$dir/a" >"$dir/log" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; wait $pid 2>/dev/null; rm -rf "$dir"' EXIT
[ -z "${PERF:-}" ] || (sleep 9; perf record -q -g -o /tmp/vault-x/perf.data -p $(pgrep -P $pid -f "^vault") -- sleep 3) &
for _ in $(seq 60); do
	grep -q '"bench over"' "$dir/log" && break
	sleep 1
done
sed -n 's/.*"what":"bench",//p' "$dir/log" | tr -d '}'
vault=$(pgrep -P $pid -f '^vault')
facts=$(sallyport --dir "$dir/a" --json status)
commands=$(printf '%s' "$facts" | grep -o '"db_batched_commands_total":[0-9]*' | cut -d: -f2)
awk -v n="$commands" -v hz="$(getconf CLK_TCK)" '{printf "the vault used %.0f us of CPU for each of %d commands (user %.0f, system %.0f)\n", ($14+$15)/hz*1e6/n, n, $14/hz*1e6/n, $15/hz*1e6/n}' "/proc/$vault/stat"
grep VmRSS "/proc/$vault/status" | tr -s '\t ' ' '
du -sh "$dir/a/vault/vault.db" | cut -f1 | sed 's/^/vault.db: /'
