#!/bin/bash
# Root, with the token and its PIN, unwraps every key and looks for it in the memory of every process: the PIN and what the
# HSM unwraps are nowhere, the keys only where they can't be read; SQLCipher's own copies of the page keys are the exception.
. "$(dirname "$0")/lib.sh"
build=${SALLYPORT_LIBEXEC%/libexec}
residue=$build/tests/attack/key_residue
[ -x "$residue" ] || make -s -C "$build" tests/attack/key_residue >/dev/null
[ -x "$residue" ] || { echo "   $residue is not built: make check"; failed=1; end; }
if [ "$(id -u)" != 0 ]; then
	echo "   (not root: memory can't be read, which is what the processes want)"
	passed=1
	end
fi
appliance a
start
for n in 1 2 3 4 5; do
	tokenize 4242424242424242 737
	api POST /v1/payments "$(new_key)" "{\"amount\":1$n,\"currency\":\"EUR\",\"token\":\"$token\"}"
done
check "payments go through" is "$status" 201
sleep 1

look() {
	pids=$(sallyport --dir "$dir" --json status | jq -r '.processes[] | select(.pid > 0) | "\(.process):\(.pid)"')
	# shellcheck disable=SC2086
	"$residue" "$dir" "$dir/credentials/hsm-pin" $pids
}

# found WHAT: the lines of this kind with a count above 0, without SQLCipher's copies (one to read and one to write with)
found() {
	printf '%s\n' "$seen_all" | awk -v what="$1" '$1 == what && $4 > 0' |
		grep -vE '^key (pgk-vault vault|pgk-ledger ledger) [12]$'
}

look_everywhere() {
	seen_all=$(look)
	check "$1: the search finds what is there, in all nine processes" is "$(found control | wc -l)" 9
	check "$1: the PIN is nowhere" is "$(found pin)" ''
	check "$1: nothing that the HSM unwraps is anywhere" is "$(found root)" ''
	if [ "${seen_all#arena memfd_secret}" != "$seen_all" ]; then
		check "$1: no key can be read" is "$(found key)" ''
	else
		echo "   (no memfd_secret here: keys stand in locked memory, which root can read)"
		check "$1: keys are in no other process" is "$(found key | grep -vE ' (vault|ledger) ')" ''
	fi
}

look_everywhere "after traffic"
crash hsm
crash ledger
wait_until 100 sh -c "sallyport --dir '$dir' status --no-color | head -1 | grep -q '^serving — all well'"
tokenize 5555555555554444
check "it serves again" is "$status" 201
sleep 1
look_everywhere "after a new hsm and a new ledger"
end
