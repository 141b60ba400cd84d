#!/bin/bash
# What was moved away, or belongs to somebody else, is named with the next step, and nothing is made in its place: once it is
# back as it was, all is well again and nothing is lost. Stores, their directories, the TLS key, the HSM's module.
. "$(dirname "$0")/lib.sh"
appliance a
start
tokenize
api POST /v1/payments "$(new_key)" "{\"amount\":1000,\"currency\":\"EUR\",\"token\":\"$token\"}"
check "a payment" is "$status" 201
payment=$(member id)
stop
first() { sallyport --dir "$dir" status --no-color | head -1; }
line_is() { [ "$(first)" = "$1" ] || { first; return 1; }; }
start_anyway() {
	sallyportd --dir "$dir" >"$dir/run/ready" 2>"$work/said" &
	daemon=$!
	echo "$daemon" >"$dir/run/pid"
}
finds() { sallyport --dir "$dir" doctor >"$work/doctor"; grep -A1 "^ *fail  $1 " "$work/doctor" | grep -q 'next: ' || { cat "$work/doctor"; return 1; }; }
well_again() { # after what
	start
	check "$1: then it serves" wait_until 50 line_is "serving — all well"
	api GET "/v1/payments/$payment"
	check "$1: … and has its payment" is "$status" 200
	stop
}
away() { mv "$1" "$work/away"; }
back() { mv "$work/away" "$1"; }

for s in vault ledger; do
	db=$dir/$s/$s.db
	away "$db"
	start_anyway
	check "without the $s's store it stays sealed" wait_until 100 line_is "sealed — rollback suspected; restore the newest stores; see docs/operations.md"
	check "… and makes no other" test ! -e "$db" -a ! -e "$db-wal"
	stop
	check "… not at its end either" test ! -e "$db" -a ! -e "$db-wal"
	back "$db"
	well_again "the $s's store is back"
done

echo 'hsm.module = /nowhere/module.so' >"$dir/sallyport.conf.d/module.conf"
start_anyway
check "without the HSM's module it stays sealed" wait_until 100 line_is "sealed — hsm module; check hsm.module in the configuration"
check "… and the doctor names it" finds hsm.module
stop
rm "$dir/sallyport.conf.d/module.conf"
well_again "the module is named again"

mv "$dir/tls/server.key" "$work/away"
check "without the TLS key it does not start" bash -c "! timeout 20 sallyportd --dir '$dir' 2>'$work/said'"
check "… names it" grep -q 'a file of tls/ is missing: server.key' "$work/said"
back "$dir/tls/server.key"

if [ "$(id -u)" = 0 ]; then
	chown nobody "$dir/tls/server.key"
	check "with a TLS key of somebody else it does not start" bash -c "! timeout 20 sallyportd --dir '$dir' 2>'$work/said'"
	check "… names it" grep -q "can't be read by the monitor's user: server.key" "$work/said"
	check "… and the next step" grep -q '^next: sallyport doctor' "$work/said"
	check "… which names the command" finds tls.key_mode
	chown root "$dir/tls/server.key"
	for s in vault ledger; do
		owner=$(stat -c %U "$dir/$s/$s.db")
		chown root "$dir/$s/$s.db"
		start_anyway
		check "a $s's store of somebody else is named" wait_until 100 eval 'first | grep -q "file rights; sallyport doctor: it names the command"'
		check "… and the doctor names the command" finds "stores.${s}_db"
		stop
		chown "$owner" "$dir/$s/$s.db"
		chmod 0 "$dir/$s"
		check "a directory that keeps its $s out ends it" bash -c "! timeout 20 sallyportd --dir '$dir' 2>'$work/said'"
		check "… the log says why" grep -q '"cause":"file_rights"' "$work/said"
		check "… and the doctor names the command" finds "install.dir.$s"
		chmod 0700 "$dir/$s"
		well_again "the $s's files are its own again"
	done
fi
end
