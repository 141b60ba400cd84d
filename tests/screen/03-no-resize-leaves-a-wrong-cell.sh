#!/bin/bash
# Random sizes one after the other, on every screen: after each burst the window shows what a fresh console shows at that
# size, and the console never leaves. RESIZES=10000 for the long run (make check-resizes); SEED replays one.
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
resizes=${RESIZES:-200} burst=20 compared=0 wrong=0 names=(overview keys audit payments)
appliance a
start
tokenize 4242424242424242 123
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
	api POST /v1/payments "$(new_key)" "{\"amount\":$((n * 317)),\"currency\":\"EUR\",\"token\":\"$token\",\"order_id\":\"order-$n\"}"
done
sleep 1
screen_open 80 24
check "it is there" shows "serving"
old=$tm
fresh=$old
seen_by() { $1 capture-pane -p | "$here/mask.py"; }
alike() { seen_by "$old" >"$work/old"; seen_by "$fresh" >"$work/fresh"; [ -s "$work/old" ] && cmp -s "$work/old" "$work/fresh"; }
done_n=0
while [ "$done_n" -lt "$resizes" ]; do
	screen=${names[$((RANDOM % 4))]}
	$old send-keys ":" $(printf '%s' "$screen" | sed 's/./& /g') Enter
	for _ in $(seq $burst); do
		columns=$((20 + RANDOM % 160)) rows=$((5 + RANDOM % 55))
		$old resize-window -x $columns -y $rows
		done_n=$((done_n + 1))
	done
	[ "$fresh" = "$old" ] || $fresh kill-server 2>/dev/null
	# a server of its own each time: the one before may still be going
	fresh="tmux -L sp-fresh-$$-$compared -f /dev/null"
	$fresh new-session -d -x $columns -y $rows "TERM=screen-256color LC_ALL=C.UTF-8 sallyport-console --dir $dir --screen $screen; sleep 1000"
	compared=$((compared + 1))
	wait_until 40 alike || {
		wrong=$((wrong + 1))
		echo "     $screen at ${columns}×$rows after $done_n resizes:"
		diff "$work/fresh" "$work/old" | head -10
	}
	[ -z "${PROGRESS:-}" ] || printf '\r%d of %d resizes, %d pictures compared, %d wrong' "$done_n" "$resizes" "$compared" "$wrong" >&2
done
$fresh kill-server 2>/dev/null
check "$done_n resizes, $compared pictures compared: none is wrong" is "$wrong" 0
screen_keys q
check "and it leaves when it is told to" shows "left with 0"
screen_close
end
