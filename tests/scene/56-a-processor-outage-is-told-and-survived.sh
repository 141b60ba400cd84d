#!/bin/bash
# A processor that does not answer, in traffic: new authorizations get a typed answer to repeat later and leave nothing; cards
# go in, reads go on; status, health, metric, console, doctor and journal say the same words within 2 s; when it answers again
# all that was open is settled by itself, and its books hold every payment once.
. "$(dirname "$0")/lib.sh"
appliance a
set_conf simulator.timeout 300ms
set_conf payment.inquire_after 200ms
start
words='processor simulator does not answer' page=sallyport-processor-outage
line="serving — $words; man $page"

outage() { # refused|silent|lost|garbled|none
	printf 'simulator.outage = %s\n' "$1" >"$dir/sallyport.conf.d/outage.conf"
	kill -HUP "$daemon"
}
# each has a key of its own and sends it again, as a client should, until it is answered for good
pay_once() { api POST /v1/payments "$1" "{\"amount\":$2,\"currency\":\"EUR\",\"token\":\"$token\",\"order_id\":\"$1\"}"; }
status_line() { sallyport --dir "$dir" status | head -1; }
says() { is "$(status_line)" "$1"; }
ms() { date +%s%3N; }

tokenize
pay_once before 1000
check "all is well before" is "$status $(status_line)" "201 serving — all well"
captured_later=$(api POST /v1/payments hold '{"amount":700,"currency":"EUR","token":"'"$token"'","capture_method":"manual"}'; member id)
refused_later=$(api POST /v1/payments back '{"amount":900,"currency":"EUR","token":"'"$token"'"}'; member id)

# ── traffic: ten clients, each with its own keys, each repeats what is told to be repeated ──
cat >"$work/client.py" <<'PY'
import json, os, ssl, sys, time, http.client
base, dir, n, token, until = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
tls = ssl.create_default_context(cafile=dir + "/ca.crt")
tls.load_cert_chain(dir + "/clients/demo.crt", dir + "/clients/demo.key")
seen, i = {}, 0
connection = None
def send(method, path, key=None, body=None):
    global connection
    for _ in range(2):
        try:
            if connection is None:
                connection = http.client.HTTPSConnection(base, timeout=40, context=tls)
            connection.request(method, path, body and json.dumps(body), {"Idempotency-Key": key, "Content-Type": "application/json"} if key else {})
            r = connection.getresponse()
            return r.status, dict(r.getheaders()), json.loads(r.read())
        except (OSError, http.client.HTTPException):
            connection = None
    raise SystemExit("no answer")
while not os.path.exists(until):
    i += 1
    key = "c%d-%d" % (n, i)
    body = {"amount": 100 + i, "currency": "EUR", "token": token, "order_id": key}
    while True:
        status, headers, answer = send("POST", "/v1/payments", key, body)
        what = "%d %s" % (status, answer.get("code", answer.get("status")))
        seen[what] = seen.get(what, 0) + 1
        if status != 503:
            break
        wait = int(headers.get("Retry-After", "0"))
        if answer.get("code") != "processor_unavailable" or not answer["retryable"] or not 1 <= wait <= 31:
            raise SystemExit("client %d: a refusal of another kind: %s %s" % (n, headers, answer))
        time.sleep(min(wait, 1) / 4)
    print(json.dumps({"key": key, "amount": 100 + i, "status": status, "payment": answer.get("id") or answer.get("payment", {}).get("id"), "code": answer.get("code")}), flush=True)
print(json.dumps({"seen": seen}), file=sys.stderr)
PY
clients=''
for n in 1 2 3 4 5 6; do
	python3 "$work/client.py" "127.0.0.1:$port" "$dir" $n "$token" "$work/enough" >"$work/client.$n" 2>"$work/client.$n.err" &
	clients="$clients $!"
done
sleep 1

