#!/bin/bash
# Every command is brought into every exit code that it lists, by a real appliance where one can be brought there: not made,
# stopped, serving, sealed, refusing, asked by a stranger, interrupted. With --json each answer is one document of its schema.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
export top work
recipes() { "${PYTHON:-/usr/bin/python3}" "$top/tests/scene/52-recipes.py" "$1"; }
shim=$work/p11_shim.so
cc -std=c11 -D_GNU_SOURCE -O1 -fPIC -shared -fvisibility=hidden $(pkg-config --cflags p11-kit-1) -o "$shim" "$top/tests/attack/p11_shim.c" -ldl ||
	{ echo "   the shim does not build"; failed=1; end; }
chmod 0644 "$shim"
appliance a
export dir
set_conf hsm.module "$shim"
set_conf hsm_grace 2s
# the tree may lie where only we can go: a stranger gets a copy of the command
cp "$(command -v sallyport)" "$work/sallyport"

check "without an appliance" recipes none
check "stopped" recipes stopped
start
chmod 0666 "$dir/run/desk.sock"
check "serving" recipes serving
printf '1 0 return 0x32' >"$dir/hsm/control.new" && chmod 0644 "$dir/hsm/control.new" && mv "$dir/hsm/control.new" "$dir/hsm/p11_shim.control"
refuses() { sallyport --dir "$dir" status >/dev/null 2>&1; [ $? = 4 ]; }
check "the HSM is pulled out" wait_until 100 refuses
check "refusing" recipes refusing
stop
rm -f "$dir/hsm/p11_shim.control"
mv "$dir/credentials/hsm-pin" "$work/hsm-pin"
sallyportd --dir "$dir" >"$dir/run/ready" 2>>"$dir/run/log" &
daemon=$!
echo "$daemon" >"$dir/run/pid"
sealed() { sallyport --dir "$dir" status >/dev/null 2>&1; [ $? = 3 ]; }
check "without its PIN it is sealed" wait_until 100 sealed
check "sealed" recipes sealed
stop
mv "$work/hsm-pin" "$dir/credentials/hsm-pin"
check "a desk that fails, finds, or never answers" recipes desk
check "every listed code was seen, and no other" recipes account
end
