#!/usr/bin/env python3
"""The figures of Sallyport, beside the machine's own ceilings and its peers, in one interleaved run.

usage: tests/bench/run.py BUILD [NAME…] [--rounds N] [--seconds S] [--peers DIR] [--stores DIR] [--json FILE]

examples: make bench                                       everything that needs no peers: about 12 minutes
          make bench BENCH="authorize reads --rounds 2"    some of it
          make bench PEERS=DIR                             with the peers of DIR in the same run
          tests/bench/run.py BUILD --list                  what there is

Each round measures every row once, in turn, so that ratios hold when the machine's speed drifts; the tables show medians.
CPU per operation is of all processes of the appliance together. Needs cc, libsqlcipher and libssl headers; nginx-light for
what stands beside nginx. DIR of --peers holds programs that are not ours (see Peers in rig.py); without it their rows are
left out, and said to be. DIR of --stores keeps filled stores for the next run; without it they are made and thrown away.
"""
import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time

import plot
import report
import rig
import rows


class Bench:
    def __init__(self, args):
        self.args, self.figures, self.series, self.started, self.appliances, self.round = args, {}, {}, [], {}, 0
        self.work = tempfile.mkdtemp(prefix="sp-bench.")
        os.chmod(self.work, 0o755)
        self.mtlsload = self.tool("mtlsload")
        self.main = self.nginx = self.peers = None

    def keep(self, name, value):
        self.figures.setdefault(name, []).append(value)

    def median(self, name):
        return report.medians(self.figures).get(name)

    def tool(self, name):
        ours = os.path.join(rig.HERE, name + ".c")
        return rig.compile_tool(self.args.build, ours if os.path.exists(ours) else os.path.join(self.args.peers, "src", name + ".c"))

    def stores(self):
        where = self.args.stores or os.path.join(self.work, "stores")
        os.makedirs(where, exist_ok=True)
        return os.path.abspath(where)

    def appliance(self, name, conf=(), running=True):
        """Made at its first use, with a stored token, and kept running: an idle appliance takes no CPU."""
        if name not in self.appliances:
            a = self.appliances[name] = rig.Appliance(self, os.path.join(self.work, name), conf)
            self.started.append(a)
            if running:
                a.start()
                a.token()
        return self.appliances[name]

    def open(self, names):
        began = self.main = self.appliance("main")
        self.keep("memory idle MiB", began.pss())
        self.payment = rows.payment_of(self.main)
        self.nginx = rig.nginx_start(self)
        if not self.nginx:
            rig.say("── nginx is not installed: nothing stands beside it")
        if self.args.peers:
            self.peers = rig.Peers(self)
        else:
            rig.say("── no PEERS directory: left out: " + ", ".join(r[0] for r in rows.ROWS if r[4]))

    def close(self):
        for s in self.started[::-1]:
            s.terminate() if hasattr(s, "terminate") else s.stop()
        if self.peers:
            self.peers.terminate()
        shutil.rmtree(self.work, ignore_errors=True)

    def measure(self, row):
        name, _, function, _, needs_peers = row
        if needs_peers and not self.peers:
            return
        rig.say(f"── {name}")
        try:
            function(self)
        except Exception as e:  # one row that fails costs its own figures, and says so
            rig.say(f"   FAILED: {e!r}")
            self.failed.append(name)

    def run(self, wanted):
        self.failed = []
        for self.round in range(self.args.rounds):
            rig.say(f"════ round {self.round + 1} of {self.args.rounds}, {time.strftime('%H:%M:%S')}, load {os.getloadavg()[0]:.2f}")
            for row in wanted:
                if not row[3]:
                    self.measure(row)
        for row in wanted:
            if row[3]:
                self.measure(row)

    def document(self):
        return {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cores": os.cpu_count(), "kernel": platform.release(),
                "rounds": self.args.rounds, "seconds": self.args.seconds, "failed": self.failed,
                "figures": {k: {"median": report.medians({k: v})[k], "least": min(v), "most": max(v), "n": len(v)} for k, v in self.figures.items()},
                "series": self.series, "goals": report.goals(self.figures)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("names", nargs="*")
    p.add_argument("--list", action="store_true", help="print the rows and end")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--peers", default="")
    p.add_argument("--stores", default="")
    p.add_argument("--sizes", type=lambda s: [int(x) for x in s.split(",")], default=[10000, 1000000], help="payments in the stores of `growth`")
    p.add_argument("--payments", type=int, default=1000000, help="payments in the appliance of `start`")
    p.add_argument("--flat", type=int, default=1000000, help="requests of `flat`")
    p.add_argument("--json", default="", help="the figures, the goals and the curves as one document")
    p.add_argument("--svg", default="", help="a picture of them")
    args = p.parse_args()
    if args.list:
        for name, what, _, once, needs in rows.ROWS:
            print(f"{name:<12} {what}{' (once)' if once else ''}{' (needs PEERS)' if needs else ''}")
        return
    unknown = [n for n in args.names if n not in [r[0] for r in rows.ROWS]]
    if unknown:
        sys.exit(f"bench: no row named {', '.join(unknown)}\nnext: tests/bench/run.py BUILD --list")
    args.build, args.peers = os.path.abspath(args.build), os.path.abspath(args.peers) if args.peers else ""
    os.environ["PATH"] = ":".join(os.path.join(args.build, d) for d in ("daemon/monitor", "console/ctl", "console/tui", "console/verify")) + ":" + os.environ["PATH"]
    os.environ["SALLYPORT_LIBEXEC"] = os.path.join(args.build, "libexec")
    b = Bench(args)
    try:
        wanted = [r for r in rows.ROWS if not args.names or r[0] in args.names]
        b.open(wanted)
        b.run(wanted)
        report.table(b.figures)
        if args.json:
            with open(args.json, "w") as f:
                json.dump(b.document(), f, indent=1, ensure_ascii=False)
        if args.svg:
            with open(args.svg, "w") as f:
                f.write(plot.picture(b.document()))
        if b.failed:
            sys.exit("bench: these rows failed: " + ", ".join(sorted(set(b.failed))))
    finally:
        b.close()


if __name__ == "__main__":
    main()
