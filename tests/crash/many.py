#!/usr/bin/env python3
"""The same key many ways at once: many.py DIR PORT SEED. Exits 0 when each key had one effect and each answer fits it."""
import json
import subprocess
import sys
import threading
import time
from collections import Counter

from traffic import Client, children

WAYS = 64
faults = []


def check(sentence, good, saw=""):
    if not good:
        faults.append(f"{sentence}: {saw}")


def at_once(directory, port, requests):
    """All requests in the same moment, each on its own connection: [(status, body)]."""
    answers = [None] * len(requests)
    gate = threading.Barrier(len(requests))

    def one(i):
        c = Client(directory, port)
        c.ask("GET", "/livez")
        gate.wait()
        answers[i] = c.ask(*requests[i])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(requests))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return answers


def insist(c, *request):
    """Repeats while the answer says so, or none comes."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        status, body = c.ask(*request)
        if status and status != 503 and not (status == 409 and body["code"] in ("idempotency_in_progress", "operation_in_flight")):
            return status, body
        time.sleep(0.02)
    return 0, {}


def same_key(directory, port, c, what, method, path, key, body, other):
    answers = at_once(directory, port, [(method, path, key, body)] * WAYS)
    seen = Counter(s for s, _ in answers)
    ids = {b["id"] for s, b in answers if s in (200, 201)}
    check(f"{what}: each of {WAYS} answers is the object or `in progress`", set(seen) <= {200, 201, 409}, dict(seen))
    check(f"{what}: one object", len(ids) <= 1, ids)
    check(f"{what}: 409 says in progress",
          all(b["code"] in ("idempotency_in_progress", "operation_in_flight") for s, b in answers if s == 409),
          Counter(b["code"] for s, b in answers if s == 409))
    first = insist(c, method, path, key, body)
    second = insist(c, method, path, key, body)
    check(f"{what}: a repeat gives the same bytes", first == second and first[0] in (200, 201), (first, second))
    check(f"{what}: the repeat is the object that the others got", ids <= {first[1].get("id")}, (ids, first[1].get("id")))
    status, problem = insist(c, method, path, key, other)
    check(f"{what}: another body is refused", status == 409 and problem["code"] == "idempotency_key_reused", (status, problem))
    return first[1]


def main(directory, port, seed):
    c = Client(directory, port)
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2031}
    _, token = insist(c, "POST", "/v1/tokens", f"t{seed}", {"card": card})
    pay = {"amount": 1000, "currency": "EUR", "capture_method": "manual", "token": token["id"]}
    p = same_key(directory, port, c, "authorize", "POST", "/v1/payments", f"p{seed}", pay, {**pay, "amount": 1001})
    inline = {"amount": 1000, "currency": "EUR", "card": {**card, "cvc": "123"}}
    same_key(directory, port, c, "authorize a card", "POST", "/v1/payments", f"i{seed}", inline,
             {**inline, "card": {**card, "exp_year": 2032}})
    path = "/v1/payments/" + p["id"]
    same_key(directory, port, c, "capture", "POST", path + "/capture", f"c{seed}", {"amount": 900}, {"amount": 800})
    same_key(directory, port, c, "refund", "POST", path + "/refunds", f"r{seed}", {"amount": 100}, {"amount": 101})

    # different keys, more than there is: 800 are left, 20 ask for 90
    answers = []

    def refund(i):
        answers.append(insist(Client(directory, port), "POST", path + "/refunds", f"m{seed}-{i}", {"amount": 90}))

    threads = [threading.Thread(target=refund, args=(i,)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    done = sum(1 for s, _ in answers if s == 201)
    check("refunds: eight of twenty fit", done == 8, Counter(s for s, _ in answers))
    check("refunds: the others say why", all(b["code"] in ("amount_too_large", "invalid_state") for s, b in answers if s != 201),
          Counter(b.get("code") for s, b in answers if s != 201))
    check("refunds: the sum", insist(c, "GET", path)[1]["amount_refunded"] == 820, insist(c, "GET", path)[1]["amount_refunded"])

    # the same key while the ledger dies
    killed = threading.Timer(0.02, lambda: subprocess.run(["kill", "-9", str(children(directory)["ledger"][0])], check=False))
    killed.start()
    answers = at_once(directory, port, [("POST", "/v1/payments", f"k{seed}", pay)] * WAYS)
    killed.join()
    final = insist(c, "POST", "/v1/payments", f"k{seed}", pay)
    ids = {b["id"] for s, b in answers if s in (200, 201, 202) and b} | {final[1].get("id")}
    check("the ledger dies: one object", len(ids) == 1 and final[0] in (201, 202), (final[0], ids))

    with open(directory + "/courier/simulator.jsonl") as f:
        twice = [k for k, n in Counter((e["key"], e["kind"]) for e in map(json.loads, f)).items() if n > 1]
    check("the issuer did nothing twice", not twice, twice)
    for f in faults:
        print("   fault:", f)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
