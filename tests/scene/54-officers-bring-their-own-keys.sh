#!/bin/bash
# An officer makes a key on a machine of their own: a passphrase locks it, words name it, the public half is handed in, and
# what is signed with it counts. Wrong passphrases, changed files and files that others may read are refused.
. "$(dirname "$0")/lib.sh"
mkdir "$work/keys"
printf 'correct horse battery\n' >"$work/pass" && chmod 0600 "$work/pass"
printf 'correct horse bttery\n' >"$work/wrong" && chmod 0600 "$work/wrong"

run() { # run command…: sets out, err, code
	out=$("$@" 2>"$work/err" </dev/null)
	code=$?
	err=$(cat "$work/err")
}
# typed TEXT command…: on a terminal, each line of TEXT is typed when the command waits without echo
typed() {
	python3 - "$@" <<'P'
import os, pty, select, sys, termios, time
lines, command = sys.argv[1].split("\n"), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen, end = b"", time.time() + 60
while time.time() < end:
    if select.select([fd], [], [], 0.05)[0]:
        try:
            got = os.read(fd, 4096)
        except OSError:
            break
        if not got:
            break
        seen += got
    elif lines and not termios.tcgetattr(fd)[3] & termios.ECHO:
        os.write(fd, lines.pop(0).encode() + b"\n")
sys.stdout.write(seen.decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
P
}

run sallyport officer new j.doe --out "$work/keys" --passphrase-file "$work/pass"
check "a key is made" is "$code" 0
words=$(sed -n 's/^fingerprint=//p' "$work/keys/j.doe.pub")
check "its fingerprint is six words" bash -c "printf '%s' '$words' | grep -qE '^([bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz] ?){6}$'"
check "… and is shown" has "$out" "$words"
check "the private half is 0600" is "$(stat -c %a "$work/keys/j.doe.key")" 600
check "… and says how it is locked" grep -q '^kdf=argon2id:3:262144$' "$work/keys/j.doe.key"
run sallyport officer show "$work/keys/j.doe.pub"
check "whoever gets the public half sees the same words" has "$out" "$words"
run sallyport officer show "$work/keys/j.doe.key"
check "a private half that is handed in is refused" has "$code $err" "1 sallyport: officer show: The file holds an officer's private key"
sed 's/^name=.*/name=m.roe/; s/^public=..../public=AAAA/' "$work/keys/j.doe.pub" >"$work/changed.pub"
run sallyport officer show "$work/changed.pub"
check "a changed public half is refused" is "$code" 1
before=$(cat "$work"/keys/*)
run sallyport officer new j.doe --out "$work/keys" --passphrase-file "$work/pass"
check "a key that exists is not replaced" is "$code $(cat "$work"/keys/* | cmp - <(printf '%s\n' "$before") && echo same)" "1 same"
printf 'short\n' >"$work/short" && chmod 0600 "$work/short"
run sallyport officer new s.hort --out "$work/keys" --passphrase-file "$work/short"
check "a short passphrase is refused" has "$code $err" "1 sallyport: officer new: The passphrase has fewer than 12"
check "… and nothing is written" test ! -e "$work/keys/s.hort.key" -a ! -e "$work/keys/s.hort.pub"
chmod 0644 "$work/pass"
run sallyport officer new o.pen --out "$work/keys" --passphrase-file "$work/pass"
check "a passphrase that others may read is refused" has "$code $err" "1 sallyport: officer new: A file that holds a secret can be read"
chmod 0600 "$work/pass"
run sallyport officer new n.one --out "$work/keys"
check "without a terminal nothing asks, and the flag is named" has "$code $err" "2 sallyport: officer new: there is no terminal to ask on: --passphrase-file"
exec 5<"$work/pass"
run sallyport officer new f.ive --out "$work/keys" --passphrase-file fd:5
check "a passphrase comes by a descriptor" is "$code" 0
run sh -c "printf 'from a pipe, long\n' | sallyport officer new p.ipe --out '$work/keys' --passphrase-file -"
check "… or a pipe" is "$code" 0
typed_out=$(typed $'typed by a person\ntyped by a person' sallyport officer new t.yped --out "$work/keys")
check "at a terminal it is asked for twice" is "$?" 0
check "… and not shown" lacks "$typed_out" "typed by"
typed $'typed by a person\ntyped by another one' sallyport officer new t.wice --out "$work/keys" >"$work/seen"
check "two that differ make no key" is "$? $(ls "$work/keys" | grep -c t.wice)" "1 0"

# ── the officer signs: one of an appliance whose officers' keys were locked afterwards, as the file format allows it ──
appliance a
start
# j.doe is no officer of this appliance: the signature is good and counts for nothing
run sallyport --dir "$dir" client add shop1 --officer "$work/keys/j.doe.key" --passphrase-file "$work/pass"
check "a stranger's locked key signs and is refused by the vault" has "$code $err" "7 sallyport: client add: The signature is of no officer"
run sallyport --dir "$dir" client add shop1 --officer "$work/keys/j.doe.key" --passphrase-file "$work/wrong"
check "a wrong passphrase does not open it" has "$code $err" "7 sallyport: client add: The passphrase does not open"
check "… and neither is shown" lacks "$err" bttery
run sallyport --dir "$dir" client add shop1 --officer "$work/keys/j.doe.key"
check "without a passphrase and a terminal the flag is named" has "$code $err" "2 sallyport: client add: the officer's key has a passphrase"
typed_out=$(typed $'wrong the first time\ncorrect horse battery' sallyport --dir "$dir" client add shop1 --officer "$work/keys/j.doe.key")
check "a wrong one at the terminal asks again" has "$typed_out" "That did not open the key"
check "… and the right one goes on" has "$typed_out" "The signature is of no officer"
refused_file() { # by its seal, or by its form
	case "$code $err" in "7 "*"passphrase does not open"* | "1 "*"does not have the form"*) return 0 ;; esac
	echo "     saw: $code $err"
	return 1
}
for change in 's/^name=.*/name=a.ito/' 's/^role=.*/role=custodian/' 's/^kdf=argon2id:3/kdf=argon2id:2/' 's/^\(seed=.\{20\}\)./\1_/'; do
	sed "$change" "$work/keys/j.doe.key" >"$work/changed.key"
	run sallyport --dir "$dir" client add shop1 --officer "$work/changed.key" --passphrase-file "$work/pass"
	check "a changed key file does not open ($change)" refused_file
done
sed 's/^kdf=argon2id:3:262144/kdf=argon2id:16:99999999/' "$work/keys/j.doe.key" >"$work/greedy.key"
run sallyport --dir "$dir" client add shop1 --officer "$work/greedy.key" --passphrase-file "$work/pass"
check "a file that would eat the host is refused" is "$code" 1
stop
check "no passphrase stands in a file of the appliance" bash -c "! grep -rqa 'horse battery' '$dir'"
end
