#!/bin/bash
# For SECONDS_OF_MADNESS the HSM does something else several times a second: gone, losing its session, logged out, slow,
# hanging, signing wrongly. Within hsm_grace no payment fails, and the signed log is whole afterwards.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
shim=$work/p11_shim.so
cc -std=c11 -D_GNU_SOURCE -O1 -fPIC -shared -fvisibility=hidden $(pkg-config --cflags p11-kit-1) -o "$shim" "$top/tests/attack/p11_shim.c" -ldl ||
	{ echo "   the shim does not build"; failed=1; end; }
chmod 0644 "$shim"
appliance a
set_conf hsm.module "$shim"
set_conf hsm.deadline 500ms
start

hsm_does() {
	rm -f "$dir/hsm/p11_shim.control.fired"
	printf '%s' "$*" >"$dir/hsm/control.new"
	chmod 0644 "$dir/hsm/control.new"
	mv "$dir/hsm/control.new" "$dir/hsm/p11_shim.control"
}

go_mad() {
	while :; do
		case $((RANDOM % 8)) in
		0) hsm_does '1 0 return 0x32' ;;
		1) hsm_does "$((RANDOM % 20 + 1)) 3 return 0xb3" ;;
		2) hsm_does '1 0 slow 30' ;;
		3) hsm_does '1 1 hang 0' ;;
		4) hsm_does '1 5 flip 0 C_Sign' ;;
		5) hsm_does "$((RANDOM % 9 + 1)) 1 return 0x5" ;;
		6) hsm_does '1 2 return 0x101' ;;
		*) hsm_does ;;
		esac
		sleep "0.$((RANDOM % 9 + 1))"
	done
}

tokenize
check "a card goes in" is "$status" 201
go_mad &
mad=$!
paid=0 tried=0 until=$((SECONDS + ${SECONDS_OF_MADNESS:-15}))
while [ $SECONDS -lt $until ]; do
	api POST /v1/payments "$(new_key)" "{\"amount\":1000,\"currency\":\"EUR\",\"token\":\"$token\"}"
	tried=$((tried + 1))
	[ "$status" = 201 ] && paid=$((paid + 1))
done
kill $mad
wait $mad 2>/dev/null
hsm_does
check "no payment failed (seed $seed)" is "$paid" "$tried"
check "there were payments" [ "$tried" -gt 20 ]
check "it is well again by itself" wait_until 200 sh -c "sallyport --dir '$dir' status --no-color | head -1 | grep -q '^serving — all well'"
sallyport --dir "$dir" audit export --output "$work/x.tar" >/dev/null
check "the log is whole, and every signature in it is right" has "$(sallyport-verify "$work/x.tar")" verified
check "madness was seen" grep -q 'an HSM verb failed' "$dir/run/log"
end
