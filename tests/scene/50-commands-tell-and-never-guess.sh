#!/bin/bash
# The commands: one meaning per exit code, two lines on failure, one JSON document, no guessing, no escape bytes.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
none=$work/none

run() { # run command…: sets out, err, code, took_ms
	local t0
	t0=$(date +%s%N)
	out=$("$@" 2>"$work/err")
	code=$?
	took_ms=$((($(date +%s%N) - t0) / 1000000))
	err=$(cat "$work/err")
}
two_lines() { # the last failure had the two lines, nothing on stdout
	is "$out" "" && has "$err" "sallyport: " && has "$err" "next: "
}
one_document() { printf '%s' "$1" | jq -es 'length == 1' >/dev/null || { echo "     saw: $1"; return 1; }; }
below() { [ "$1" -lt "$2" ] || { echo "     saw: $1, not below $2"; return 1; }; }

commands=$(sallyport help | sed -n 's/^  \([a-z][a-z ]*[a-z]\)  *[A-Z].*/\1/p')
check "help lists the commands" has "$commands" "client add"
while read -r c; do
	run sallyport $c --help
	check "$c --help exits 0" is "$code" 0
	check "… and begins with an example" is "$(printf '%s' "$out" | head -1 | cut -c1-14)" '  $ sallyport '
	run sallyport $c --nonsense
	check "$c refuses an unknown flag with 2" is "$code" 2
	check "… in two lines" two_lines
	run sallyport $c --jsom
	check "$c answers a mistyped flag with the right one" has "$err" "--json"
	run sallyport --json $c --nonsense
	check "$c --json fails with one document" one_document "$out"
done <<<"$commands"
for wrong in "--pin-fd x" "--pin-fd -1" "--pin-fd 99999999999" --nonsense extra; do
	run sallyportd --dir "$none" $wrong
	check "sallyportd $wrong is refused with 2" is "$code" 2
	check "… in two lines" two_lines
done
run sallyport stat
check "an abbreviation is refused" is "$code" 2
run sallyport statsu
check "a mistyped command is answered with the right one" has "$err" "sallyport status"
run sallyport payment show 4242424242424242
check "a card number as an argument is refused with 2" is "$code" 2
check "… and not repeated" lacks "$err$out" 4242424242424242
run sallyport --json audit verify $'/tmp/\xff.tar'
check "an argument that is no UTF-8 is refused with 2" is "$code" 2
check "… with one document" one_document "$out"
SALLYPORT_DIR=$'/tmp/\xff' run sallyport --json status
check "… a directory of the environment too" is "$code $(one_document "$out" && echo one)" "2 one"
# characters of two bytes: what is told of such a path is cut in the middle of one
long=$(printf 'é%.0s' $(seq 100))
long=/tmp/$long/$long/$long
for at in "$long" "/$long"; do
	run sallyport --json audit verify "$at"
	check "a long name of a file that is not there is one document" one_document "$out"
	check "… as it is told" is "$(printf '%s' "$out" | jq -r .code)" file_missing
done
run sallyport --dir "$none" init --software-hsm --no-input
check "init without --yes names the flag" is "$code $(grep -c -- --yes "$work/err")" "2 1"

for c in "key list" "client list" "payment list" "ledger rebuild" "audit export --output $work/x"; do
	run sallyport --dir "$none" $c
	check "$c without an appliance exits 6" is "$code" 6
	check "… in two lines" two_lines
done
run sallyport --dir "$none" status
check "status without an appliance exits 6" is "$code" 6
check "… within 300 ms" below "$took_ms" 300

appliance a
run sallyport --dir "$dir" init --software-hsm --yes
check "init over an appliance exits 1" is "$code" 1
check "… in two lines" two_lines
before=$(cd "$dir" && find . -type f ! -path './run/*' -exec sha256sum {} + | sort)
run sallyport --dir "$dir" init --software-hsm --yes
check "… and changes nothing" is "$(cd "$dir" && find . -type f ! -path './run/*' -exec sha256sum {} + | sort)" "$before"
run sallyport --dir "$dir" status
check "status of a stopped one exits 5" is "$code" 5
for c in "key list" "client list" "payment list"; do
	run sallyport --dir "$dir" --json $c
	check "$c of a stopped one exits 5" is "$code" 5
	check "… with one document and its code" is "$(printf '%s' "$out" | jq -r .code)" not_running
done

