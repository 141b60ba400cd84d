#!/bin/bash
# An export is accepted by tools that know nothing of Sallyport, and every change of it is refused by them and by
# sallyport-verify, against the auditor's own keys.
#   N=200 SEED=… tests/unit/audit/third_party.sh     (in the build directory: make check sets the paths)
set -u
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/../../.." && pwd)}
build=${abs_top_builddir:-$PWD}
n=${N:-200} seed=${SEED:-$RANDOM$RANDOM}
for tool in minisign openssl sha256sum python3 tar; do
	command -v $tool >/dev/null || { echo "FAIL: $tool is missing: packaging/try check installs it"; exit 1; }
done
d=$(mktemp -d "${TMPDIR:-/tmp}/audit-third-party.XXXXXX")
trap 'rm -rf "$d"' EXIT
fail() { echo "FAIL: $*   (SEED=$seed)"; exit 1; }

mkdir "$d/keys" "$d/x"
make=$build/tests/unit/audit/audit_make
verify=$build/console/verify/sallyport-verify
"$make" "$d/a.tar" "$d/keys" 600 300 || fail "no export was made"
"$make" "$d/forged.tar" "$d/keys" 600 300 --forge || fail "no forged export was made"
"$make" "$d/again.tar" "$d/keys" 600 300 && cmp "$d/a.tar" "$d/again.tar" || fail "the export is not reproducible"

gocheck=
if command -v go >/dev/null && [ -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ]; then
	GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$d/go" go build -o "$d/audit_verify" "$top/tests/attack/audit_verify.go" ||
		fail "the Go verifier does not build"
	gocheck=$d/audit_verify
else
	echo "note: golang-go and golang-golang-x-mod-dev are not here; Go's verifier is left out"
fi

# What minisign says about the archive.
archive_ok() { minisign -Vm "$1" -p "$d/keys/minisign.pub" >/dev/null 2>&1; }
# What openssl, sha256sum and Go say about what is inside: no look at the archive's signature.
inside_ok() {
	rm -rf "$d/x" && mkdir "$d/x" && tar xf "$1" -C "$d/x" 2>/dev/null || return 1
	openssl pkeyutl -verify -pubin -inkey "$d/keys/audit.pem" -rawin -in "$d/x/manifest.sha256" \
		-sigfile "$d/x/manifest.sha256.sig" >/dev/null 2>&1 || return 1
	(cd "$d/x" && sha256sum --strict -c manifest.sha256) >/dev/null 2>&1 || return 1
	for log in vault ledger; do
		(cd "$d/x/$log" && sha256sum --strict -c tiles.sha256) >/dev/null 2>&1 || return 1
		# the checkpoint's text is what openssl can check with the same key in PEM
		sed '/^$/,$d' "$d/x/$log/checkpoint" >"$d/text"
		sed -n 's/^— [^ ]* //p' "$d/x/$log/checkpoint" | base64 -d 2>/dev/null | tail -c 64 >"$d/sig"
		openssl pkeyutl -verify -pubin -inkey "$d/keys/checkpoint.pem" -rawin -in "$d/text" -sigfile "$d/sig" >/dev/null 2>&1 || return 1
		[ -z "$gocheck" ] || "$gocheck" "$d/keys/vkey" "$d/x/$log" >/dev/null 2>&1 || return 1
	done
}
ours() { "$verify" --keys "$d/keys" "$1" >"$d/said" 2>&1; }

