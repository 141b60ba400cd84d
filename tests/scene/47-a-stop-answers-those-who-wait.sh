#!/bin/bash
# A stop while payments are under way: everybody who waits gets the answer, told that it is the connection's last one.
. "$(dirname "$0")/lib.sh"
appliance a
set_conf simulator.latency 300ms
start
cat >"$work/run.py" <<'X'
import collections, http.client, json, ssl, sys, threading
port, ca, cert, key = int(sys.argv[1]), *sys.argv[2:5]
seen, lock = collections.Counter(), threading.Lock()
def note(what):
    with lock: seen[what] += 1
def one(w):
    c = ssl.create_default_context(cafile=ca); c.check_hostname = False; c.load_cert_chain(cert, key)
    h = http.client.HTTPSConnection("127.0.0.1", port, context=c, timeout=30)
    for i in range(100):
        try:
            h.request("POST", "/v1/payments", json.dumps({"amount": 100, "currency": "EUR", "token": "tok_test_visa"}),
                      {"Content-Type": "application/json", "Idempotency-Key": f"{w}-{i}"})
            r = h.getresponse(); b = json.loads(r.read())
        except OSError as e:
            return note("lost")
        note("paid" if r.status == 201 else b.get("code", str(r.status)))
        if r.getheader("Connection") == "close": return note("told")
threads = [threading.Thread(target=one, args=(w,)) for w in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(json.dumps(seen))
X
python3 "$work/run.py" "$port" "$dir/ca.crt" "$dir/clients/demo.crt" "$dir/clients/demo.key" >"$work/seen" 2>"$work/run.err" &
clients=$!
paying() { [ "$(wc -l <"$dir/courier/simulator.jsonl")" -ge 8 ]; }
check "eight clients pay" wait_until 100 paying
began=$(date +%s%N)
stop
check "the stop ends well" is "$stopped" 0
check "… within its time" test $((($(date +%s%N) - began) / 1000000)) -lt 6000
wait "$clients"
seen_by() { jq -r ".\"$1\" // 0" "$work/seen"; }
check "nobody was left without an answer" is "$(seen_by lost)" 0
check "everybody was told that it was the last" is "$(seen_by told)" 8
check "those who came later heard why" is "$(jq -r 'keys - ["paid", "told", "shutting_down"] | length' "$work/seen")" 0
start
check "every payment that was acknowledged is there" is "$(sallyport --dir "$dir" --json status >/dev/null && api GET "/v1/payments?limit=100&status=captured" && member 'data | length')" "$(seen_by paid)"
end