start
run sallyport --dir "$dir" status
check "status while serving exits 0" is "$code" 0
check "… its first line is the state" is "$(printf '%s' "$out" | head -1)" "serving — all well"
check "… within 300 ms" below "$took_ms" 300
for money in "1999 EUR 19.99" "1999 JPY 1999" "1999 KWD 1.999"; do
	set -- $money
	api POST /v1/payments "money-$2" "{\"amount\":$1,\"currency\":\"$2\",\"token\":\"tok_test_visa\"}"
	run sallyport --dir "$dir" payment list --limit 1
	check "$1 minor units of $2 are listed as $3" has "$out" " $3 $2 "
done
for c in status jail "jail vault" "key list" "client list" "payment list" "config check" "config show" "ledger rebuild" "help exit-codes"; do
	run sallyport --dir "$dir" --json $c
	check "$c --json exits 0" is "$code" 0
	check "… with one document" one_document "$out"
	run sallyport --dir "$dir" $c
	check "$c has no escape byte in a pipe" lacks "$out" $'\033'
done
run sallyport --dir "$dir" jail
check "the jails are in force, each process as declared" is "$(printf '%s' "$out" | head -1)" "in force — $(sallyport --dir "$dir" --json status | jq '.processes | length') processes as declared"
check "… in 80 columns" below "$(printf '%s\n' "$out" | wc -L)" 81
run sallyport --dir "$dir" --json jail
check "… with the number of calls that status tells" is \
	"$(printf '%s' "$out" | jq -c '[.processes[] | select(.process!="monitor") | [.process, .index, .pid, .declared.system_calls]]')" \
	"$(sallyport --dir "$dir" --json status | jq -c '[.processes[] | select(.process!="monitor") | [.process, .index, .pid, .system_calls]]')"
check "… and a filter that the kernel knows" is \
	"$(printf '%s' "$out" | jq -c '[.processes[] | select(.process!="monitor") | .kernel | [.seccomp, .no_new_privs, .capabilities]] | unique')" \
	'[["filter",true,"0000000000000000"]]'
for p in $(printf '%s' "$out" | jq -r '.processes[].process' | sort -u | grep -v monitor); do
	run sallyport --dir "$dir" --json jail $p
	check "jail $p lists as many calls as it counts, each with its reason" is \
		"$(printf '%s' "$out" | jq -c '.processes[0].declared | [([.calls[].call] | unique | length), ([.calls[], .refused_calls[], .paths[] | select(.reason == "")] | length)]')" \
		"$(printf '%s' "$out" | jq -c '[.processes[0].declared.system_calls, 0]')"
