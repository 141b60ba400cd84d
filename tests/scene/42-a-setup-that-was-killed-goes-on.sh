#!/bin/bash
# `sallyport init` and all that it started are killed at random moments, again and again; the next init goes on where the last
# one was, and the appliance that comes out serves. An init over a whole one is refused.
. "$(dirname "$0")/lib.sh"
echo "   seed $seed"
port=$(free_port)

killed_init() { # after so many milliseconds
	setsid sallyport --dir "$dir" init --software-hsm --yes --listen "127.0.0.1:$port" >"$work/init.log" 2>&1 &
	group=$!
	sleep "0.$(printf %03d "$1")"
	kill -9 -- "-$group" 2>/dev/null
	wait "$group" 2>/dev/null
	# what it started and what that started: children of the dead have another parent, but their group
	wait_until 20 sh -c "! pgrep -g $group >/dev/null"
	for p in $(pgrep -f -- "--dir $dir( |\$)"); do kill -9 "$p" 2>/dev/null; done
	wait_until 30 sh -c "! pgrep -f -- '--dir $dir( |\$)' >/dev/null"
}

for round in 1 2 3 4 5 6; do
	dir=$work/r$round
	for _ in 1 2 3; do
		killed_init $((RANDOM % 450))
	done
	sallyport --dir "$dir" init --software-hsm --yes --listen "127.0.0.1:$port" >"$work/init.log" 2>&1
	rc=$?
	[ "$rc" = 0 ] || grep -qi already "$work/init.log"
	check "round $round: init ends well after three kills" is "$?" 0
	base=https://127.0.0.1:$port
	start
	tokenize
	check "round $round: what came out takes a card" is "$status" 201
	stop
done
sallyport --dir "$dir" init --software-hsm --yes --listen "127.0.0.1:$port" >"$work/init.log" 2>&1
check "an init over a whole appliance is refused" test $? -ne 0
start
tokenize
check "and does it no harm" has "$status" 20
end
