# What every scene stands on: an appliance of its own, a client, checks that print what they saw.
# A scene is tests/scene/NN-a-sentence.sh; it sources this file, uses these words and ends with `end`.
#
#   appliance NAME [init flags…]   make one under $work/NAME (port free, test CA, SoftHSM); sets dir, port, base
#   start / stop / crash PROC      sallyportd in the background until `ready`; SIGTERM; kill -9 a process by name
#   api METHOD PATH [key] [json]   one request with the demo client's certificate: sets status, body, headers
#   tokenize [number]              sets token
#   member NAME [json]             prints a member of $body (dotted path, by jq)
#   check "sentence" command…      counts a pass or a failure; shows what was seen when it fails
#   is A B / has TEXT WORD         comparisons for check
set -u
export LC_ALL=C.UTF-8
scene_name=$(basename "$0" .sh)
work=$(mktemp -d "${TMPDIR:-/tmp}/sp-scene.XXXXXX")
chmod 0755 "$work"
passed=0 failed=0 daemon='' dir='' port='' base='' client=demo seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
RANDOM=$((seed % 32768)) 2>/dev/null || true

cleanup() {
	[ -z "$daemon" ] || { kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; }
	for p in $(cat "$work"/*/run/pid 2>/dev/null); do kill -9 "$p" 2>/dev/null; done
	if [ "$failed" = 0 ] && [ -z "${KEEP:-}" ]; then rm -rf "$work"; else echo "   left for looking: $work (seed $seed)"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

free_port() {
	python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'
}

appliance() {
	dir=$work/$1
	shift
	port=$(free_port)
	base=https://127.0.0.1:$port
	sallyport --dir "$dir" init --software-hsm --yes --listen "127.0.0.1:$port" "$@" >"$work/init.log" 2>&1 || {
		echo "   init failed:"; tail -5 "$work/init.log"; failed=$((failed + 1)); end; }
}

# set KEY VALUE: one line in the configuration, after what init wrote
set_conf() {
	printf '%s = %s\n' "$1" "$2" >>"$dir/sallyport.conf.d/scene.conf"
}

start() {
	: >"$dir/run/ready"
	sallyportd --dir "$dir" >"$dir/run/ready" 2>>"$dir/run/log" &
	daemon=$!
	echo "$daemon" >"$dir/run/pid"
	wait_until 300 grep -q '^ready' "$dir/run/ready" || {
		echo "   the appliance did not start:"; tail -5 "$dir/run/log"; failed=$((failed + 1)); end; }
}

stop() {
	[ -z "$daemon" ] && return 0
	kill "$daemon" 2>/dev/null
	wait "$daemon" 2>/dev/null
	stopped=$?
	daemon=''
	rm -f "$dir/run/pid"
	return $stopped
}

# wait_until TENTHS command…: true as soon as the command is
wait_until() {
	n=$1
	shift
	while [ "$n" -gt 0 ]; do
		"$@" >/dev/null 2>&1 && return 0
		n=$((n - 1))
		sleep 0.1
	done
	return 1
}

pid_of() {
	sallyport --dir "$dir" --json status | jq -r --arg p "$1" --argjson i "${2:-0}" '.processes[] | select(.process==$p and .index==$i) | .pid'
}

crash() {
	crash_pid=$(pid_of "$1" "${2:-0}")
	# a process that is being started again has pid 0, and kill -9 0 would be the end of the scene
	[ "${crash_pid:-0}" -gt 1 ] && kill -9 "$crash_pid"
}

api() {
	method=$1 path=$2 key=${3:-} json=${4:-}
	set -- -sS -i --max-time 40 --cacert "$dir/ca.crt" --cert "$dir/clients/$client.crt" --key "$dir/clients/$client.key" -X "$method"
	[ -z "$key" ] || set -- "$@" -H "Idempotency-Key: $key"
	if [ -n "$json" ]; then
		set -- "$@" -H 'Content-Type: application/json' --data-binary "$json"
	fi
	answer=$(curl "$@" "$base$path" 2>"$work/curl.err")
	curl_status=$?
	answer=$(printf '%s' "$answer" | tr -d '\r')
	status=$(printf '%s\n' "$answer" | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p')
	[ "$status" != 100 ] || { answer=$(printf '%s\n' "$answer" | sed '1,/^$/d'); status=$(printf '%s\n' "$answer" | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p'); }
	headers=$(printf '%s\n' "$answer" | sed '/^$/q')
	body=$(printf '%s\n' "$answer" | sed '1,/^$/d')
	[ -n "$status" ] || status=0
}

member() {
	printf '%s' "${2:-$body}" | jq -r ".$1" 2>/dev/null
}

card_json() {
	printf '{"card":{"number":"%s","exp_month":12,"exp_year":2031%s}}' "${1:-4242424242424242}" "${2:+,\"cvc\":\"$2\"}"
}

# never the same twice, also from a subshell
new_key() {
	printf '%s-%s' "$scene_name" "$(cat /proc/sys/kernel/random/uuid)"
}

tokenize() {
	api POST /v1/tokens "$(new_key)" "$(card_json "$@")"
	token=$(member id)
}

is() {
	[ "$1" = "$2" ] || { echo "     saw: $1"; echo "     not: $2"; return 1; }
}

has() {
	case "$1" in *"$2"*) return 0 ;; esac
	echo "     saw: $(printf '%s' "$1" | head -c 300)"
	echo "     without: $2"
	return 1
}

lacks() {
	case "$1" in *"$2"*) echo "     saw: $2"; return 1 ;; esac
}

check() {
	sentence=$1
	shift
	if seen=$("$@" 2>&1); then
		passed=$((passed + 1))
		[ -z "${VERBOSE:-}" ] || echo "   ok: $sentence"
	else
		failed=$((failed + 1))
		echo "   FAILED: $sentence"
		[ -z "$seen" ] || echo "$seen"
	fi
}

end() {
	[ -z "$daemon" ] || stop
	echo "$scene_name: $passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit $?
}
