#!/bin/bash
# The log leaves the appliance as one signed archive; an auditor's own tools accept it, and refuse a changed one.
. "$(dirname "$0")/lib.sh"
appliance a
start

tokenize 4242424242424242
first_token=$token
api POST /v1/payments a1 "{\"amount\":1200,\"currency\":\"EUR\",\"token\":\"$token\"}"
payment=$(member id)
check "a payment is made" is "$status" 201
sallyport --dir "$dir" audit export --output "$work/first.tar" >"$work/said" 2>"$work/err"
check "the log exports" is "$?" 0
check "… and says how to check it" has "$(cat "$work/said")" "sallyport-verify $work/first.tar"
check "… with nothing animated and nothing on stderr" is "$(cat "$work/err")$(grep -c $'\033' "$work/said")" 0
check "no part of it is left lying" is "$(ls -A "$work" | grep -cE 'part|tmp')" 0

# the auditor's own copy of the keys
mkdir "$work/in" "$work/keys"
tar xf "$work/first.tar" -C "$work/in"
cp "$work"/in/keys/* "$work/keys"
check "the verifier proves it with the auditor's keys" sallyport-verify --keys "$work/keys" "$work/first.tar"
check "… and says whose keys" has "$(sallyport-verify --keys "$work/keys" "$work/first.tar")" "signed by your keys"
check "… and without keys says that, too" has "$(sallyport-verify "$work/first.tar")" "keys inside it"
check "audit verify is the same check" sallyport audit verify --keys "$work/keys" "$work/first.tar"
check "minisign accepts it" minisign -Vm "$work/first.tar" -p "$work/keys/minisign.pub"
check "openssl accepts the manifest" openssl pkeyutl -verify -pubin -inkey "$work/keys/audit.pem" -rawin \
	-in "$work/in/manifest.sha256" -sigfile "$work/in/manifest.sha256.sig"
check "sha256sum accepts the files" bash -c "cd '$work/in' && sha256sum --strict --quiet -c manifest.sha256"
if command -v go >/dev/null && [ -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ]; then
	GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$work/go" go build -o "$work/gocheck" "$(dirname "$0")/../attack/audit_verify.go"
	check "Go's tlog accepts the vault's log" "$work/gocheck" "$work/keys/vkey" "$work/in/vault"
	check "Go's tlog accepts the ledger's log" "$work/gocheck" "$work/keys/vkey" "$work/in/ledger"
fi

check "the vault's log has the card's token" grep -q "\"$first_token\"" "$work/in/vault/records.jsonl"
check "… and that it was opened for the payment" grep -q '"ev":"token.redeem"' "$work/in/vault/records.jsonl"
check "the ledger's log has the payment" grep -q "\"$payment\"" "$work/in/ledger/records.jsonl"
check "each record is JSON" jq -es 'length > 5' "$work/in/vault/records.jsonl" "$work/in/ledger/records.jsonl"
check "no card number is in it" bash -c "! grep -rq 4242424242424242 '$work/in' '$work/first.tar'"

# traffic goes on while the next one is taken; killed in the middle, it is taken again
(for i in 1 2 3 4 5 6 7 8 9 10 11 12; do api POST /v1/payments "b$i" "{\"amount\":$i,\"currency\":\"EUR\",\"token\":\"$first_token\"}"; done) >/dev/null 2>&1 &
traffic=$!
for ms in 1 4 9 15; do
	timeout -s KILL "0.0$(printf %02d $ms)" sallyport --dir "$dir" audit export --output "$work/second.tar" >/dev/null 2>&1
done 2>/dev/null
wait $traffic
check "killed four times and run again, it exports" sallyport --dir "$dir" audit export --output "$work/second.tar"
check "… and verifies" sallyport-verify --keys "$work/keys" "$work/second.tar"
mkdir "$work/in2"
tar xf "$work/second.tar" -C "$work/in2"
grows() { head -c "$(wc -c <"$work/in/$1/records.jsonl")" "$work/in2/$1/records.jsonl" | cmp - "$work/in/$1/records.jsonl"; }
# interrupted from the keyboard, or beside another one to the same name
for ms in 003 008 012; do
	timeout -s INT "0.$ms" sallyport --dir "$dir" audit export --output "$work/third.tar" >/dev/null 2>"$work/err"
	rc=$?
	check "Ctrl-C ends it as interrupted, if it has not ended" bash -c "[ $rc = 124 ] || [ $rc = 0 ]; ! [ -e '$work/third.tar.part' ]"
done
for i in 1 2 3 4; do sallyport --dir "$dir" audit export --output "$work/fourth.tar" >/dev/null 2>&1 & done
wait $!
for j in $(jobs -p); do [ "$j" = "$daemon" ] || wait "$j"; done
check "four at once to one name leave one that verifies" sallyport-verify --keys "$work/keys" "$work/fourth.tar"
check "… and nothing else" is "$(ls -A "$work" | grep -cE 'part|tmp')" 0

check "the verifier proves that the logs only grew" sallyport-verify --keys "$work/keys" --since "$work/first.tar" "$work/second.tar"
check "… and not the other way round" bash -c "sallyport-verify --since '$work/second.tar' '$work/first.tar' | grep -q \"set back\""
check "the vault's log only grew" grows vault
check "the ledger's log only grew" grows ledger
check "the first export is on the record, with who asked" bash -c "grep '\"ev\":\"audit.export\"' '$work/in2/vault/records.jsonl' | grep -q '\"kind\":\"uid\",\"id\":\"$(id -u)\"'"
check "it has every payment" is "$(grep -c '"ev":"payment.request"' "$work/in2/ledger/records.jsonl")" 13

# changed, it is refused by everybody
cp "$work/first.tar.minisig" "$work/bad.tar.minisig"
sed 's/"outcome":"ok"/"outcome":"no"/' "$work/first.tar" >"$work/bad.tar"
sallyport-verify --keys "$work/keys" "$work/bad.tar" >"$work/said"
check "a changed word is found: exit 9" is "$?" 9
check "… and the first line names it" has "$(head -1 "$work/said")" "problem — "
check "minisign refuses it" bash -c "! minisign -Vm '$work/bad.tar' -p '$work/keys/minisign.pub'"
check "with --json the problem is one document" is "$(sallyport audit verify --json "$work/bad.tar" | jq -r '.code, .ok' | tr '\n' ' ')" "verification_failed false "

check "the tail shows the last records" has "$(sallyport --dir "$dir" audit tail --log vault --lines 3)" "audit.export"
check "… as they are stored, with --raw" jq -es 'length == 3' <(sallyport --dir "$dir" audit tail --raw --log ledger --lines 3)
for i in $(seq 1 40); do tokenize 4242424242424242; done
last=$(sallyport --dir "$dir" audit tail --raw --log vault --lines 1 | jq .seq)
check "the log is longer than a screen" test "$last" -gt 64
check "… and the console shows its end" has "$(sallyport-console --dir "$dir" --plain --once --screen audit)" " $last "
stop
check "without the appliance it is exit 5" bash -c "sallyport --dir '$dir' audit export --output '$work/x.tar' 2>/dev/null; [ \$? = 5 ]"
end
