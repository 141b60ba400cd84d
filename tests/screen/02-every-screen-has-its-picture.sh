#!/bin/bash
# Each screen at three sizes is the picture that is kept in pictures/, figures and ids masked; smaller ones say what size they
# need; the same pictures on every kind of terminal, without colour, and in ASCII. --accept keeps what is seen as the new ones.
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
pictures=$here/pictures
accept=''
[ "${1:-}" = --accept ] && accept=yes
appliance a
start
tokenize 4242424242424242 123
api POST /v1/payments "$(new_key)" "{\"amount\":4999,\"currency\":\"EUR\",\"token\":\"$token\",\"capture_method\":\"manual\",\"order_id\":\"order-7\"}"
tokenize 4000000000000002
api POST /v1/payments "$(new_key)" "{\"amount\":700,\"currency\":\"JPY\",\"token\":\"$token\",\"order_id\":\"order-8\"}"
check "a payment was declined" is "$status" 402
settled() { [ "$(sallyport --dir "$dir" --json status | jq '.metrics.queue_depth')" = 0 ]; }
wait_until 50 settled
sleep 1

masked() { screen_text | "$here/mask.py" >"$work/seen"; }

picture_is() { # picture_is NAME: what is on the screen now is pictures/NAME
	masked && [ -s "$work/seen" ] && cmp -s "$work/seen" "$pictures/$1"
}
same_picture() {
	[ -n "$accept" ] && { sleep 0.7; masked && cp "$work/seen" "$pictures/$1"; return; }
	wait_until 30 picture_is "$1" || { diff "$pictures/$1" "$work/seen" | head -30; return 1; }
}

for size in "80 24" "120 40" "40 12"; do
	set -- $size
	screen_open "$1" "$2"
	for screen in overview keys audit payments; do
		screen_keys ":" $(printf '%s' "$screen" | sed 's/./& /g') Enter
		check "$screen at $1×$2" same_picture "$screen-$1x$2"
	done
	screen_keys '?'
	check "help over payments at $1×$2" same_picture "help-$1x$2"
	screen_keys Escape
done
screen_size 39 12
check "a column less says the state and the size that is needed" shows "needs 40×12"
screen_size 80 24

# Kinds of terminal: the same pictures, whatever the terminal can do.
accept=''
for t in xterm-256color screen tmux linux putty vt100; do
	SCREEN_TERM=$t screen_open 80 24
	for screen in overview keys audit payments; do
		screen_keys ":" $(printf '%s' "$screen" | sed 's/./& /g') Enter
		check "$screen on $t" same_picture "$screen-80x24"
	done
done

# Without colour: each state still stands there as a word. In ASCII: nothing above 0x7e.
has_words() { for w in "$@"; do screen_has "$w" || { echo "     lacks: $w"; return 1; }; done; }
screen_open 80 24 --no-color
for row in "overview|serving" "keys|active" "audit|ok" "payments|authorized declined"; do
	screen_keys ":" $(printf '%s' "${row%%|*}" | sed 's/./& /g') Enter
	check "${row%%|*} without colour has its states as words" wait_until 30 has_words ${row#*|}
	check "… and sends none" bash -c "! $tm capture-pane -e -p | grep -qE \$'\\033\\[[0-9;]*(3[0-8]|9[0-7])[;m]'"
done
SCREEN_LOCALE=C screen_open 120 40
for screen in overview keys audit payments; do
	screen_keys ":" $(printf '%s' "$screen" | sed 's/./& /g') Enter
	sleep 0.5
	check "$screen in ASCII has no byte above 0x7e" bash -c "! $tm capture-pane -p | LC_ALL=C grep -q '[^ -~]'"
done
screen_close
end
