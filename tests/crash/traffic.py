#!/usr/bin/env python3
"""Traffic that remembers every acknowledged answer while processes are killed, and a judge of what is left afterwards.

  traffic.py run   DIR PORT SECONDS SEED [kill]   clients over mTLS; with `kill` every process is killed in turn (kill -9)
  traffic.py judge DIR PORT STORY                 compares the story with the API, the issuer's books and the events

`run` writes its story (JSON) to DIR/story.json. A client repeats a request with the same key until it is answered for
good: that is what the contract asks of a client. The judge exits 0 when nothing acknowledged is lost and nothing doubled.
"""
import http.client
import json
import os
import random
import signal
import ssl
import sys
import threading
import time
from collections import Counter, defaultdict

CLIENTS = 8
PATIENCE_S = 60
# answers that are for good; all others are repeated with the same key
FINAL = {200, 201, 402, 422, 502, 504}
SETTLED = {"authorized", "partially_captured", "captured", "partially_refunded", "refunded", "voided", "declined",
           "failed", "expired"}


class Client:
    def __init__(self, directory, port):
        self.context = ssl.create_default_context(cafile=directory + "/ca.crt")
        self.context.load_cert_chain(directory + "/clients/demo.crt", directory + "/clients/demo.key")
        self.port, self.connection = port, None

    def ask(self, method, path, key=None, body=None):
        """One request: (status, body), or (0, None) when no answer came."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key:
            headers["Idempotency-Key"] = key
        try:
            if self.connection is None:
                self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=40)
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self.connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else {}
        except (OSError, http.client.HTTPException, ValueError):
            if self.connection:
                self.connection.close()
            self.connection = None
            return 0, None

    def insist(self, method, path, key, body, story):
        """Repeats until an answer is for good; every answer with an object is written into the story."""
        until = time.monotonic() + PATIENCE_S
        tries, status, code = 0, 0, ""
        while time.monotonic() < until:
            tries += 1
            status, answer = self.ask(method, path, key, body)
            if status in (200, 201, 202, 402, 502, 504) and answer is not None:
                payment = answer.get("payment", answer)
                payment = {"id": payment} if isinstance(payment, str) else payment
                story.append({"key": key, "path": path, "status": status, "id": answer.get("id") or payment.get("id"),
                              "payment": payment.get("id"), "object": answer.get("object"),
                              "state": answer.get("status") if status < 300 else payment.get("status"),
                              "amount": body.get("amount"), "code": answer.get("code"), "tries": tries})
            code = (answer or {}).get("code", "")
            if status in FINAL and not (status == 504 and code != "payment_unknown"):
                return status, answer
            if status == 202 or (status == 409 and code not in ("idempotency_in_progress", "operation_in_flight")):
                return status, answer
            time.sleep(0.02 if status else 0.05)
        story.append({"key": key, "path": path, "status": -1, "tries": tries, "last": status, "code": code})
        return 0, None


def shop(directory, port, until, seed, number, story):
    """One client's life: pay, capture in parts, refund, void."""
    r = random.Random(seed * 1000 + number)
    c = Client(directory, port)
    n = 0
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2031}
    status, token = c.insist("POST", "/v1/tokens", f"t-{seed}-{number}", {"card": card}, [])
    if status not in (200, 201):
        story.append({"key": "token", "status": status, "path": "/v1/tokens", "tries": 0})
        return
    while time.monotonic() < until:
        n += 1
        order = f"o{seed}c{number}n{n}"  # letters between: a run of digits might pass for a card number
        amount = r.choice([1000 + r.randrange(5000), 1000 + r.randrange(5000), 900021 + r.randrange(3), 900061 + r.randrange(4), 900068])
        body = {"amount": amount, "currency": "EUR", "order_id": order, "capture_method": r.choice(["manual", "automatic"])}
        if r.random() < 0.3:
            body["card"] = {**card, "cvc": "123"}
        else:
            body["token"] = token["id"]
        mode = "?mode=async" if r.random() < 0.2 else ""
        status, answer = c.insist("POST", "/v1/payments" + mode, "p-" + order, body, story)
        if status != 201 or answer.get("status") != "authorized":
            continue
        path = "/v1/payments/" + answer["id"]
        if r.random() < 0.3:
            c.insist("POST", path + "/void", "v-" + order, {}, story)
            continue
        part = amount // 3
        c.insist("POST", path + "/capture", "c1-" + order, {"amount": part, "final": False}, story)
        c.insist("POST", path + "/capture", "c2-" + order, {}, story)
        if r.random() < 0.5:
            c.insist("POST", path + "/refunds", "r-" + order, {"amount": part}, story)