done
run sallyport --dir "$dir" jail vault
check "jail vault tells a call's condition" has "$out" "  mprotect         if 3rd argument without PROT_EXEC: memory, never executable"
check "… and its own directory" has "$out" "  write  $dir/vault: "
run sallyport --dir "$dir" payment show pay_00000000000000000000000000
check "a payment that is not there exits 1" is "$code" 1
check "… in two lines" two_lines
run sallyport --dir "$dir" client add shop --scopes tokens:create,payments:wirte
check "an unknown scope exits 2" is "$code" 2
run sallyport --dir "$dir" client add shop --scopes tokens:create,tokens:use,payments:write
check "a client is added with an officer's signature" is "$code" 0
client=shop
tokenize
check "… and may do what its scopes say" is "$status" 201
api GET /v1/payments
check "… and no more" is "$status $(member code)" "403 insufficient_scope"
client=demo
run sallyport --dir "$dir" client add shop
check "the same name again exits 1" is "$code" 1
mkdir "$work/kept" && mv "$dir"/officers/* "$work/kept/"
run sallyport --dir "$dir" client add other
check "without an officer's key it exits 7" is "$code" 7
sed 's/^seed=.*/seed=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=/' "$work/kept/1-a.ito.key" >"$work/forged.key"
run sallyport --dir "$dir" client add other --officer "$work/forged.key"
check "with a forged one too" is "$code" 7
run sallyport --dir "$dir" client add other --officer "$work/kept/3-s.lindqvist.key"
check "and with a custodian's: that is not their office" is "$code" 7
mv "$work"/kept/* "$dir"/officers/

run sallyport --dir "$dir" --json demo
check "the demo goes as expected" is "$code $(printf '%s' "$out" | jq .not_as_expected)" "0 0"
run sallyport --dir "$dir" --json demo
check "… and a second time" is "$code $(printf '%s' "$out" | jq .not_as_expected)" "0 0"

echo 'gate.procesess = 2' >>"$dir/sallyport.conf.d/bad.conf"
echo 'gate.connections = many' >>"$dir/sallyport.conf.d/bad.conf"
run sallyport --dir "$dir" config check
check "config check finds a problem: 9" is "$code" 9
check "… with file and line" has "$err" "bad.conf:1"
check "… and the right name" has "$err" "gate.processes"
check "… all of them at once" has "$err" "bad.conf:2"
rm "$dir/sallyport.conf.d/bad.conf"
kill -STOP "$(pid_of desk)"
run sallyport --dir "$dir" status
check "with the desk hanging status still answers within 300 ms" below "$took_ms" 300
check "… with 5" is "$code" 5
pkill -CONT -f "$dir" 2>/dev/null; kill -CONT $(pgrep -P "$daemon") 2>/dev/null
wait_until 50 sallyport --dir "$dir" status

# each next step that names a command names it whole: its words, what follows them, its flags
cat >"$work/steps.py" <<'P'
import json, re, subprocess, sys
page = json.loads(subprocess.run(["sallyport", "--json", "help"], capture_output=True, text=True).stdout)
commands = {c["command"]: c for c in page["commands"]}
common = {f["flag"].split(" ")[0] for f in page["flags"]}
# what a sentence says of a command; anything else behind its words would be an argument
SAYS = {"tells", "names", "shows", "says"}


OTHERS = re.compile(r"\b(journalctl|systemctl|dpkg|apt-get|useradd)\b[^;:,()]*")


def wrong(step):
    step = OTHERS.sub("", step)  # programs that are not ours
    for flag in re.findall(r"(?<![\w-])--[a-z-]+", step):
        if not any(flag in common or flag in [f["flag"] for f in c["flags"]] for c in commands.values()):
            yield f"no command takes {flag}"
    for named in re.findall(r"(?<![/-])\bsallyport ([^;:,()]*)", step):
        words = named.split()
        fits = [c for c in commands if words[: len(c.split())] == c.split()]
        if not fits:
            yield f"there is no command `{named.strip()}`"
            continue
        c = commands[max(fits, key=len)]
        rest = words[len(c["command"].split()) :]
        flags = common | {f["flag"] for f in c["flags"]}
        takes = {f["flag"] for f in c["flags"] if f["value"]}
        if rest and rest[0] in SAYS:
            continue
        for i, w in enumerate(rest):
            if w.startswith("--") and w not in flags:
                yield f"`{c['command']}` does not take {w}"
            elif not w.startswith("--") and not (i and rest[i - 1] in takes) and not c["arguments"]:
                yield f"`{c['command']}` takes no {w}"


for line in open(sys.argv[1]):
    m = re.match(r'ERR\((\w+),.*"([^"]*)"\)', line)
    if not m:
        continue
    if not m.group(2).strip():
        print(m.group(1), "has no next step")
    for w in wrong(m.group(2)):
        print(m.group(1), w)
P
python3 "$work/steps.py" "$top/policy/error.def" >"$work/next" 2>&1
check "each error's next step exists" is "$(cat "$work/next")" ""
printf 'ERR(%s, x, 500, x, NO, INFO, "x", "%s")\n' A 'sallyport config frobnicate' B 'sallyport client' C 'sallyport status --frob' D 'try --frobnicate' E 'sallyport status now' \
	F 'sallyport config check' G 'sallyport status names it' H 'register it: sallyport client add' I 'sallyport doctor, when it is well' >"$work/planted.def"
check "… and each that does not is found" is "$(python3 "$work/steps.py" "$work/planted.def" | cut -c1 | uniq | tr -d '\n')" ABCDE
stop

printf 'software-hsm = yes\nyes = yes\nlisten = 127.0.0.1:1\n' >"$work/answers"
run sallyport --dir "$work/lab" init --no-input --answers "$work/answers"
check "init takes its answers from a file" is "$code $(grep -c '^listen = 127.0.0.1:1$' "$work/lab/sallyport.conf")" "0 1"
echo 'listne = 127.0.0.1:1' >"$work/answers"
run sallyport --dir "$work/lab2" init --answers "$work/answers"
check "a mistyped answer is answered with the right one" has "$code $err" "--listen"

# init killed at any moment goes on where it stopped
for n in 1 2 3 4 5 6 7 8; do
	dir=$work/killed$n
	sallyport --dir "$dir" init --software-hsm --yes --listen 127.0.0.1:1 >/dev/null 2>&1 &
	pid=$!
	sleep "0.0$n"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	wait_until 30 bash -c "! pgrep -f -- '--dir $dir' >/dev/null"
	run sallyport --dir "$dir" init --software-hsm --yes --listen 127.0.0.1:1
	check "init killed after 0.0$n s goes on (or was done)" bash -c "[ $code = 0 ] || grep -q already $work/err"
	check "… to a whole appliance" test -e "$dir/ca.crt"
done
end
