#!/bin/bash
# Who may talk to the desk: root, the owner and the officers' group; a stranger is told so and leaves a trace in the log.
. "$(dirname "$0")/lib.sh"
appliance a
start

check "the owner is answered" has "$(sallyport --dir "$dir" status)" "serving"
check "status names every process and its jail" bash -c "sallyport --dir '$dir' --json status | jq -e '[.processes[].process] | unique | . == ([\"courier\",\"desk\",\"gate\",\"herald\",\"hsm\",\"ledger\",\"monitor\",\"vault\"])'"

if [ "$(id -u)" != 0 ]; then
	echo "   not tried: becoming a stranger needs root"
	end
fi
as() { # user command…: without root's rights, with the user's groups
	local user=$1
	shift
	setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --bounding-set=-all --inh-caps=-all env PATH="$PATH" "$@"
}
chmod 0755 "$work"
# the tree may lie where only we can go: nobody gets a copy of the command
cp "$(command -v sallyport)" "$work/sallyport"
as nobody "$work/sallyport" --dir "$dir" status >"$work/nobody" 2>&1
check "a stranger is refused" test $? -ne 0
check "… and told so" has "$(cat "$work/nobody")" "You may not do this"

# the file's own mode would have kept him out: open it, and the desk still looks at the uid
chmod 0666 "$dir/run/desk.sock"
chmod 0711 "$dir" "$dir/run"
for _ in 1 2 3; do as nobody "$work/sallyport" --dir "$dir" status >"$work/nobody" 2>&1; done
check "a stranger at an open socket is refused too" test $? -ne 0
check "… and told so" has "$(cat "$work/nobody")" "You may not do this"
denied() { sallyport --dir "$dir" audit tail --raw 2>/dev/null | grep -q desk.denied; }
check "the refusal is in the vault's log" wait_until 50 denied
check "others notice nothing" has "$(sallyport --dir "$dir" status)" "serving"

# a member of the group comes in: nogroup is nobody's own
stop
set_conf desk.group nogroup
start
chmod 0666 "$dir/run/desk.sock"
check "a member of the configured group is let in" has "$(as nobody "$work/sallyport" --dir "$dir" status 2>&1)" "serving"
end
