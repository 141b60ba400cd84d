#!/bin/bash
# `sallyport client check` says of a client's certificate what a gate says of it in a handshake, in the same words: every row of
# policy/client_certificate.def that a certificate can be made for, and every kind of key that openssl makes.
. "$(dirname "$0")/lib.sh"
appliance a
start
mkdir "$work/made"
cat >"$work/ca.cnf" <<X
[ca]
default_ca = d
[d]
database = $work/index
new_certs_dir = $work/made
rand_serial = yes
unique_subject = no
default_md = sha256
policy = p
[p]
commonName = supplied
X
: >"$work/index"
day() { date -u -d "$1 days" +%Y%m%d%H%M%SZ; }
client_use='extendedKeyUsage=clientAuth
keyUsage=digitalSignature'

# make NAME KEY FROM UNTIL [extensions [CA]]: $work/NAME.crt and .key; KEY as `openssl genpkey` takes it, days from today
make() {
	printf '%s\n' "${5-$client_use}" >"$work/ext"
	openssl genpkey $2 -out "$work/$1.key" 2>/dev/null
	openssl req -new -key "$work/$1.key" -subj "/CN=$1" -out "$work/$1.csr" 2>/dev/null
	openssl ca -batch -config "$work/ca.cnf" -cert "${6:-$dir/ca/ca}.crt" -keyfile "${6:-$dir/ca/ca}.key" -in "$work/$1.csr" \
		-startdate "$(day "$3")" -enddate "$(day "$4")" -extfile "$work/ext" -notext -out "$work/$1.crt" 2>"$work/openssl.err" ||
		sed 's/^/   /' "$work/openssl.err"
}
sha() { openssl x509 -in "$work/$1.crt" -outform DER | sha256sum | cut -c1-64; }
ask() { # sets code and said
	said=$(sallyport --dir "$dir" --json client check "$work/$1.crt" "${@:2}" 2>"$work/err")
	code=$?
}
# What the gate says: "why" of its log's line about this certificate, or the status of its answer.
gate_says() {
	local answer
	# at its preset level openssl would not show a weak certificate
	answer=$(printf 'GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' | timeout 10 openssl s_client -quiet -connect "127.0.0.1:$port" \
		-cipher DEFAULT@SECLEVEL=0 -cert "$work/$1.crt" -key "$work/$1.key" 2>/dev/null | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p')
	[ -z "$answer" ] || { echo "$answer"; return; }
	wait_until 20 grep -q "$(sha "$1")" "$dir/run/log"
	grep '"handshake failed"' "$dir/run/log" | jq -rR --arg c "$(sha "$1")" 'fromjson? | select(.certificate_sha256 == $c) | .why' | tail -1
}
refused() { # NAME "why, as the table has it": both say it
	ask "$1"
	check "$1: the check finds it (9)" is "$code" 9
	check "$1: … and says why" is "$(member 'against[0].why' "$said")" "$2"
	check "$1: the gate says the same" is "$(gate_says "$1")" "$2"
	check "$1: people are told the next step" grep -q "^next: $(member 'against[0].remedy' "$said")" "$work/err"
}

p256='-algorithm EC -pkeyopt ec_paramgen_curve:P-256'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=other -keyout "$work/other-ca.key" -out "$work/other-ca.crt" 2>/dev/null
make expired "$p256" -20 -3
make future "$p256" 3 20
make stranger "$p256" -1 100 "$client_use" "$work/other-ca"
make server "$p256" -1 100 'extendedKeyUsage=serverAuth
keyUsage=digitalSignature'
make sealer "$p256" -1 100 'extendedKeyUsage=clientAuth
keyUsage=keyAgreement'
make weak '-algorithm RSA -pkeyopt rsa_keygen_bits:1024' -1 100
refused expired "client certificate expired"
refused future "client certificate not yet valid"
refused stranger "client certificate of an unknown CA"
refused server "certificate is not for clients"
refused sealer "certificate may not sign"
refused weak "client certificate has a key or digest that is not taken"
rows=$(grep -c '^VERDICT' "$(dirname "$0")/../../policy/client_certificate.def")
check "every row of the table but the one of a revocation list was met" is "$rows" 7

make both "$p256" -20 -3 'extendedKeyUsage=serverAuth'
ask both
check "all that is wrong is told at once" is "$(printf '%s' "$said" | jq -r '[.against[].why] | join("|")')" \
	"client certificate expired|certificate is not for clients|no client record names this certificate"

# every kind of key that openssl makes: the check and the gate are of one mind, whatever it is
for kind in "rsa2048|-algorithm RSA -pkeyopt rsa_keygen_bits:2048" "rsa3072|-algorithm RSA -pkeyopt rsa_keygen_bits:3072" "p256|$p256" \
	"p384|-algorithm EC -pkeyopt ec_paramgen_curve:P-384" "p521|-algorithm EC -pkeyopt ec_paramgen_curve:P-521" \
	"secp256k1|-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1" "brainpool|-algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1" \
	"ed25519|-algorithm ED25519"; do
	name=${kind%%|*}
	make "$name" "${kind#*|}" -1 100
	ask "$name" --key "$work/$name.key"
	verdict=$(member code "$said")
	heard=$(gate_says "$name")
	case $heard in
	401) check "a $name key is taken by a gate, and by the check" is "$verdict" client_unknown ;;
	*) check "a $name key is refused by a gate (${heard:-no line}), and by the check" has "certificate_invalid file_malformed" "$verdict" ;;
	esac
	echo "     $name: gate ${heard:-nothing}, check $verdict" >>"$work/kinds"
done

# one whom the appliance knows
ask a/clients/demo --key "$dir/clients/demo.key"
check "a client's own certificate is good" is "$code $(member good "$said") $(member record.client.name "$said")" "0 true demo"
ask a/clients/demo --key "$work/p256.key"
check "the key of another is told" is "$code $(member 'against[0].why' "$said")" "9 the key is not the certificate's"
check "a certificate with its own CA behind it is good too" is "$(cat "$dir/clients/demo.crt" "$dir/ca.crt" >"$work/chain.crt"; ask chain; echo "$code")" 0
make soon "$p256" -1 5
sallyport --dir "$dir" client add soon --certificate "$work/soon.crt" >/dev/null
first=$(sallyport --dir "$dir" client check "$work/soon.crt" | head -1)
check "one that ends soon is told as that" is "$first" "good — the gates take it, as client soon; it expires in 4 days"

openssl req -x509 -utf8 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 5 -keyout "$work/rude.key" -out "$work/rude.crt" \
	-subj "/CN=$(printf '\033]0;mine\007')é\"x" -addext extendedKeyUsage=clientAuth 2>/dev/null
ask rude
check "a name that would speak to the terminal is told as text" is "$(printf '%s' "$said" | jq -r .certificate.subject)" 'CN=\1B]0\;mine\07\C3\A9\"x'

# elsewhere, and without the appliance
check "on a developer's machine the CA is enough" has "$(SALLYPORT_DIR=$work/none sallyport client check "$dir/clients/demo.crt" --ca "$dir/tls/clients-ca.crt")" "not asked: another CA was given"
stop
ask a/clients/demo
check "a stopped appliance is told, and no fault" is "$code $(member record.state "$said")" "0 not_asked"
head -c 300 "$dir/clients/demo.crt" >"$work/half.crt"
ask half
check "half a certificate is a file of the wrong form" is "$code $(member code "$said")" "1 file_malformed"
[ -z "${VERBOSE:-}" ] || cat "$work/kinds"
end