# The verifier is small on purpose: libsodium and the C library, nothing that an auditor would have to trust besides.
if ! nm -D "$verify" 2>/dev/null | grep -q '__asan_'; then
	needed=$(readelf -d "$verify" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
	[[ $needed =~ ^libc\.so\.6\ libsodium\.so\.[0-9]+\ $ ]] || fail "the verifier links more than libsodium and libc: $needed"
fi

# The control: what was not changed is accepted by all, so that a refusal below means something.
python3 "$top/tests/attack/audit_tamper.py" "$d/a.tar" "$d/forged.tar" "$d/c.tar" none 1 || fail "the control differs from the export"
archive_ok "$d/c.tar" || fail "minisign refuses an untouched export"
inside_ok "$d/c.tar" || fail "openssl, sha256sum or Go refuse an untouched export"
ours "$d/c.tar" || fail "sallyport-verify refuses an untouched export: $(cat "$d/said")"
"$verify" "$d/c.tar" >"$d/said" || fail "sallyport-verify without --keys refuses an untouched export"
grep -q 'keys inside' "$d/said" || fail "sallyport-verify does not say whose keys it used"
"$verify" "$d/forged.tar" >/dev/null || fail "a forged export must verify with the forger's keys inside, or the test forges nothing"
"$verify" "$d/missing.tar" >/dev/null 2>&1
[ $? = 1 ] || fail "a missing file must be exit 1"
"$verify" >/dev/null 2>&1
[ $? = 2 ] || fail "no argument must be exit 2"
for wrong in --key --keyz=x --jsom --record=vault:1; do
	"$verify" $wrong "$d/c.tar" >/dev/null 2>"$d/said"
	[ $? = 2 ] || fail "$wrong must be exit 2"
done
"$verify" --jsom "$d/c.tar" 2>&1 | grep -q 'did you mean --json' || fail "a mistyped option must be answered with the right one"
"$verify" "$d/c.tar" --record vault:x >/dev/null 2>&1
[ $? = 2 ] || fail "a record that can't be must be exit 2"
"$verify" --json "$d/missing.tar" 2>/dev/null | python3 -c 'import json, sys; assert json.load(sys.stdin)["code"] == "file_missing"' ||
	fail "with --json a failure must be one document"
mv "$d/c.tar.minisig" "$d/kept" && ours "$d/c.tar"
[ $? = 9 ] && grep -q 'minisig' "$d/said" || fail "a missing signature must be a problem"
mv "$d/kept" "$d/c.tar.minisig"

# A log set back or forked with the true keys verifies alone; against the earlier export it does not.
"$make" "$d/old.tar" "$d/keys" 400 200 && "$make" "$d/fork.tar" "$d/keys" 600 300 --fork || fail "no fork was made"
ours "$d/fork.tar" || fail "a fork signed with the true keys must verify alone, or the test forks nothing"
"$verify" --keys "$d/keys" --since "$d/old.tar" "$d/a.tar" >"$d/said" || fail "a log that only grew is refused: $(cat "$d/said")"
grep -q 'begins with the 400 records of the earlier export' "$d/said" || fail "--since does not say what it proved"
"$verify" --keys "$d/keys" --since "$d/old.tar" "$d/fork.tar" >"$d/said"
[ $? = 9 ] && head -1 "$d/said" | grep -q 'another log was shown' || fail "a fork is not found: $(head -1 "$d/said")"
"$verify" --keys "$d/keys" --since "$d/a.tar" "$d/old.tar" >"$d/said"
[ $? = 9 ] && head -1 "$d/said" | grep -q 'set back' || fail "a log set back is not found: $(head -1 "$d/said")"

# One record with its proof, checked again by another program.
"$verify" --keys "$d/keys" --json --record vault:417 "$d/a.tar" | python3 -c '
import base64, hashlib, json, sys
r = json.load(sys.stdin)["record"]
h = lambda *p: hashlib.sha256(b"".join(p)).digest()
at, last, node = r["seq"], r["size"] - 1, h(b"\0", r["leaf"].encode())
for p in map(base64.b64decode, r["proof"]):
    if at & 1 or at == last:
        node = h(b"\1", p, node)
        while not at & 1:
            at, last = at >> 1, last >> 1
    else:
        node = h(b"\1", node, p)
    at, last = at >> 1, last >> 1
assert last == 0 and node == base64.b64decode(r["root"]) and json.loads(r["leaf"])["seq"] == 417
assert len(json.dumps(r)) - len(r["leaf"]) < 2048
' || fail "the proof of a record does not hold"

# Every command of docs/audit-format.md, as it stands there.
mkdir "$d/doc" && cp "$d/a.tar" "$d/doc/march.tar" && cp "$d/a.tar.minisig" "$d/doc/march.tar.minisig" && cp "$d/old.tar" "$d/doc/february.tar" && cp -r "$d/keys" "$d/doc/our-keys"
awk -v go="$gocheck" '/^```/ { on = $0 == "```sh" || ($0 == "```sh go" && go != ""); next } on' "$top/docs/audit-format.md" >"$d/doc/commands"
[ "$(grep -c . "$d/doc/commands")" -ge 12 ] || fail "docs/audit-format.md has no commands"
(cd "$d/doc" && PATH="$(dirname "$verify"):$PATH" SOURCES=$top GOCACHE="$d/go" bash -euo pipefail ./commands >"$d/said" 2>&1) ||
	fail "a command of docs/audit-format.md fails: $(tail -3 "$d/said")"

# Kinds that leave the inside as it is or put a true inside into a damaged archive are minisign's to find.
outside=' flip_any_bit cut_the_archive append_to_the_archive add_a_file change_the_signature '
read -r -a kinds <<<"$(python3 "$top/tests/attack/audit_tamper.py" --kinds)"
[ ${#kinds[@]} -ge 12 ] || fail "too few kinds of change"
declare -A done=()
for ((i = 0; i < n; i++)); do
	kind=${kinds[$((i % ${#kinds[@]}))]}
	python3 "$top/tests/attack/audit_tamper.py" "$d/a.tar" "$d/forged.tar" "$d/t.tar" "$kind" "$seed-$i" ||
		fail "change $i ($kind) changed nothing"
	archive_ok "$d/t.tar" && fail "minisign accepts change $i ($kind)"
	ours "$d/t.tar"
	rc=$?
	[ $rc = 9 ] || fail "sallyport-verify says $rc to change $i ($kind): $(head -3 "$d/said")"
	head -1 "$d/said" | grep -q '^problem — ' || fail "the first line does not name the problem ($kind): $(head -1 "$d/said")"
	case $outside in
	*" $kind "*) ;;
	*) inside_ok "$d/t.tar" && fail "openssl, sha256sum and Go accept change $i ($kind)" ;;
	esac
	done[$kind]=$((${done[$kind]:-0} + 1))
done
for kind in "${kinds[@]}"; do
	[ "${done[$kind]:-0}" -gt 0 ] || fail "no change of the kind $kind was made: N is too small"
done
echo "ok: $n changes of ${#kinds[@]} kinds refused by minisign, openssl, sha256sum${gocheck:+, Go} and sallyport-verify; seed $seed"