def children(directory):
    """name → pid of the daemon's children by /proc, which works while desk is dead."""
    found = {}
    daemon = int(open(directory + "/run/pid").read())
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                stat = f.read()
            if int(stat.rsplit(")", 1)[1].split()[1]) == daemon:
                with open(f"/proc/{pid}/cmdline") as f:
                    name = f.read().split("\0")[0].split()[0].split("/")[0]  # "gate/1"
                found.setdefault(name, []).append(int(pid))
        except (OSError, IndexError, ValueError):
            continue
    return found


def killer(directory, until, seed, kills):
    """Each process in turn, at random moments; the monitor brings it back with backoff."""
    r = random.Random(seed)
    names = ["ledger", "vault", "courier", "herald", "gate", "hsm", "desk"]
    at = 0
    while time.monotonic() < until - 3:
        time.sleep(0.2 + r.random() * 0.8)
        name = names[at % len(names)] if at < 2 * len(names) else r.choice(names[:5])
        at += 1
        pids = children(directory).get(name)
        # the monitor's patience grows with each death: mostly let the appliance stand up first, else nobody is ever served
        while r.random() < 0.9 and set(children(directory)) < set(names) and time.monotonic() < until:
            time.sleep(0.2)
        if not pids:
            continue
        try:
            os.kill(r.choice(pids), signal.SIGKILL)
            kills[name] += 1
        except ProcessLookupError:
            pass


def run(directory, port, seconds, seed, kill):
    story, kills, until = [], Counter(), time.monotonic() + seconds
    threads = [threading.Thread(target=shop, args=(directory, port, until, seed, i, story)) for i in range(CLIENTS)]
    if kill:
        threads.append(threading.Thread(target=killer, args=(directory, until, seed, kills)))
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with open(directory + "/story.json", "w") as f:
        json.dump({"seed": seed, "kills": kills, "answers": story}, f)
    counts = Counter(a["status"] for a in story)
    print(f"   seed {seed}: {len(story)} answers {dict(sorted(counts.items()))}, killed {dict(kills)}")


# ── the judge ──

def all_payments(client):
    payments, cursor = {}, ""
    while True:
        status, page = client.ask("GET", "/v1/payments?limit=100" + (f"&cursor={cursor}" if cursor else ""))
        if status != 200:
            raise SystemExit(f"payments can't be listed: {status} {page}")
        payments.update((p["id"], p) for p in page["data"])
        if not page["has_more"]:
            return payments
        cursor = page["next_cursor"]


def settle(client):
    """Until every payment's outcome is known."""
    until = time.monotonic() + 90
    while True:
        payments = all_payments(client)
        open_ones = [p for p in payments.values() if p["status"] not in SETTLED]
        if not open_ones or time.monotonic() > until:
            return payments, open_ones
        time.sleep(0.5)


