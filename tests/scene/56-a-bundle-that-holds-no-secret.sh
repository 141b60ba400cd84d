#!/bin/bash
# sallyport doctor --bundle: what support is given tells what is the matter and holds no secret, whatever people wrote wherever
# they could: card numbers, security codes, PINs, keys and passphrases are sown into the configuration, its comments, file
# names, the log and the environment, and the file is searched for every one of them. It asks nobody, and the daemon is dead.
. "$(dirname "$0")/lib.sh"
run() { # run command…: sets out, err, code
	out=$("$@" 2>"$work/err")
	code=$?
	err=$(cat "$work/err")
}
appliance a
start
tokenize
check "a card is in the vault" is "$status" 201
stop
pin=$(cat "$dir/credentials/hsm-pin")
log=$work/log
cp "$dir/run/log" "$log"

pan=4539578763621486 dashed=4539-5787-6362-1486 cvv=9041 short=70514 passphrase='correct horse battery staple'
key=$(sed -n 2p "$dir/tls/server.key") ca=$(sed -n 3p "$dir/ca/ca.key")
seed64=$(sed -n 's/^seed=//p' "$dir"/officers/1-*.key)
hexkey=8f1d3c5b7a9e0f2143658709badcfe1020304050607080900a0b0c0d0e0f1011
sown=("$pan" "$dashed" "$cvv" "$short" "$passphrase" "horse" "$key" "$ca" "$seed64" "$hexkey" "$pin")

# ── sown ──
sow() { printf '# pin %s, card %s / %s, cvv %s\n# %s\n# %s %s\n' "$pin" "$pan" "$dashed" "$cvv" "$passphrase" "$hexkey" "$key"; }
{ sow; printf 'statement.of.%s = %s\nhsm.module = /opt/%s/%s.so\nhsm.token = %s\nprocessor.default = %s\nlog.level = %s\n' "$short" "$pan" "$short" "$pan" "$passphrase" "$short" "$short"; } >"$dir/sallyport.conf.d/pin-$short.conf"
sow >>"$dir/sallyport.conf"
for place in . tls ca vault ledger hsm courier herald credentials officers; do
	sow >"$dir/$place/card-$pan-$cvv"
	: >"$dir/$place/$passphrase"
	: >"$dir/$place/$hexkey"
done
{
	sow
	for text in "$pan" "$dashed" "pin $short" "$passphrase" "$hexkey" "$key"; do
		printf '{"ts":"2026-11-29T03:00:00.000Z","level":"warn","proc":"vault","what":"%s"}\n' "$text"
		printf '{"ts":"2026-11-29T03:00:00.000Z","level":"warn","proc":"%s","what":"stopping"}\n' "$text"
		printf '{"ts":"2026-11-29T03:00:00.000Z","level":"%s","proc":"vault","what":"stopping"}\n' "$text"
		printf '{"ts":"%s","level":"warn","proc":"vault","what":"stopping"}\n' "$text"
		printf '{"ts":"2026-11-29T03:00:00.000Z","level":"warn","proc":"monitor","what":"process ended","process":"%s","cause":"%s","now":"%s","%s":1,"pin":"%s","cards":%s}\n' "$text" "$text" "$text" "$text" "$text" "$pan"
		printf '<4>{"ts":"2026-11-29T03:00:00.000Z","level":"warn","proc":"gate/0","what":"stopped","note":"%s"}\n' "$text"
	done
	printf '{"ts":"2026-11-29T03:00:00.000Z","what":"%0.s' $(seq 1 400)
} >>"$log"
export SALLYPORT_PIN=$pin CARD=$pan PASSPHRASE=$passphrase CREDENTIALS_DIRECTORY=/run/$hexkey

# ── gathered ──
if command -v strace >/dev/null; then
	run strace -f -qq -e trace=connect,sendto,bind -o "$work/trace" sallyport --dir "$dir" doctor --bundle "$work/traced.json" --log "$log"
	# the C library looks whether there is a cache of users' names
	check "no socket is connected" is "$(grep -v nscd "$work/trace" | grep -c 'connect(\|sendto(')" 0
