#!/bin/bash
# The console on a running appliance: four screens, help from the key table, filter, details, resizing, no PAN anywhere.
. "$(dirname "$0")/lib.sh"
appliance a
start
tokenize 4242424242424242 123
api POST /v1/payments "$(new_key)" "{\"amount\":4999,\"currency\":\"EUR\",\"token\":\"$token\",\"capture_method\":\"manual\",\"order_id\":\"order-7\"}"
payment=$(member id)

screen_open 80 24
check "the first line says what is" shows "serving — all well"
check "Overview lists the processes" shows "vault"
check "… and says that the HSM is software" shows "software"
screen_keys 2
check "Keys shows the KEK" shows "kek"
check "… and its state as a word" shows "active"
screen_keys Enter
check "a key in full" shows "generation 1"
screen_keys Escape 3
check "Audit shows the newest leaves" shows "token.redeem"
screen_keys t
check "… and the ledger's" shows "payment.result"
screen_keys 4
check "Payments lists the payment" shows "$payment"
check "… and its amount with the exponent" shows "49.99 EUR"
screen_keys Enter
check "… with its timeline" shows "payment.authorized"
check "no card number is on the screen" lacks "$(screen_text)" 4242424242424242
screen_keys Escape
screen_keys / o r d e r - 8 Enter
check "the filter hides it" shows "pass the filter"
screen_keys Escape
check "Esc shows it again" shows "$payment"
screen_keys '?'
check "help lists the keys that work now" shows "Keys that work now"
screen_keys q u i t
check "help filters as one types" shows "leave the console"
screen_keys Escape
screen_keys ':' a u d i t Enter
check "a name after : runs the action" shows "log, newest first"
screen_keys ':' a u d i r Enter
check "a mistyped name is answered with the right one" shows ":audit"
screen_size 40 12
check "40×12 still says the state" shows "serving"
screen_size 30 8
check "smaller says the size it needs" shows "needs"
screen_size 120 40
screen_keys 1
check "larger shows the jails" shows "landlock"
pay() { tokenize 4242424242424242 123 && api POST /v1/payments "$(new_key)" "{\"amount\":100,\"currency\":\"EUR\",\"token\":\"$token\"}"; }
shows_percentiles() { screen_text | grep -qE 'p50 [0-9.]+ +p95 [0-9.]+ +p99 [0-9.]+ ms'; }
check "no percentiles without traffic" shows "p99 - ms"
pay
check "… and some after a payment" wait_until 40 shows_percentiles
screen_keys 3 j Enter
leaf() { screen_text | tr -d '\n ' | grep -oE '"seq":[0-9]+'; }
check "a leaf is open" shows "byte for byte"
before=$(leaf)
for i in $(seq 1 25); do pay; done
sleep 2.5
check "an open leaf stays open when 75 newer ones have pushed it off the list" is "$(leaf)" "$before"
screen_keys Escape
for i in $(seq 1 60); do screen_size $((30 + (i * 37) % 130)) $((6 + (i * 13) % 40)); done
screen_size 80 24
check "sixty resizes later it is whole" shows "? help"
screen_keys q
check "q leaves" shows "left with 0"

SCREEN_LOCALE=C screen_open 80 24
check "without UTF-8 it speaks ASCII" shows "serving -- all well"
only_ascii() { ! screen_text | LC_ALL=C grep -q '[^ -~]'; }
check "… only" only_ascii
for t in xterm-256color screen tmux linux putty vt100; do
	SCREEN_TERM=$t screen_open 80 24
	check "TERM=$t shows it too" shows "serving — all well"
done
screen_close

plain=$(TERM=dumb sallyport-console --dir "$dir" --plain --once --screen payments)
check "plain mode prints the same lines" has "$plain" "$payment"
said=$(printf 'help\noverview\nq\n' | timeout 10 sallyport-console --dir "$dir" --plain)
check "help in plain mode is told once, and q leaves" is "$? $(printf '%s' "$said" | grep -c 'Keys that work now')" "0 1"
check "… without an escape byte" lacks "$plain" $'\033'
stop
plain=$(sallyport-console --dir "$dir" --plain --once)
check "with the daemon dead plain mode exits 5" is "$?" 5
check "… and says so" has "$plain" "not running"
end
