#!/bin/bash
# sallyport init --live: an appliance for real cards on a token that its owner set up, without a person at a terminal. What is
# brought is checked before anything is made; each thing that can be wrong is told by its name and leaves nothing behind; killed
# at any moment it goes on; over an appliance it changes nothing. SoftHSM, with a configuration and a folder of its own, is the
# HSM; a module in between makes it another maker's, with flags and faults of its own.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || { echo "   only root can put the programs where a live monitor takes them from"; exit 0; }
top=$(cd "$(dirname "$0")/../.." && pwd)
# a live monitor runs the programs of its installation and of no other place: give it this build's there, for us alone
libexec=$(sed -n 's|^pkglibexecdir = ||p' "$SALLYPORT_LIBEXEC/../Makefile" | head -1)
if [ -z "${INSIDE:-}" ]; then
	rm -rf "$work"
	INSIDE=1 exec unshare -m --propagation private "$0"
fi
mkdir "$work/up"
trap 'umount -l /usr/local "$work/up" "$work/full" 2>/dev/null; cleanup' EXIT
mount -t tmpfs -o mode=0755 tmpfs "$work/up" && mkdir "$work/up/u" "$work/up/w"
mount -t overlay overlay -o "lowerdir=/usr/local,upperdir=$work/up/u,workdir=$work/up/w" /usr/local || { echo "   no overlay"; failed=1; end; }
mkdir -p /usr/local/libexec/sallyport && cp -L "$SALLYPORT_LIBEXEC"/* /usr/local/libexec/sallyport/
unset SALLYPORT_LIBEXEC

run() { # run command…: sets out, err, code
	out=$("$@" 2>"$work/err" </dev/null)
	code=$?
	err=$(cat "$work/err")
}
pem() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 400 "$@" 2>/dev/null; }

# ── what a site brings ──
mkdir "$work/hsm" "$work/keys"
softhsm=/usr/lib/softhsm/libsofthsm2.so
printf 'directories.tokendir = %s/hsm/tokens\nobjectstore.backend = file\nlog.level = ERROR\n' "$work" >"$work/hsm/softhsm2.conf"
export P11_CONF=$work/hsm/softhsm2.conf
token() { # LABEL: a new token of the site's own
	mkdir -p "$work/hsm/tokens"
	SOFTHSM2_CONF=$P11_CONF softhsm2-util --init-token --free --label "$1" --so-pin so-pin-4711 --pin "$(cat "$work/pin")" >/dev/null
	chown -R sallyport-hsm: "$work/hsm"
}
tool() { SOFTHSM2_CONF=$P11_CONF pkcs11-tool --module "$softhsm" --login --pin "$(cat "$work/pin")" "$@" 2>&1; }
objects() { tool --token-label "$1" -O | grep -c 'Key Object'; }
cc -std=c11 -D_GNU_SOURCE -O1 -fPIC -shared -fvisibility=hidden -DMAKER='"Acme HSM"' $(pkg-config --cflags p11-kit-1) -o "$work/hsm/acme.so" "$top/tests/attack/p11_shim.c" -ldl ||
	{ echo "   the shim does not build"; failed=1; end; }
printf 'user-pin-4711' >"$work/pin" && printf 'user-pin-4712' >"$work/wrong-pin" && chmod 0600 "$work/pin" "$work/wrong-pin"
printf 'correct horse battery\n' >"$work/pass" && chmod 0600 "$work/pass"
for o in a.ito m.okafor; do sallyport officer new $o --out "$work/keys" --passphrase-file "$work/pass" >/dev/null; done
sallyport officer new s.lindqvist --role custodian --out "$work/keys" --passphrase-file "$work/pass" >/dev/null
pem -subj '/CN=Site CA' -keyout "$work/ca.key" -out "$work/ca.crt"
issue() { # NAME USAGE
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.csr" 2>/dev/null
	openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 200 -out "$work/$1.crt" \
		-extfile <(printf 'extendedKeyUsage=%s\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' "$2") 2>/dev/null
}
issue gate serverAuth
issue shop clientAuth
chmod 0600 "$work"/*.key
token vault-1

port=$(free_port)
base=https://127.0.0.1:$port
answers() { # [name = value…]: a whole set, and what replaces or joins it
	cat >"$work/answers" <<A
live = yes
yes = yes
module = $work/hsm/acme.so
token = vault-1
pin-file = $work/pin
module-reads = $work/hsm/softhsm2.conf $work/hsm/acme.so
module-writes = $work/hsm
module-environment = SOFTHSM2_CONF=$work/hsm/softhsm2.conf P11_SHIM_CONTROL=$work/hsm/control
officer = a.ito=$work/keys/a.ito.pub
officer = m.okafor=$work/keys/m.okafor.pub
officer = s.lindqvist=$work/keys/s.lindqvist.pub
merchant = books
merchant = toys
client-ca = $work/ca.crt
server-cert = $work/gate.crt
server-key = $work/gate.key
listen = 127.0.0.1:$port
A
	for line; do
		sed -i "/^${line%% =*} = /d" "$work/answers"
		case $line in *' = -') ;; *) printf '%s\n' "$line" >>"$work/answers" ;; esac
	done
}
init() { run sallyport --dir "$dir" init --answers "$work/answers"; }
clean() { # nothing was made
	[ ! -e "$dir" ] || [ -z "$(find "$dir" -type f ! -path "$dir/run/*")" ] || { find "$dir" -type f; return 1; }
}
refused() { # "sentence" CODE WORDS: the last init
	check "$1" has "$code $err" "$2 sallyport: "
	check "… by its name" has "$err" "$3"
	check "… with a next step" has "$err" "next: "
	check "… and nothing is made" clean
}
dir=$work/live

# ── each thing that can be wrong ──
while IFS='|' read -r sentence line want words; do
	answers "$line"
	init
	refused "$sentence" "$want" "$words"
done <<T
no such module|module = $work/hsm/none.so|1|there is no module at $work/hsm/none.so
a module that is no library|module = $work/answers|1|is no shared library
a library that is no PKCS#11 module|module = $(readlink -f /lib/x86_64-linux-gnu/libm.so.6)|1|is no PKCS#11 module
a relative module|module = acme.so|2|--module takes an absolute path
no such token|token = vault-2|1|there is no token vault-2
a software HSM that nobody meant|module = $softhsm|1|is a software HSM
one officer|officer = a.ito=$work/keys/a.ito.pub|2|two security officers at least
no PIN|pin-file = $work/none|1|--pin-file: A file is not there
no PIN and no terminal|pin-file = -|2|no terminal to ask for the PIN
no certificates|client-ca = -|2|say whose certificates
a key that is another's|server-key = $work/shop.key|1|the key is not the certificate's
a client's certificate for the server|server-cert = $work/shop.crt|1|the key is not the certificate's
a CA that is none|client-ca = $work/gate.crt|1|--server-cert: it does not lead to the CA
no merchant|merchant = -|2|--merchant NAME is missing
a name that no merchant has|merchant = Books & Toys|2|a merchant's name has
a client without a CA of ours|client = shop|2|--client needs --make-ca
a flag that nobody knows|modul = x|2|did you mean: --module
T
answers; sed -i "s|^officer = m.okafor=.*|officer = m.okafor=$work/keys/m.okafor.key|" "$work/answers"; init
refused "an officer's private key" 1 "officer m.okafor: The file holds an officer's private key"
answers; sed -i "s|^officer = m.okafor=.*|officer = m.okafor=$work/keys/a.ito.pub|" "$work/answers"; init
refused "an officer's file under another name" 1 "officer m.okafor: the file is of a.ito"
answers; chmod 0644 "$work/pin"; init
refused "a PIN that others can read" 1 "--pin-file: A file that holds a secret can be read by others"
chmod 0600 "$work/pin"
answers; chmod 0644 "$work/gate.key"; init
refused "a server's key that others can read" 1 "--server-key: A file that holds a secret"
chmod 0600 "$work/gate.key"

tries() { grep -c '^C_Login$' "$work/hsm/control.fired" 2>/dev/null || true; }
hsm_does() { rm -f "$work/hsm/control.fired"; printf '%s' "$*" >"$work/hsm/control"; chown -R sallyport-hsm: "$work/hsm"; }
hsm_does '1 0 slow 1 C_Login'
answers "pin-file = $work/wrong-pin"; init
refused "a wrong PIN" 3 "says that few tries are left"
check "… is tried once" is "$(tries)" 1
hsm_does '1 0 flags 0x20000 C_GetTokenInfo'
answers; init
refused "one try left" 3 "has one try left for its PIN, which is not used up"
hsm_does '1 0 flags 0x40000 C_GetTokenInfo'
answers; init
refused "a locked PIN" 3 "has locked its PIN"
hsm_does '1 0 return 0xe2 C_OpenSession'
answers; init
refused "a write-protected token" 1 "token is write protected"
hsm_does '1 0 return 0x30'
answers; init
refused "a device that does not work" 4 "sallyport: HSM: "
hsm_does ''
check "the token is as it was" is "$(objects vault-1)" 0
tool --token-label vault-1 --keygen --key-type AES:32 --label kek-1 >/dev/null; chown -R sallyport-hsm: "$work/hsm"
answers; init
refused "a token with a key of our label on it" 1 "holds keys of another installation"
check "… keeps that key" is "$(objects vault-1)" 1
tool --token-label vault-1 --delete-object --type secrkey --label kek-1 >/dev/null
tool --token-label vault-1 --keygen --key-type AES:32 --label somebody-elses >/dev/null; chown -R sallyport-hsm: "$work/hsm"

# ── looked at, made, run over ──
answers
run sallyport --dir "$dir" init --answers "$work/answers" --dry-run
check "a look finds all of it good" has "$code $out" "0 The plan:"
check "… shows the officers' words" has "$out" "$(sed -n 's/^fingerprint=//p' "$work/keys/a.ito.pub")"
check "… and makes nothing" clean
answers "yes = -"; init
refused "without --yes it only shows its plan" 2 "say so with --yes"
answers; init
check "it is made without a person" is "$code" 0
for word in 'made — a live appliance' 'Carry off the host:' 'no_live_processor' 'client add NAME --certificate FILE' 'next: '; do
	check "its page says: $word" has "$out" "$word"
done
check "the key of somebody else is still there, beside ours" is "$(objects vault-1)" 7
check "no client, CA or PIN was made" is "$(ls "$dir/clients" "$dir/ca" "$dir/credentials" | grep -v ':$' | tr -d '\n')" ""
check "officers' public keys only" is "$(ls "$dir/officers" | tr '\n' ' ')" "a.ito.pub m.okafor.pub s.lindqvist.pub "
check "the PIN stands in no file" bash -c "! grep -rqa user-pin-4711 '$dir'"
before=$(cd "$dir" && find . -type f ! -path './run/*' -exec sha256sum {} + | sort)
init
check "run over it it exits 1" has "$code $err" "1 sallyport: init: There is an appliance here already"
check "… and changes nothing" is "$(cd "$dir" && find . -type f ! -path './run/*' -exec sha256sum {} + | sort)" "$before"

# ── it serves ──
mkdir "$work/credentials" && cp "$work/pin" "$work/credentials/hsm-pin"
export CREDENTIALS_DIRECTORY=$work/credentials
start
check "it serves" has "$(sallyport --dir "$dir" status)" "serving — all well"
check "… and is not called a test" lacks "$(sallyport --dir "$dir" status)" TEST
run sallyport --dir "$dir" client add shop --certificate "$work/shop.crt" --merchants books,toys --officer "$work/keys/s.lindqvist.key" --passphrase-file "$work/pass"
check "a custodian lets no client in" has "$code $err" "7 "
run sallyport --dir "$dir" client add shop --certificate "$work/shop.crt" --merchants books,toys --officer "$work/keys/a.ito.key" --passphrase-file "$work/pass"
check "a security officer does" is "$code" 0
mkdir "$work/client" && cp "$work"/shop.{crt,key} "$dir/clients/"
client=shop
api GET /v1/whoami
check "the client is in" is "$status $(member livemode)" "200 true"
api POST /v1/tokens "$(new_key)" '{"merchant":"books","card":{"number":"4242424242424242","exp_month":12,"exp_year":2031}}'
check "a published test number is refused" is "$status $(member code)" "422 test_card_in_live"
api POST /v1/tokens "$(new_key)" '{"merchant":"books","card":{"number":"4539578763621486","exp_month":12,"exp_year":2031}}'
check "a real one gives a token" is "$status $(member livemode)" "201 true"
token=$(member id)
api POST /v1/payments "$(new_key)" "{\"merchant\":\"books\",\"amount\":1000,\"currency\":\"EUR\",\"token\":\"$token\"}"
check "a payment is told that there is no live processor" is "$status $(member code)" "422 no_live_processor"
api POST /v1/payments "$(new_key)" "{\"merchant\":\"books\",\"amount\":1000,\"currency\":\"EUR\",\"token\":\"$token\",\"processor\":\"simulator\"}"
check "… also one that asks for the simulator" is "$status $(member code)" "422 no_live_processor"
stop
set_conf mode test
sallyportd --dir "$dir" >"$dir/run/ready" 2>>"$dir/run/log" &
daemon=$!
echo "$daemon" >"$dir/run/pid"
sealed() { sallyport --dir "$dir" status | head -1 | grep -q 'sealed.*mode'; }
check "a live one that is called a test stays sealed" wait_until 50 sealed
stop
client=demo

# ── the other token is no other's business; a small-site CA, SoftHSM and all, spoken out ──
token vault-2
dir=$work/second
port=$(free_port) base=https://127.0.0.1:$port
answers "module = $softhsm" "accept-software-hsm = yes" "token = vault-2" "client-ca = -" "server-cert = -" "server-key = -" "make-ca = yes" "client = demo" "listen = 127.0.0.1:$port" "merchant = books"
init
check "with a small-site CA a first client is made" is "$code" 0
check "… and the page says that the keys are files" has "$out" "who copies its files has every card"
start
api POST /v1/tokens "$(new_key)" '{"card":{"number":"4539578763621486","exp_month":12,"exp_year":2031}}'
check "… which is let in" is "$status $(member livemode)" "201 true"
check "status names the software HSM" has "$(sallyport --dir "$dir" status)" oftware
stop

# ── a full disk ──
token vault-3
mkdir "$work/full" && mount -t tmpfs -o size=64k,mode=0755 tmpfs "$work/full"
dir=$work/full/a
answers "token = vault-3"
for size in 64k 100k 160k 230k 300k; do
	mount -o remount,size=$size "$work/full"
	init
	check "a disk with room for $size is told to be full" has "$code $err" "1 sallyport: "
	check "… as one" has "$err" "disk is full"
done
mount -o remount,size=300m "$work/full"
init
check "with room the same command goes on" is "$code" 0
umount -l "$work/full"

# ── killed at any moment ──
# all but the broker: SoftHSM lives in it and writes its files in place, and a HSM is not killed with its library. It ends by
# itself when its parent is gone.
killed_init() { # after so many milliseconds
	setsid sallyport --dir "$dir" init --answers "$work/answers" >"$work/init.log" 2>&1 </dev/null &
	group=$!
	sleep "0.$(printf %03d "$1")"
	for p in $(pgrep -g "$group"); do
		[ "$(tr "\\0" "\n" <"/proc/$p/cmdline" 2>/dev/null | head -1)" = hsm ] || kill -9 "$p" 2>/dev/null
	done
	wait "$group" 2>/dev/null
	wait_until 50 sh -c "! pgrep -g $group >/dev/null && ! pgrep -f -- '--dir $dir( |\$)' >/dev/null"
}
echo "   seed $seed"
for round in 1 2 3 4 5; do
	token "vault-k$round"
	dir=$work/k$round
	port=$(free_port) base=https://127.0.0.1:$port
	answers "token = vault-k$round" "listen = 127.0.0.1:$port"
	for _ in 1 2 3; do killed_init $((RANDOM % 900)); done
	init
	check "round $round: init ends well after three kills" bash -c "[ $code = 0 ] || grep -q already '$work/err' || { echo '     saw: $code'; cat '$work/err'; exit 1; }"
	check "… with one key of each name" is "$(objects "vault-k$round")" 6
	start
	check "… and what came out serves" has "$(sallyport --dir "$dir" status)" "serving — all well"
	stop
done
end
