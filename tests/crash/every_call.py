#!/usr/bin/env python3
"""kill -9 of one process at its first, second, third … system call of a payment, until the payment ends without a kill.

  every_call.py DIR PORT KILL_AT STEP PROCESS…   leaves DIR/story.json for traffic.py judge; STEP 1 tries every call

The client repeats its request with the same key, as the contract asks of it. Each kill is in a life of the process of its
own: at its first system call after the request began, at its second, and so on.
"""
import ctypes
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import traffic

KILLS_PER_START = 2  # the monitor starts a process that died early again with ever more patience; a new start forgets
CALLS_MAX = 2000


class Appliance:
    def __init__(self, directory):
        self.directory, self.daemon, self.kills = directory, None, 0

    def start(self):
        with open(self.directory + "/run/log", "a") as log:
            self.daemon = subprocess.Popen(["sallyportd", "--dir", self.directory], stdout=subprocess.PIPE, stderr=log)
        with open(self.directory + "/run/pid", "w") as f:
            f.write(str(self.daemon.pid))
        if not self.daemon.stdout.readline().startswith(b"ready"):
            raise SystemExit("the appliance did not start; see run/log")
        self.kills = 0

    def stop(self, how=signal.SIGTERM):
        self.daemon.send_signal(how)
        self.daemon.wait()

    def pid_of(self, name):
        for _ in range(100):
            pids = traffic.children(self.directory).get(name)
            if pids:
                return pids[0]
            time.sleep(0.05)
        raise SystemExit(f"{name} does not come back")


def kill_one(appliance, client, kill_at, name, n, story):
    """True when the process was killed at its n-th call while the payment ran; False when it made fewer."""
    pid = appliance.pid_of(name)
    killer = subprocess.Popen([kill_at, str(pid), str(n)], stdout=subprocess.PIPE, text=True)
    if killer.stdout.readline().strip() != "ready":
        killer.wait()
        return True  # it was just being started again: nothing was learnt, nothing is wrong
    order = f"k{name}n{n}"
    body = {"amount": 1000 + n, "currency": "EUR", "order_id": order, "capture_method": "automatic",
            "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2031, "cvc": "123"}}
    client.insist("POST", "/v1/payments", "p-" + order, body, story)
    killer.send_signal(signal.SIGTERM)
    # a tracer that waits in waitpid sees the signal at the next stop of the process at the latest
    said = killer.stdout.readline().strip()
    killer.wait()
    return said.startswith("killed")


def main(directory, port, kill_at, step, names):
    appliance, story, killed = Appliance(directory), [], {}
    client = traffic.Client(directory, port)
    appliance.start()
    for name in names:
        killed[name] = 0
        misses = 0
        for n in range(1, CALLS_MAX, step):
            if appliance.kills >= KILLS_PER_START:
                appliance.stop()
                appliance.start()
            if kill_one(appliance, client, kill_at, name, n, story):
                killed[name] += 1
                appliance.kills += 1
                misses = 0
            else:
                misses += 1
                if misses == 2:  # once may be a slow heartbeat less
                    break
    appliance.stop()
    with open(directory + "/story.json", "w") as f:
        json.dump({"kills": killed, "answers": story}, f)
    print(f"   {len(story)} answers, killed {killed}")


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # not to outlive the scene
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5:])
