#!/usr/bin/env python3
"""The figures of Sallyport, beside the machine's own ceilings, in one interleaved run.

usage: tests/bench/run.py BUILD [--rounds N] [--seconds S] [--only NAME,…] [--out FILE.jsonl]

Each round measures every line once, in turn, so that ratios hold when the machine's speed drifts; the table shows medians.
CPU per operation is of all processes of the appliance. Ceilings: fdatasync of 4 KiB, sqlbench (three rows per payment into
the same SQLCipher, groups of 32), nginx with client certificates where it is installed (apt-get install nginx-light).
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CARD = '{"card":{"number":"{{pan}}","exp_month":12,"exp_year":2031}}'


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def build_tools(build):
    tools = os.path.join(build, "bench")
    os.makedirs(tools, exist_ok=True)
    for name, libs in (
        ("mtlsload", ["-lssl", "-lcrypto", "-lpthread"]),
        ("sqlbench", ["-DSQLITE_HAS_CODEC", "-I/usr/include/sqlcipher", "-l:libsqlcipher.a", "-lcrypto", "-lm", "-lpthread"]),
    ):
        out = os.path.join(tools, name)
        source = os.path.join(HERE, name + ".c")
        if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(source):
            subprocess.run(["cc", "-O2", "-w", "-o", out, source] + libs, check=True)
    return tools


class Appliance:
    def __init__(self, work, name="a", conf=()):
        self.dir, self.port = os.path.join(work, name), free_port()
        subprocess.run(
            ["sallyport", "--dir", self.dir, "init", "--software-hsm", "--yes", "--listen", f"127.0.0.1:{self.port}"],
            check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(self.dir, "sallyport.conf.d", "bench.conf"), "w") as f:
            f.write("gate.connections_per_ip = 4096\nvault.redeem_ceiling = 100000000\n" + "".join(c + "\n" for c in conf))
        self.daemon = None

    def start(self):
        began = time.monotonic()
        self.log = open(os.path.join(self.dir, "run", "log"), "ab")
        self.daemon = subprocess.Popen(["sallyportd", "--dir", self.dir], stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.daemon.stdout.readline()
        if not line.startswith("ready"):
            sys.exit(f"the appliance did not start: {line}")
        return time.monotonic() - began

    def stop(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(20)
            self.daemon = None

    def status(self):
        return json.loads(subprocess.run(["sallyport", "--dir", self.dir, "--json", "status"], capture_output=True, text=True).stdout)

    def pids(self):
        return [p["pid"] for p in self.status()["processes"]] + [self.daemon.pid]

    def pss_mib(self):
        total = 0
        for pid in set(self.pids()):
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        return total / 1024

    def certs(self):
        d = self.dir
        return ["-E", f"{d}/clients/demo.crt", "-K", f"{d}/clients/demo.key", "-C", f"{d}/ca.crt", "-p", str(self.port)]


class Bench:
    def __init__(self, args):
        self.args = args
        self.tools = build_tools(args.build)
        self.work = tempfile.mkdtemp(prefix="sp-bench.")
        os.chmod(self.work, 0o755)
        self.figures = {}
        self.out = open(args.out, "a") if args.out else None

    def keep(self, name, value):
        self.figures.setdefault(name, []).append(value)
        if self.out:
            print(json.dumps({"name": name, "value": value}), file=self.out, flush=True)

    def load(self, target, extra, seconds=None, pids=None):
        cmd = [os.path.join(self.tools, "mtlsload"), *target, "-j", "-w", "1", "-d", str(seconds or self.args.seconds), *extra]
        if pids:
            cmd += ["-P", ",".join(map(str, pids))]
        r = subprocess.run(cmd, capture_output=True, text=True)
        try:
            return json.loads(r.stdout.strip().splitlines()[-1])
        except (IndexError, ValueError):
            sys.exit(f"load failed: {' '.join(cmd)}\n{r.stdout}{r.stderr}")

    def say(self, text):
        print(text, file=sys.stderr, flush=True)


def fdatasync_rate(work, seconds=1.0):
    fd = os.open(os.path.join(work, "sync"), os.O_WRONLY | os.O_CREAT)
    block, n, end = b"x" * 4096, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        os.pwrite(fd, block, n % 1024 * 4096)
        os.fdatasync(fd)
        n += 1
    os.close(fd)
    return n / seconds


def nginx_start(b):
    exe = shutil.which("nginx") or (os.path.exists("/usr/sbin/nginx") and "/usr/sbin/nginx")
    if not exe:
        return None
    a, port, n = b.appliance, free_port(), os.path.join(b.work, "nginx")
    os.makedirs(n)
    body = '{"id":"pay_01","object":"payment","status":"authorized","pad":"' + "x" * 240 + '"}'
    with open(os.path.join(n, "conf"), "w") as f:
        f.write(f"""daemon off; user root; worker_processes 2; pid {n}/pid; error_log {n}/error.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 600s; ssl_protocols TLSv1.3; ssl_session_tickets off;
