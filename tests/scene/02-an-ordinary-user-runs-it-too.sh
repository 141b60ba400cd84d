#!/bin/bash
# Without root everything runs under one user, in the same jails: the first road again, as nobody.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ]; then
	echo "   not root: the other scenes are this one"
	check "an ordinary user runs the scenes" test "$(id -u)" -ne 0
	end
fi
# the tree may lie where only root can go: nobody gets copies
mkdir -p "$work/tree/libexec" "$work/tree/tests"
cp "$(command -v sallyport)" "$(command -v sallyportd)" "$(command -v sallyport-verify)" "$work/tree/"
cp -L "$SALLYPORT_LIBEXEC"/* "$work/tree/libexec/"
cp -r "$(dirname "$0")" "$work/tree/tests/scene"
as_nobody() {
	(cd / && setpriv --reuid nobody --regid nogroup --clear-groups env -u SEED HOME=/nonexistent TMPDIR=/tmp PATH="$work/tree:$PATH" \
		SALLYPORT_LIBEXEC="$work/tree/libexec" "$@")
}
as_nobody "$work/tree/tests/scene/01-a-card-goes-in-a-payment-comes-out.sh" >"$work/first" 2>&1
result=$?
check "the first road, as nobody: $(tail -1 "$work/first")" is "$result" 0
check "… every check of it" has "$(cat "$work/first")" " passed, 0 failed"
as_nobody sh -c "sallyport --dir $work/tree/none init --software-hsm --yes" >"$work/refused" 2>&1
result=$?
check "where it may not write it says so" is "$result" 7
check "… in two lines" has "$(cat "$work/refused")" "next: "
end
