#!/bin/bash
# Somebody has the token's PIN and OpenSC's tools: what can be seen of the keys, and what can be got out of the token?
. "$(dirname "$0")/lib.sh"
command -v pkcs11-tool >/dev/null || { echo "   pkcs11-tool is missing: packaging/try check"; failed=1; end; }
appliance a
start
tokenize
check "the appliance works" is "$status" 201
stop

pin=$(cat "$dir/credentials/hsm-pin")
export SOFTHSM2_CONF=$dir/hsm/softhsm2.conf
tool() {
	pkcs11-tool --module /usr/lib/softhsm/libsofthsm2.so --token-label sallyport --login --pin "$pin" "$@" 2>&1
}

objects=$(tool -O)
# the lines of one object: "Secret Key Object … label: kek-1 …"
object() { # class label
	printf '%s\n' "$objects" | awk -v class="$1" -v label="$2" '
		/Object|^Data object/ { if (hit) print text; text = ""; hit = 0; ours = index($0, class) == 1 }
		ours { text = text $0 "\n" } ours && $1 == "label:" && $2 == label { hit = 1 }
		END { if (hit) print text }'
}

never='sensitive, always sensitive, never extractable, local'
for key in 'Secret Key|kek-1|encrypt, decrypt' 'Private Key|ask-1|sign' 'Private Key|xsk-1|sign' 'Secret Key|ahk-1|'; do
	IFS='|' read -r class label usage <<<"$key"
	shown=$(object "$class" "$label")
	check "$label is sensitive, was never extractable and was made inside" has "$shown" "Access:     $never"
	[ -z "$usage" ] || check "$label may $usage and nothing else" is "$(printf '%s\n' "$shown" | sed -n 's/^ *Usage: *//p')" "$usage"
done
check "public halves only verify" is "$(object 'Public Key' ask-1 | sed -n 's/^ *Usage: *//p')" verify
check "the anchor is private" has "$objects" "'anchor-a'"

reads() { # type label
	rm -f "$work/out"
	tool --read-object --type "$1" --label "$2" --output-file "$work/out" >/dev/null
	[ -s "$work/out" ]
}
for key in 'secrkey kek-1' 'secrkey ahk-1' 'privkey ask-1' 'privkey xsk-1'; do
	# shellcheck disable=SC2086
	check "${key#* } can't be read" eval "! reads $key"
done
check "what can be read is read this way (the check can fail)" reads pubkey ask-1
check "without the PIN no private object is listed" lacks \
	"$(pkcs11-tool --module /usr/lib/softhsm/libsofthsm2.so --token-label sallyport -O 2>&1)" kek-1
check "a wrong PIN is refused" has "$(pin=wrong-pin-123 tool -O)" CKR_PIN_INCORRECT

# a key of the same label, planted by somebody with the PIN: two of them, and neither is trusted
tool --keygen --key-type AES:32 --label kek-1 --extractable >/dev/null
# made by us: the broker's user has to be able to read it, as a key planted by that user would be
chown -R --reference="$dir/hsm/tokens" "$dir/hsm/tokens"
sallyportd --dir "$dir" >"$dir/run/ready" 2>>"$dir/run/log" &
daemon=$!
echo "$daemon" >"$dir/run/pid"
sealed() {
	sallyport --dir "$dir" status --no-color | head -1 | grep -q '^sealed.*HSM'
}
check "a second key of that name seals the vault" wait_until 50 sealed
stop
end