# ── it refuses connections ──
since=$(ms)
outage refused
check "status says so" wait_until 80 says "$line"
told=$(ms)
api GET /health
check "/health says the same words" is "$status $(member status) $(member line)" "200 serving $line"
check "… with its figures" has "$(member checks.processors.detail)" "$words ("
check "… and its page" is "$(member runbook)" $page
api GET /readyz
check "/readyz goes on taking traffic and names the check that fails" is "$status $(member checks.processors.code)" "200 processor_unavailable"
metrics=$(curl -s --cacert "$dir/ca.crt" --cert "$dir/clients/demo.crt" --key "$dir/clients/demo.key" "$base/metrics")
check "the metric names the cause" has "$metrics" 'sallyport_state{state="serving",cause="processor_unavailable"} 1'
check "… and the account" grep -qE '^sallyport_breaker_state\{account="simulator"\} [12]$' <<<"$metrics"
console=$(printf 'q\n' | sallyport-console --dir "$dir" --plain 2>/dev/null)
check "the console's first line says so" has "$(printf '%s\n' "$console" | head -2)" "serving — $words"
check "… and what needs you, with its figures" grep -q "▸ $words (.* since .*Z)" <<<"$console"
check "… and the page" grep -q "next: man $page" <<<"$console"
check "the journal says so" wait_until 10 grep -q "\"detail\":\"$words (" "$dir/run/log"
check "all of it within 2 s" test $(($(ms) - told)) -lt 2000
doctor=$(sallyport --dir "$dir" --json doctor)
check "the doctor finds it by its name" is "$(printf '%s' "$doctor" | jq -r '[.checks[] | select(.result=="fail") | .check] | join(" ")')" running.processors
check "… and names the page" is "$(printf '%s' "$doctor" | jq -r '.checks[] | select(.check=="running.processors") | .next')" "man $page"
check "status tells since when, how often and what next" has "$(sallyport --dir "$dir" status | sed -n 3,4p)" "; it is asked again in "
sallyport --dir "$dir" --json status >"$work/status.json"
check "… also to programs" is "$(jq -r '.processors[0] | "\(.account) \(.answers) \(.failures >= 5)"' "$work/status.json")" "simulator false true"

before=$(sallyport --dir "$dir" --json payment list --limit 1 | jq -r '.payments[0].id')
pay_once held 1234
check "a new authorization is refused, typed, to be repeated" is "$status $(member code) $(member retryable) $(member category)" "503 processor_unavailable true processor"
check "… the client is told what it can do" has "$(member detail)" "with the same idempotency key"
check "… with a time to come back" bash -c "printf '%s' '$headers' | grep -qiE '^retry-after: ([1-9]|[12][0-9]|3[01])$'"
check "… and leaves no payment" is "$(sallyport --dir "$dir" --json payment list --limit 50 | jq '[.payments[] | select(.amount_minor == 1234 or .amount == 1234)] | length')" 0
tokenize 5555555555554444
check "a card goes in meanwhile" is "$status" 201
api GET "/v1/payments/$captured_later"
check "reads go on" is "$status $(member status)" "200 authorized"
api GET "/problems/processor_unavailable"
check "its problem page names the runbook" is "$status $(member runbook)" "200 $page"
crash courier
check "a courier that dies of something else meanwhile learns it anew" wait_until 150 says "$line"

# a capture and a refund are begun and tried again as always; what ends without a charge says so
api POST "/v1/payments/$captured_later/capture" cap '{"amount":300,"final":false}'
check "a capture that never got there is told as that" is "$status $(member code)" "502 processor_unreachable"

# ── effects whose answers are lost ──
outage lost
check "a probe without an answer keeps it so" says "$line"
sleep 2
outage none
check "when it answers again the words go by themselves" wait_until 80 says "serving — all well"
outage lost
check "lost answers are an outage too" wait_until 150 says "$line"
api POST "/v1/payments/$refused_later/refunds" ref '{"amount":400}'
check "a refund whose answer is lost is unknown, not failed" is "$status $(member code)" "504 payment_unknown"
outage garbled
sleep 1
outage none
check "the end is told" wait_until 100 says "serving — all well"
api GET /health
check "… by /health too" is "$(member line)" "serving — all well"
check "… and by the journal" has "$(tail -50 "$dir/run/log")" "a processor answers again"
pay_once held 1234
check "the key that was refused is good for one payment" is "$status $(member status)" "201 captured"
held=$(member id)
pay_once held 1234
check "… and for no second one" is "$(member id)" "$held"
sleep 1
touch "$work/enough"
for p in $clients; do wait "$p"; check "a client got a final answer to all it sent, after refusals of one kind only" is $? 0; done
cat "$work"/client.*.err | grep -v '^{' | head -3

