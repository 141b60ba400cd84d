#!/usr/bin/env python3
"""kill -9 at the k-th system call: syscalls.py DIR PORT SEED TRIALS. strace injects the signal into one process while a
client pays, captures and refunds; the story goes to DIR/story.json for `traffic.py judge`. Prints one line per trial that
took longer than it may."""
import json
import random
import subprocess
import sys
import time
from collections import Counter

from traffic import Client, children

# where a process can be between two effects: before and after each write, sync and message
CALLS = {"ledger": ["pwrite64", "fdatasync", "sendto", "recvfrom"], "vault": ["pwrite64", "fdatasync", "sendto", "recvfrom"],
         "courier": ["write", "sendto", "recvfrom"], "herald": ["writev", "fdatasync", "sendto"]}
PER_JOB = {"pwrite64": 60, "fdatasync": 8, "sendto": 14, "recvfrom": 14, "write": 3, "writev": 8}


def main(directory, port, seed, trials):
    r = random.Random(seed)
    story, killed, slow = [], Counter(), 0
    c = Client(directory, port)
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2031}
    _, token = c.insist("POST", "/v1/tokens", f"ts{seed}", {"card": card}, [])
    for n in range(trials):
        name = r.choice(list(CALLS))
        call = r.choice(CALLS[name])
        k = r.randrange(1, PER_JOB[call] + 1)
        pids = children(directory).get(name)
        if not pids:
            time.sleep(0.2)
            continue
        tracer = subprocess.Popen(["strace", "-qq", "-p", str(pids[0]), "-e", f"trace={call}", "-e",
                                   f"inject={call}:signal=KILL:when={k}", "-o", "/dev/null"], stderr=subprocess.DEVNULL)
        time.sleep(0.1)
        order, began = f"s{seed % 9973}n{n}x", time.monotonic()
        body = {"amount": 1000 + n, "currency": "EUR", "order_id": order, "capture_method": "manual"}
        body.update({"card": {**card, "cvc": "123"}} if n % 2 else {"token": token["id"]})
        status, answer = c.insist("POST", "/v1/payments", "p-" + order, body, story)
        if status == 201:
            path = "/v1/payments/" + answer["id"]
            c.insist("POST", path + "/capture", "c1-" + order, {"amount": 400, "final": False}, story)
            c.insist("POST", path + "/capture", "c2-" + order, {}, story)
            c.insist("POST", path + "/refunds", "r-" + order, {"amount": 300}, story)
        took = time.monotonic() - began
        if tracer.poll() is None:
            tracer.terminate()
        else:
            killed[f"{name} {call}"] += 1
        tracer.wait()
        if took > 8:
            slow += 1
            print(f"   slow: {name} killed at {call} {k}: {took:.1f} s")
    with open(directory + "/story.json", "w") as f:
        json.dump({"seed": seed, "kills": killed, "answers": story}, f)
    print(f"   seed {seed}: {trials} trials, {sum(killed.values())} kills {dict(killed)}")
    return 1 if slow or not killed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