client_body_temp_path {n}/b; proxy_temp_path {n}/p; fastcgi_temp_path {n}/f; uwsgi_temp_path {n}/u; scgi_temp_path {n}/s;
ssl_certificate {a.dir}/tls/server.crt; ssl_certificate_key {a.dir}/tls/server.key;
server {{ listen 127.0.0.1:{port} ssl backlog=4096; ssl_client_certificate {a.dir}/ca.crt; ssl_verify_client on;
location / {{ default_type application/json; return 200 '{body}'; }} }} }}
""")
    p = subprocess.Popen([exe, "-c", os.path.join(n, "conf")], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    return p, port


def one_token(b):
    r = subprocess.run(
        ["curl", "-sS", "--cacert", f"{b.appliance.dir}/ca.crt", "--cert", f"{b.appliance.dir}/clients/demo.crt", "--key",
         f"{b.appliance.dir}/clients/demo.key", "-H", "Idempotency-Key: bench-token", "-H", "Content-Type: application/json", "--data-binary", "@-",
         f"https://127.0.0.1:{b.appliance.port}/v1/tokens"],
        input='{"card":{"number":"4242424242424242","exp_month":12,"exp_year":2031}}', capture_output=True, text=True)
    return json.loads(r.stdout)["id"]


def round_(b, n):
    a, c = b.appliance, b.appliance.certs()
    pids = a.pids()
    pay = '{"amount":4999,"currency":"EUR","token":"%s","capture_method":"manual"}' % b.token
    key = ["-A", "Idempotency-Key: {{uuid}}", "-A", "Content-Type: application/json"]

    def line(name, extra, cpu=True):
        if b.args.only and not any(o in name for o in b.args.only):
            return None
        r = b.load(c, extra, pids=pids if cpu else None)
        b.keep(name + " /s", r["rate"])
        b.keep(name + " p50 ms", r["p50"])
        b.keep(name + " p99 ms", r["p99"])
        if cpu:
            b.keep(name + " µs CPU", r["cpu_us"])
        if r.get("bad"):
            b.keep(name + " not 2xx", r["bad"])
        b.say(f"   {name}: {r['rate']:.0f}/s  p50 {r['p50']:.2f}  p99 {r['p99']:.2f} ms" + (f"  {r['cpu_us']:.0f} µs CPU" if cpu else ""))
        return r

    b.say(f"── round {n + 1} of {b.args.rounds}")
    b.keep("fdatasync 4 KiB /s", fdatasync_rate(b.work))
    if not b.args.only:
        r = subprocess.run([os.path.join(b.tools, "sqlbench"), "--db", os.path.join(b.work, "sql.db"), "--seconds", str(b.args.seconds), "--group", "32"],
                           capture_output=True, text=True)
        s = json.loads(r.stdout)
        b.keep("sqlbench group 32 /s", s["payments_per_s"])
        b.keep("sqlbench group 32 µs CPU", s["cpu_us_per_payment"])
    if b.nginx and not b.args.only:
        r = b.load(c[:-1] + [str(b.nginx[1])], ["-c", "64", "-u", "/"])
        b.keep("nginx static, 64 connections /s", r["rate"])
        r = b.load(c[:-1] + [str(b.nginx[1])], ["-c", "8", "-N", "--rst", "-u", "/"])
        b.keep("nginx full handshakes /s", r["rate"])
    line("livez, 64 connections", ["-c", "64", "-u", "/livez"])
    line("payment read, 64 connections", ["-c", "64", "-u", f"/v1/payments/{b.payment}"])
    line("tokenize, 64 connections", ["-c", "64", "-u", "/v1/tokens", "-m", "POST", "-b", CARD, *key])
    full = line("authorize, 64 connections", ["-c", "64", "-u", "/v1/payments", "-m", "POST", "-b", pay, *key])
    line("authorize, alone", ["-c", "1", "-u", "/v1/payments", "-m", "POST", "-b", pay, *key], cpu=False)
    if full:
        line("authorize, open loop at half", ["-c", "64", "-r", str(int(full["rate"] / 2)), "-u", "/v1/payments", "-m", "POST", "-b", pay, *key], cpu=False)
    line("authorize async, 64 connections", ["-c", "64", "-u", "/v1/payments?mode=async", "-m", "POST", "-b", pay, *key])
    line("full handshakes, 8 at once", ["-c", "8", "-N", "--rst", "-u", "/livez"])
    b.keep("memory of all processes, PSS MiB", a.pss_mib())


def audit(b):
    """The whole log of this run goes out and is checked, as an auditor would; and a synthetic log of a million records."""
    if b.args.only and not any("audit" in o for o in b.args.only):
        return
    tar = os.path.join(b.work, "log.tar")
    time.sleep(2)  # the last checkpoint covers all by then: waiting for it is not the export's work
    began = time.monotonic()
    r = subprocess.run(["sallyport", "--dir", b.appliance.dir, "--json", "audit", "export", "--output", tar], capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    out = json.loads(r.stdout)
    records = out["vault"]["records"] + out["ledger"]["records"]
    b.keep("audit export, records /s", records / took)
    b.say(f"   audit: {records} records exported in {took:.1f} s")
    began = time.monotonic()
    subprocess.run(["sallyport-verify", tar], check=True, stdout=subprocess.DEVNULL)
    b.keep("audit verify, records /s", records / (time.monotonic() - began))
    os.unlink(tar)
    make = os.path.join(b.args.build, "tests", "unit", "audit", "audit_make")
    if os.path.exists(make):
        keys = os.path.join(b.work, "keys")
        os.makedirs(keys, exist_ok=True)
        subprocess.run([make, tar, keys, "500000", "500000"], check=True)
        began = time.monotonic()
        subprocess.run(["sallyport-verify", "--keys", keys, tar], check=True, stdout=subprocess.DEVNULL)
        b.keep("audit verify, 1 M records s", time.monotonic() - began)
        os.unlink(tar)


def normal(r):
    """The load generator's JSON under the names used here."""
    return {"rate": r["rps"], "p50": r["p50_ms"], "p99": r["p99_ms"], "p999": r["p999_ms"],
            "cpu_us": r.get("server_us_per_req", 0.0), "bad": r["non2xx"] + r["errors"]}