def judge(directory, port, story_file):
    client = Client(directory, port)
    with open(story_file) as f:
        answers = json.load(f)["answers"]
    payments, open_ones = settle(client)
    faults = []
    fault = faults.append
    for p in open_ones:
        fault(f"{p['id']} is still {p['status']}")
    unanswered = [a for a in answers if a["status"] == -1]
    for a in unanswered:
        fault(f"key {a['key']} was not answered in {PATIENCE_S} s; last: {a['last']} {a['code']}, {a['tries']} tries")

    # nothing acknowledged is lost, and a key has one object
    by_key = defaultdict(set)
    for a in answers:
        if a["status"] == -1:
            continue
        if a["id"]:
            by_key[a["key"]].add(a["id"])
        if a["payment"] and a["payment"].startswith("pay_") and a["payment"] not in payments:
            fault(f"{a['payment']} was acknowledged and is lost")
    for key, ids in by_key.items():
        if len(ids) > 1 and key[0] == "p":
            fault(f"key {key} has several objects: {sorted(ids)}")
    orders = Counter(p["order_id"] for p in payments.values())
    for order, n in orders.items():
        if n > 1:
            fault(f"order {order} was paid {n} times")

    # what was acknowledged stays true
    captured, refunded = Counter(), Counter()
    seen = set()
    for a in answers:
        p = payments.get((a["payment"] if a["key"][0] in "pv" else a["path"].split("/")[3]) if a["status"] != -1 else None)
        if not p:
            continue
        if a["key"][0] == "p" and a["state"] == "authorized" and p["status"] in ("declined", "failed"):
            fault(f"{p['id']} was acknowledged as authorized and is {p['status']}")
        if a["key"][0] == "p" and a["state"] == "declined" and p["status"] != "declined":
            fault(f"{p['id']} was acknowledged as declined and is {p['status']}")
        if a["key"][0] == "v" and a["status"] == 200 and p["status"] != "voided":
            fault(f"{p['id']} was acknowledged as voided and is {p['status']}")
        if a["status"] == 201 and a["state"] == "succeeded" and a["id"] not in seen:
            seen.add(a["id"])
            status, refund = (200, {}) if a["key"][0] == "c" else client.ask("GET", "/v1/refunds/" + a["id"])
            if status != 200:
                fault(f"refund {a['id']} was acknowledged and is lost")
            if a["key"][0] == "c" and a["key"][1] == "1":
                captured[p["id"]] += a["amount"]
            elif a["key"][0] == "r":
                refunded[p["id"]] += a["amount"]
    for sums, member in ((captured, "amount_captured"), (refunded, "amount_refunded")):
        for pid, amount in sums.items():
            if payments[pid][member] < amount:
                fault(f"{pid}: {member} is {payments[pid][member]}, acknowledged were {amount}")

    # the issuer's books: each key once, each sum as the ledger says
    keys, moved = Counter(), defaultdict(Counter)
    with open(directory + "/courier/simulator.jsonl") as f:
        for line in f:
            entry = json.loads(line)
            keys[entry["key"], entry["kind"]] += 1
            if entry["outcome"] == "approved":
                moved[entry["payment"]][entry["kind"]] += entry["amount"]
                if entry["captured"]:
                    moved[entry["payment"]]["capture"] += entry["amount"]
                moved[entry["payment"]]["times " + entry["kind"]] += 1
    for (key, kind), n in keys.items():
        if n > 1:
            fault(f"the issuer has {kind} {key[:8]} {n} times")
    for pid, sums in moved.items():
        p = payments.get(pid)
        if not p:
            fault(f"the issuer moved money for {pid}, which is not there")
            continue
        if sums["times authorize"] > 1:
            fault(f"{pid} was charged {sums['times authorize']} times")
        for kind, member in (("authorize", "amount_authorized"), ("capture", "amount_captured"), ("refund", "amount_refunded")):
            if sums[kind] != p[member] and not (kind == "authorize" and p["status"] in ("declined", "failed")):
                fault(f"{pid}: the issuer says {kind} {sums[kind]}, the ledger {p[member]}")
    for pid, p in payments.items():
        if p["amount_authorized"] and not moved[pid]["authorize"]:
            fault(f"{pid} is authorized and the issuer knows nothing of it")

    # the events: all of them, in order
    versions = defaultdict(list)
    with open(directory + "/herald/events.jsonl") as f:
        for line in f:
            event = json.loads(line)
            if event["subject"].startswith("pay_"):
                versions[event["subject"]].append(int(event["sequence"]))
    for pid, p in payments.items():
        got = versions.get(pid, [])
        first_seen = list(dict.fromkeys(got))
        if first_seen != sorted(first_seen):
            fault(f"the events of {pid} are out of order: {got}")
        if len(set(got)) != p.get("version", len(set(got))):
            fault(f"{pid} has {p['version']} events and {len(set(got))} went out")
    states = Counter(p["status"] for p in payments.values())
    print(f"   {len(payments)} payments {dict(states)}, {sum(keys.values())} lines of the issuer, "
          f"{sum(len(v) for v in versions.values())} events; {len(faults)} faults")
    for f in faults[:20]:
        print("   fault:", f)
    return 1 if faults else 0


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), len(sys.argv) > 6)
    elif sys.argv[1] == "judge":
        sys.exit(judge(sys.argv[2], int(sys.argv[3]), sys.argv[4]))
    else:
        sys.exit(__doc__)
