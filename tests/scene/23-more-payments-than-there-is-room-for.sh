#!/bin/bash
# A slow processor and twice as many asynchronous payments as courier runs at once: the rest waits its turn, each accepted one
# ends, each is charged once; what is refused is refused before it is accepted.
. "$(dirname "$0")/lib.sh"
appliance a
set_conf simulator.latency 1s
start
tokenize 4242424242424242
cat >"$work/flood.py" <<'X'
import collections, http.client, json, ssl, sys, threading, time

dir, port, token, n = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
ctx = ssl.create_default_context(cafile=dir + "/ca.crt")
ctx.check_hostname = False
ctx.load_cert_chain(dir + "/clients/demo.crt", dir + "/clients/demo.key")
ids, answers, lock = [], collections.Counter(), threading.Lock()

def connect():
    return http.client.HTTPSConnection("127.0.0.1", port, context=ctx, timeout=60)

def pay(first):
    c = connect()
    for i in range(first, n, 32):
        body = json.dumps({"amount": 1000 + i, "currency": "EUR", "token": token, "capture_method": "manual"})
        c.request("POST", "/v1/payments?mode=async", body, {"Content-Type": "application/json", "Idempotency-Key": f"flood-{i}"})
        r = c.getresponse()
        said = json.loads(r.read())
        with lock:
            answers[r.status] += 1
            if r.status == 202:
                ids.append(said["id"])

threads = [threading.Thread(target=pay, args=(k,)) for k in range(32)]
[t.start() for t in threads]
[t.join() for t in threads]
c, left, ended, until = connect(), ids, collections.Counter(), time.monotonic() + 60
while left and time.monotonic() < until:
    running = []
    for i in left:
        c.request("GET", "/v1/payments/" + i)
        status = json.loads(c.getresponse().read())["status"]
        if status == "processing":
            running.append(i)
        else:
            ended[status] += 1
    left = running
    time.sleep(0.5)
print(json.dumps({"answers": answers, "ended": ended, "left": len(left)}))
X
story=$(python3 "$work/flood.py" "$dir" "$port" "$token" 2500)
echo "   $story"
accepted=$(member 'answers["202"]' "$story")
check "they were accepted" test "${accepted:-0}" -gt 2000
check "nothing else than accepted or too busy was answered" is "$(member 'answers|del(.["202"], .["503"])|length' "$story")" 0
check "each accepted one is authorized in the end" is "$(member 'ended.authorized' "$story") $(member left "$story")" "$accepted 0"
books() { jq -s 'map(select(.kind == "authorize")) | length' "$dir/courier/simulator.jsonl"; }
check "the issuer charged each once" is "$(books) $(jq -s 'map(.payment) | unique | length' "$dir/courier/simulator.jsonl")" "$accepted $accepted"
check "all is well afterwards" has "$(sallyport --dir "$dir" status)" "serving — all well"
end
