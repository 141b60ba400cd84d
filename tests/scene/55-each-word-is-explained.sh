#!/bin/bash
# Whatever the appliance says is explained offline: each code as the API's page explains it, each state, each exit status, each
# cause that has a runbook with its page; a typing mistake is answered with the right word.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
below() { [ "$1" -lt "$2" ] || { echo "     saw: $1, not below $2"; return 1; }; }
page() { sallyport --json explain "$@" | jq -c --arg o "$kind" '.pages[] | select(.object==$o)'; }

# the tables themselves say what there is to explain, not the command
codes=$(sed -n 's/^ERR([A-Z0-9_]*, \([a-z0-9_]*\), .*/\1/p' "$top/policy/error.def" | sort)
check "there are codes to explain" below 100 "$(printf '%s\n' "$codes" | wc -l)"
explained() { jq -r '.pages[] | select(.object=="problem_type") | .code' | sort; }
for c in $codes; do sallyport --json explain "$c"; done >"$work/pages"
check "each row of error.def has a page" is "$(explained <"$work/pages")" "$codes"
check "… as a cause, in the words of status, too" is "$(for c in $codes; do sallyport --json explain $(echo "$c" | tr _ ' '); done | explained)" "$codes"
kind=state
words=$(sed -n '/^page_state_word/,/^}/p' "$top/daemon/wire/page.c" | grep -o '"[a-z ]*"' | tr -d '"')
unexplained=''
for s in $words "refusing effects" "not running" "not initialised"; do
	[ -n "$(page $s | jq -r .meaning)" ] || unexplained="$unexplained $s"
done
check "each state has a page" is "$unexplained $(printf '%s\n' "$words" | grep -c .)" " 5"
kind=exit_code
numbers=$(sed -n 's/^EXIT_CODE([A-Z_]*, \([0-9]*\), .*/\1/p' "$top/console/ctl/exit_codes.def")
check "each exit status has a page" is "$(for n in $numbers; do page "$n" | jq -r .exit_code; done)" "$numbers"
check "… that names the commands that give it" is "$(page 9 | jq -r '[.commands[] | select(.=="doctor" or .=="jail")] | join(" ")')" "doctor jail"
check "without an argument all are listed" is "$(sallyport explain | sed -n 's/^  \([a-z0-9_]*\)  *[A-Z].*/\1/p' | sort)" "$codes"
check "a page is as wide as a terminal" below "$(sallyport explain 9 | wc -L)" 81

# a runbook opens with the line of status that leads to it: explaining its cause must lead back
kind=problem_type
for f in "$top"/docs/runbooks/*.md; do
	cause=$(sed -n '/^```text/{n;p;q}' "$f" | sed 's/^[^—]*— \([^;]*\);.*/\1/')
	check "the cause \"$cause\" leads to its runbook" has "$(page $cause | jq -r .runbook)" "/runbooks/$(basename "$f")"
done
lost=''
for f in $(jq -r '.pages[].runbook // ""' "$work/pages" | sort -u); do
	[ -e "$top/docs/runbooks/$(basename "$f")" ] || lost="$lost $f"
done
check "no page names a runbook that is not there" is "$lost" ""

out=$(sallyport explain valt_sealed 2>&1)
check "a typing mistake is a usage error" is $? 2
check "… answered with the right word" has "$out" "did you mean: sallyport explain vault_sealed"
check "… of a state too" has "$(sallyport explain seald 2>&1)" "sallyport explain sealed"
check "the path of a page is taken as it stands" is "$(page /problems/disk_full | jq -r .code)" disk_full

appliance a
start
# all over one connection: the appliance limits handshakes, and this is no test of them
curl -sS --max-time 60 --cacert "$dir/ca.crt" --cert "$dir/clients/demo.crt" --key "$dir/clients/demo.key" \
	$(printf "$base/problems/%s " $codes) >"$work/answers" 2>"$work/curl.err"
check "the API's page of each code says the same" is "$(jq -cS 'del(.runbook)' "$work/answers" | sort)" \
	"$(jq -cS '.pages[] | select(.object=="problem_type") | del(.cause, .exit_code, .runbook)' "$work/pages" | sort)"
check "… and names the same runbooks" is "$(jq -r 'select(.runbook) | "\(.code) \(.runbook)"' "$work/answers" | grep -v ' sallyport-operations$' | sort)" \
	"$(jq -r '.pages[] | select(.object=="problem_type" and .runbook != "") | "\(.code) sallyport-\(.runbook | sub(".*/"; "") | sub(".md$"; ""))"' "$work/pages" | sort)"
check "… of as many codes" is "$(jq -c . "$work/answers" | wc -l)" "$(printf '%s\n' "$codes" | wc -l)"
end