fi
before=$(cd "$dir" && find . -type f -exec sha256sum {} + | sort)
run sallyport --dir "$dir" doctor --bundle "$work/bundle.json" --log "$log"
check "with the daemon dead a bundle is made" is "$code" 0
check "what it will hold is listed" has "$out" "The bundle will hold:"
check "… before it is written" bash -c "printf '%s' \"\$1\" | grep -n 'will hold\|written' | sort -n | head -1 | grep -q 'will hold'" _ "$out"
check "it is for its maker's eyes" is "$(stat -c %a "$work/bundle.json")" 600
check "nothing of the appliance was changed" is "$(cd "$dir" && find . -type f -exec sha256sum {} + | sort)" "$before"
run sallyport --dir "$dir" doctor --bundle "$work/bundle.json" --log "$log"
check "a file that is there is not replaced" has "$code $err" "1 sallyport: doctor: It exists already"
run sallyport --dir "$dir" --json doctor --bundle "$work/second.json" --log "$log"
check "with --json the list is a document" is "$(printf '%s' "$out" | jq -r '.sections | length')" 5

# ── searched: every secret, plain, in base64 and in hex ──
none_of() { # FILE
	local s n=0
	for s in "${sown[@]}"; do
		for form in "$s" "$(printf %s "$s" | base64 -w0 | tr -d =)" "$(printf %s "$s" | od -An -tx1 | tr -d ' \n')"; do
			n=$((n + 1))
			! grep -qaF -- "$form" "$1" || { echo "     found: number $n in $1"; return 1; }
		done
	done
}
check "no secret is in the bundle" none_of "$work/bundle.json"
check "… nor on the screen" none_of <(printf '%s' "$out$err")
printf 'x%sx' "$passphrase" >"$work/planted"
check "the search finds one (the check can fail)" bash -c '! "$@"' _ false
none_of "$work/planted" >/dev/null && { echo "   the search is blind"; failed=$((failed + 1)); }
check "no path of this installation is in it either" lacks "$(cat "$work/bundle.json")" "$dir"

# ── and it is of use ──
b() { jq -r "$1" "$work/bundle.json"; }
check "it names the distribution" is "$(b .version.distribution)" "$(. /etc/os-release && echo "$ID")"
check "it says its form" is "$(b .form)" "sallyport-support-bundle/1"
check "it has the results of the checks" bash -c "[ $(b '.checks | length') -ge 40 ]"
check "… the fault that is there among them" is "$(b '.checks[] | select(.check == "install.configuration") | .result')" fail
check "… and none that had to ask somebody" is "$(b '[.checks[] | select(.check | startswith("running.") or startswith("api."))] | length')" 0
check "it counts the configuration's problems" bash -c "[ $(b .configuration.problems) -ge 2 ]"
check "it has the value of a number" is "$(b '.configuration.keys[] | select(.key == "gate.processes") | .value')" 2
check "… and says of a text only that it is set" is "$(b '.configuration.keys[] | select(.key == "hsm.token") | "\(.set) \(has("value"))"')" "true false"
check "it has our files with mode and owner" is "$(b '.files.files[] | select(.file == "tls/server.key") | "\(.mode) \(.bytes)"')" "0600 null"
check "it has the log's lines that are ours" bash -c "[ $(b '[.log[] | select(.what == "the vault is open")] | length') -ge 1 ]"
check "… with their causes" bash -c "[ $(b '[.log[] | select(.cause == "ok")] | length') -ge 1 ]"
check "… and not those that somebody made up" is "$(b '[.log[] | select(.at == "2026-11-29T03:00:00.000Z") | .what] | unique | join(" ")')" "process ended stopped"
rm -rf "$dir/sallyport.conf.d" "$dir/vault" && run sallyport --dir "$dir" doctor --bundle "$work/third.json"
check "of what is left of an appliance one is made too" is "$code" 0
run sallyport --dir "$work/none" doctor --bundle "$work/fourth.json"
check "… and of none" is "$code" 0
end