def table(b):
    f = {k: statistics.median(v) for k, v in b.figures.items()}
    width = max(len(k) for k in f) + 2
    print(f"\n{'figure':<{width}} {'median':>12} {'least':>12} {'most':>12}")
    for k, v in b.figures.items():
        print(f"{k:<{width}} {f[k]:>12.2f} {min(v):>12.2f} {max(v):>12.2f}")
    def ratio(text, a, c, goal):
        if f.get(a) and f.get(c):
            print(f"  {text:<60} {f[a] / f[c]:>8.2f} ×   goal {goal}")
    print("\nratios")
    ratio("finished authorizations / sqlbench group 32", "authorize, 64 connections /s", "sqlbench group 32 /s", "≥ 0.5 of the lean store")
    ratio("payment reads / nginx static", "payment read, 64 connections /s", "nginx static, 64 connections /s", "≥ 0.5")
    ratio("tokenize / nginx static", "tokenize, 64 connections /s", "nginx static, 64 connections /s", "≥ 0.15")
    ratio("full handshakes / nginx", "full handshakes, 8 at once /s", "nginx full handshakes /s", "≥ 0.45 with P-256")
    ratio("authorize alone p50 × fdatasync rate / 1000", "authorize, alone p50 ms", "one fdatasync ms", "≤ 3 + 0.5 ms")
    print(f"  {'CPU of all processes per authorization, µs':<60} {f.get('authorize, 64 connections µs CPU', 0):>8.0f}     goal ≤ 100")
    if "audit verify, 1 M records s" in f:
        print(f"  {'export of 1 M audit records, s (extrapolated)':<60} {1e6 / f['audit export, records /s']:>8.1f}     goal ≤ 30")
        print(f"  {'offline verification of 1 M audit records, s':<60} {f['audit verify, 1 M records s']:>8.1f}     goal ≤ 10")
    print(f"  {'memory, MiB':<60} {f.get('memory of all processes, PSS MiB', 0):>8.1f}     goal ≤ 48")
    print(f"  {'start to ready, ms':<60} {f.get('start to ready ms', 0):>8.0f}     goal ≤ 100")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=4)
    p.add_argument("--only", type=lambda s: s.split(","), default=[])
    p.add_argument("--out")
    args = p.parse_args()
    args.build = os.path.abspath(args.build)
    os.environ["PATH"] = ":".join(os.path.join(args.build, d) for d in ("daemon/monitor", "console/ctl", "console/tui", "console/verify")) + ":" + os.environ["PATH"]
    os.environ["SALLYPORT_LIBEXEC"] = os.path.join(args.build, "libexec")
    b = Bench(args)
    raw = b.load
    b.load = lambda *x, **y: normal(raw(*x, **y))
    b.nginx = None
    b.appliance = Appliance(b.work)
    try:
        b.keep("start to ready ms", b.appliance.start() * 1000)
        b.keep("memory idle, PSS MiB", b.appliance.pss_mib())
        b.token = one_token(b)
        r = subprocess.run(["sallyport", "--dir", b.appliance.dir, "--json", "demo"], capture_output=True, text=True)
        b.payment = json.loads(r.stdout)["payment"]
        b.nginx = nginx_start(b)
        for n in range(args.rounds):
            round_(b, n)
            b.keep("one fdatasync ms", 1000 / b.figures["fdatasync 4 KiB /s"][-1])
        b.appliance.stop()
        b.keep("start to ready ms", b.appliance.start() * 1000)
        audit(b)
        table(b)
    finally:
        if b.nginx:
            b.nginx[0].terminate()
        b.appliance.stop()
        shutil.rmtree(b.work, ignore_errors=True)


main()