# ── the judge: our books against the processor's ──
open() { curl -s --cacert "$dir/ca.crt" --cert "$dir/clients/demo.crt" --key "$dir/clients/demo.key" "$base/v1/payments?status=$1&limit=100" | jq '.data | length'; }
settled() { [ "$(open unknown)" = 0 ] && [ "$(open processing)" = 0 ]; }
check "all that was open is settled by itself" wait_until 600 settled
refund_ends() { api GET "/v1/payments/$refused_later"; [ "$(member amount_refunded)" = 400 ]; }
check "the refund too, once" wait_until 300 refund_ends
cat "$work"/client.? >"$work/answers"
curl_all() { # every payment of ours, with its status
	local cursor='' page
	while :; do
		page=$(curl -s --cacert "$dir/ca.crt" --cert "$dir/clients/demo.crt" --key "$dir/clients/demo.key" "$base/v1/payments?limit=100${cursor:+&cursor=$cursor}")
		printf '%s' "$page" | jq -c '.data[] | {id, order_id, status, amount}'
		[ "$(printf '%s' "$page" | jq .has_more)" = true ] || return
		cursor=$(printf '%s' "$page" | jq -r .next_cursor)
	done
}
cat >"$work/judge.py" <<'PY'
import collections, json, sys
books, ours, answers = ([json.loads(l) for l in open(f) if l.strip()] for f in sys.argv[1:4])
charged = collections.Counter(l["payment"] for l in books if l["kind"] == "authorize" and l["outcome"] == "approved")
faults = ["%s is charged %d times" % (p, n) for p, n in charged.items() if n > 1]
by_id, by_key = {p["id"]: p for p in ours}, collections.Counter(p["order_id"] for p in ours if p["order_id"])
faults += ["%d payments of one key %s" % (n, k) for k, n in by_key.items() if n > 1]
faults += ["the processor charged %s, which we do not have" % p for p in charged if p not in by_id]
for p in ours:
    have, want = p["id"] in charged, p["status"] in ("captured", "authorized", "partially_captured", "partially_refunded")
    if have != want:
        faults.append("%s is %s, and the processor %s it" % (p["id"], p["status"], "charged" if have else "never charged"))
for a in answers:
    if a["payment"] not in by_id:
        faults.append("%s was answered %s and is not there" % (a["key"], a["status"]))
    elif a["status"] == 201 and by_id[a["payment"]]["status"] != "captured":
        faults.append("%s was acknowledged and is %s" % (a["key"], by_id[a["payment"]]["status"]))
print("; ".join(faults[:5]) if faults else "%d payments, %d charged, %d answers: none lost, none doubled" % (len(ours), len(charged), len(answers)))
sys.exit(bool(faults) or len(answers) < 20 or len(charged) < 20)
PY
curl_all >"$work/ours"
check "no payment is lost and none is doubled" python3 "$work/judge.py" "$dir/courier/simulator.jsonl" "$work/ours" "$work/answers"
python3 "$work/judge.py" "$dir/courier/simulator.jsonl" "$work/ours" "$work/answers" | sed 's/^/   /'
# planted faults: the judge sees what it is for
sed -n '/"kind":"authorize".*"approved"/{p;q}' "$dir/courier/simulator.jsonl" >"$work/planted"
cat "$dir/courier/simulator.jsonl" >>"$work/planted"
check "a charge that stands twice in the books is seen" has "$(python3 "$work/judge.py" "$work/planted" "$work/ours" "$work/answers")" "charged 2 times"
sed '0,/"status":"captured"/s//"status":"failed"/' "$work/ours" >"$work/planted"
check "a charge that we call failed is seen" has "$(python3 "$work/judge.py" "$dir/courier/simulator.jsonl" "$work/planted" "$work/answers")" "and the processor charged it"
sallyport --dir "$dir" audit export --output "$work/e.tar" >/dev/null 2>"$work/export.err"
check "the log is whole" sallyport-verify "$work/e.tar"
check "… and tells the outage and its end" bash -c "tar -xOf '$work/e.tar' 2>/dev/null | grep -aq 'processor.lost' && tar -xOf '$work/e.tar' | grep -aq 'processor.back'"
check "the models are what the events say" sallyport --dir "$dir" ledger rebuild
end
