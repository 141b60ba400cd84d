"""The measurements, one function each, and the table of them. A figure has one name; report.py knows which goals it serves."""
import json
import os
import resource
import shutil
import socket
import subprocess
import time

import rig

CARD = '{"card":{"number":"{{pan}}","exp_month":12,"exp_year":2031}}'
SHIM = os.path.join(rig.HERE, os.pardir, "attack", "p11_shim.c")


def keep_load(b, name, r, cpu=True):
    if not r["good"]:
        raise RuntimeError(f"{name}: nothing was answered well")
    b.keep(f"{name} /s", r["rate"])
    b.keep(f"{name} p50 ms", r["p50"])
    b.keep(f"{name} p99 ms", r["p99"])
    b.keep(f"{name} p99.9 ms", r["p999"])
    if cpu:
        b.keep(f"{name} µs CPU", r["cpu"])
    if r["bad"]:
        b.keep(f"{name} not 2xx", r["bad"])
    rig.say(f"   {name}: {r['rate']:.0f}/s  p50 {r['p50']:.2f}  p99 {r['p99']:.2f} ms" + (f"  {r['cpu']:.0f} µs CPU" if cpu else "")
            + (f"  NOT 2xx {r['bad']}" if r["bad"] else ""))
    return r


# ── what the machine and others can do ──

def sqlbench(b, name, *extra):
    r = subprocess.run([b.tool("sqlbench"), "--db", os.path.join(b.work, "sql.db"), "--seconds", str(b.args.seconds), "--group", "32", *extra],
                       capture_output=True, text=True)
    s = json.loads(r.stdout)
    b.keep(f"{name} /s", s["payments_per_s"])
    b.keep(f"{name} µs CPU", s["cpu_us_per_payment"])


def ceilings(b):
    b.keep("one fdatasync ms", 1000 / rig.fdatasync_rate(b.work))
    sqlbench(b, "sqlbench, three rows")
    sqlbench(b, "sqlbench, lean schema", "--schema", "lean", "--hmac", "HMAC_SHA256", "--autockpt", "8000")


def nginx(b):
    if b.nginx:
        b.keep("nginx static /s", b.nginx("/")["rate"])
        r = b.nginx("/", conns=8, new=True)
        b.keep("nginx full handshakes /s", r["rate"])
        b.keep("nginx full handshakes µs CPU", r["cpu"])


def postgres(b):
    b.peers.sql("conf/payments.sql")
    for name, file in (("PostgreSQL, three INSERTs", "pay3.pgbench"), ("PostgreSQL, one statement", "pay1.pgbench")):
        b.keep(f"{name} /s", b.peers.pgbench(file, b.args.seconds))


def peers(b):
    for p in b.peers.all:
        keep_load(b, f"{p.name}, 64 connections", p.pay())
        b.keep(f"{p.name}, memory MiB", rig.pss_mib([q for _, q in p.processes()]) + (b.peers.postgres_pss() if p.databases else 0))
    out = subprocess.run([b.tool("rotbench"), "--db", os.path.join(b.work, "rot.db"), "--seconds", str(b.args.seconds), "--cards", "50000"],
                         capture_output=True, text=True).stdout
    r = json.loads(out.strip().splitlines()[-1])
    b.keep("card-insert bench /s", r["tokens_per_s"])
    b.keep("re-encryption bench /s", r["rotated_per_s"])


# ── ours ──

def authorize(b):
    r = keep_load(b, "authorize, 64 connections", b.main.authorize())
    for name, us in r["by"].items():
        b.keep(f"CPU of {name.split('/')[0]} per authorization µs", sum(v for n, v in r["by"].items() if n.split("/")[0] == name.split("/")[0]))
    keep_load(b, "authorize, alone", b.main.authorize(conns=1), cpu=False)
    keep_load(b, "authorize, asynchronous", b.main.authorize(path="/v1/payments?mode=async"))
    b.keep("memory after load MiB", b.main.pss())


def open_loop(b):
    most = b.median("authorize, 64 connections /s") or b.main.authorize()["rate"]
    keep_load(b, "open loop at half of our maximum", b.main.authorize(rate=most / 2), cpu=False)
    if not b.peers:
        return
    best = max(b.peers.all, key=lambda p: b.median(f"{p.name}, 64 connections /s") or 0)
    half = (b.median(f"{best.name}, 64 connections /s") or 2 * best.pay()["rate"]) / 2
    keep_load(b, "open loop at half of the best peer's, the peer", best.pay(rate=half), cpu=False)
    keep_load(b, "open loop at half of the best peer's, ours", b.main.authorize(rate=half), cpu=False)


def reads(b):
    keep_load(b, "livez", b.main.load("/livez"))
    keep_load(b, "payment read", b.main.load(f"/v1/payments/{b.payment}"))
    keep_load(b, "tokenize", b.main.load("/v1/tokens", method="POST", body=CARD))


def handshakes(b):
    keep_load(b, "full handshakes", b.main.load("/livez", conns=8, new=True))


def disturbance(b):
    """Others' p99 at half load, without and with a hundred new connections a second beside them."""
    half = (b.median("authorize, 64 connections /s") or b.main.authorize()["rate"]) / 2
    calm = b.main.authorize(rate=half)
    newcomers = subprocess.Popen(b.main.load.command("/livez", conns=16, rate=100, new=True, seconds=b.args.seconds + 2), stdout=subprocess.DEVNULL)
    stormy = b.main.authorize(rate=half)
    newcomers.wait()
    if not calm["good"] or not stormy["good"]:
        raise RuntimeError("nothing was answered")
    b.keep("p99 at half load ms", calm["p99"])
    b.keep("p99 at half load with 100 new handshakes/s ms", stormy["p99"])
    rig.say(f"   p99 {calm['p99']:.2f} ms, with 100 handshakes/s {stormy['p99']:.2f} ms")


def replay(b):
    """A thousand keys whose answer is there already, asked again and again; beside it fresh ones."""
    how = {"method": "POST", "body": b.main.body, "headers": ["Idempotency-Key: again-%d-{{n}}" % b.round], "idempotent": False}
    b.main.load("/v1/payments", requests=1000, warmup=0, conns=16, **how)
    how["headers"] = ["Idempotency-Key: again-%d-{{i}}" % b.round]
    r = subprocess.run(b.main.load.command("/v1/payments", **how) + ["--range", "0:999", "-P", ",".join(str(p) for _, p in b.main.processes())],
                       capture_output=True, text=True)
    j = json.loads(r.stdout)
    b.keep("replayed keys /s", j["rps"])
    b.keep("replayed keys µs CPU", j["server_us_per_req"])
    b.keep("fresh keys beside them /s", b.main.authorize()["rate"])
    rig.say(f"   replayed {j['rps']:.0f}/s, {j['server_us_per_req']:.0f} µs CPU, not 2xx {j['non2xx']}")


def refusal_ms(a):
    """From connecting to a server that is full until it closes the line."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", a.port), 5) as s:
        try:
            closed = not s.recv(1)
        except ConnectionError:
            closed = True
    return (time.monotonic() - began) * 1000 if closed else None


def overload(b):
    """Many times the clients that keep us busy, all waiting; then twice as many clients as connections may be open."""
    most = b.main.authorize()
    many = b.main.authorize(conns=1000, warmup=10)  # the handshakes take seconds
    a = b.appliance("full", ["gate.connections = 64"])
    alone, refusals = a.authorize(conns=128, warmup=2), []
    command = a.load.command("/v1/payments", method="POST", body=a.body, conns=256, warmup=2)
    crowd = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    time.sleep(2)
    while crowd.poll() is None:
        try:
            refusals.append(refusal_ms(a))
        except OSError:
            pass
        time.sleep(0.02)
    j = json.loads(crowd.stdout.read().strip().splitlines()[-1])
    refusals = sorted(r for r in refusals if r is not None)
    if not many["good"] or not j["ok2xx"] or not refusals:
        raise RuntimeError("nothing was answered, or nothing refused")
    b.keep("goodput of 1000 clients / of 64", many["good"] / most["good"])
    b.keep("1000 clients p99 ms", many["p99"])
    b.keep("goodput with twice the clients that may connect / without", j["ok2xx"] / j["secs"] / alone["good"])
    b.keep("a refused connection p50 ms", refusals[len(refusals) // 2])
    b.keep("a refused connection p99 ms", refusals[len(refusals) * 99 // 100])
    rig.say(f"   1000 clients: {many['good']:.0f}/s of {most['good']:.0f}, p99 {many['p99']:.0f} ms, not 2xx {many['bad']}; 256 clients of 128: "
            f"{j['ok2xx'] / j['secs']:.0f}/s of {alone['good']:.0f}, {len(refusals)} refusals seen, p99 {refusals[len(refusals) * 99 // 100]:.2f} ms")


def hsm(b):
    """The same module, and each of its calls 5 ms later."""
    shim = os.path.join(b.work, "p11_shim.so")
    if not os.path.exists(shim):
        flags = subprocess.run(["pkg-config", "--cflags", "p11-kit-1"], capture_output=True, text=True).stdout.split()
        subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", *flags, "-o", shim, SHIM, "-ldl"], check=True)
        os.chmod(shim, 0o644)
    a = b.appliance("shim", [f"hsm.module = {shim}"])
    control = os.path.join(a.dir, "hsm", "p11_shim.control")
    for name, line in (("HSM as it is", ""), ("HSM 5 ms later", "1 0 slow 5")):
        with open(control, "w") as f:
            f.write(line)
        os.chmod(control, 0o644)
        keep_load(b, f"authorize, {name}", a.authorize(), cpu=False)
    os.unlink(control)


def gates(b):
    for n in (1, 2, 3):
        a = b.main if n == 2 else b.appliance(f"gates-{n}", [f"gate.processes = {n}"])
        keep_load(b, f"authorize, gates {n}", a.authorize())
        keep_load(b, f"livez, gates {n}", a.load("/livez"))


# ── the size of the store ──

def growth(b):
    """CPU of the store per payment with so many in it; made once in --stores, each round adds a little."""
    make = os.path.join(b.args.build, "tests", "bench", "store_bench")
    for n in b.args.sizes:
        db = os.path.join(b.stores(), f"store-{n}.db")
        if not os.path.exists(db):
            rig.say(f"   filling {db}")
        r = subprocess.run([make, "--db", db, "--keep", "--preload", str(n), "--group", "32", "--seconds", str(b.args.seconds)],
                           capture_output=True, text=True, check=True)
        s = json.loads(r.stdout)
        b.keep(f"store with {n} payments µs CPU", s["cpu_us_per_payment"])
        b.keep(f"store with {n} payments /s", s["payments_per_s"])
        rig.say(f"   {s['stored']} stored: {s['cpu_us_per_payment']:.0f} µs CPU, {s['payments_per_s']:.0f}/s")


def filled(b, payments):
    """An appliance whose ledger holds so many payments, put there by its own store's code in the ledger's place."""
    directory = os.path.join(b.stores(), f"appliance-{payments}")
    whole = os.path.join(directory, "run", "filled")
    if os.path.exists(directory) and not os.path.exists(whole):
        shutil.rmtree(directory)
    a = rig.Appliance(b, directory)
    b.started.append(a)
    if os.path.exists(whole):
        return a
    rig.say(f"   filling {directory}")
    with open(os.path.join(directory, "ledger", "fill"), "w") as f:
        f.write(str(payments))
    a.libexec = os.path.join(b.work, "libexec-fill")
    shutil.copytree(os.path.join(b.args.build, "libexec"), a.libexec)
    os.unlink(os.path.join(a.libexec, "ledger"))
    shutil.copy(os.path.join(b.args.build, "tests", "bench", "ledger_fill"), os.path.join(a.libexec, "ledger"))
    a.spawn()
    log = os.path.join(directory, "run", "log")
    while a.daemon.poll() is None and '"filled"' not in open(log, errors="replace").read():
        time.sleep(0.5)
    a.stop()
    if '"filled"' not in open(log, errors="replace").read():
        raise RuntimeError(f"the store was not filled: see {log}")
    os.unlink(os.path.join(directory, "ledger", "fill"))
    a.libexec = None
    open(whole, "w").close()
    return a


def first_authorization(b, a, name):
    """From the start of the daemon to the first 201, by a client that asks again and again."""
    context = a.context()
    a.start()
    a.token()
    for _ in range(3):
        a.stop()
        key = f"first-{time.time_ns()}"
        began = time.monotonic()
        a.spawn()
        rig.wait_answer(lambda: a.ask(context, "/v1/payments", a.body, key)[0] == 201)
        b.keep(name, (time.monotonic() - began) * 1000)
        a.daemon.stdout.readline()


def start(b):
    first_authorization(b, b.appliance("start", running=False), "start to first authorization, empty ms")
    a = filled(b, b.args.payments)
    first_authorization(b, a, f"start to first authorization, {b.args.payments} stored ms")
    keep_load(b, f"authorize, {b.args.payments} stored", a.authorize())
    b.keep(f"memory with {b.args.payments} stored MiB", a.pss())
    a.stop()


# ── memory ──

def idle(b):
    """PSS of all processes with a thousand connections that do nothing; one request went over each."""
    n, a = 1000, b.appliance("idle")
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, max(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    context = a.context()
    first = [a.connect(context) for _ in range(16)]  # what is made once, at the first connection, is not an idle one's
    before = a.pss()
    lines = []
    for _ in range(n):
        s = a.connect(context)
        s.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        s.recv(4096)
        lines.append(s)
    b.keep("memory per idle connection KiB", (a.pss() - before) * 1024 / n)
    for s in lines + first:
        s.close()


def flat(b):
    """Memory while a million requests go by: reads between authorizations."""
    a, seen = b.appliance("flat"), []
    payment, parts = payment_of(a), 10
    reads_, pays = int(b.args.flat * 0.7 / parts), int(b.args.flat * 0.3 / parts)
    for part in range(1, parts + 1):
        a.load(f"/v1/payments/{payment}", requests=reads_, warmup=0, seconds=300)
        a.authorize(requests=pays, warmup=0, seconds=300)
        seen.append((part * (reads_ + pays), a.pss()))
        rig.say(f"   {seen[-1][0]} requests: {seen[-1][1]:.1f} MiB")
    b.series["memory over requests"] = seen
    b.keep("requests of the memory run", seen[-1][0])
    b.keep("memory after three tenths of them MiB", seen[2][1])
    b.keep("memory after all of them MiB", seen[-1][1])


# ── the rest ──

def curve(b):
    """Latency over the offered load, ours and the best peer's."""
    sides = [("ours", b.main.authorize, b.median("authorize, 64 connections /s") or b.main.authorize()["rate"])]
    if b.peers:
        best = max(b.peers.all, key=lambda p: b.median(f"{p.name}, 64 connections /s") or 0)
        sides.append((best.name, best.pay, b.median(f"{best.name}, 64 connections /s") or best.pay()["rate"]))
    for name, load, most in sides:
        points = []
        for share in (0.1, 0.25, 0.5, 0.7, 0.85, 0.95):
            r = load(rate=most * share)
            points.append({"offered": most * share, "rate": r["rate"], "p50": r["p50"], "p99": r["p99"]})
            rig.say(f"   {name} at {most * share:.0f}/s: p50 {r['p50']:.2f}  p99 {r['p99']:.2f} ms")
        b.series[f"latency over offered load, {name}"] = points


def payment_of(a):
    r = subprocess.run(["sallyport", "--dir", a.dir, "--json", "demo"], capture_output=True, text=True)
    return json.loads(r.stdout)["payment"]


def audit(b):
    """The whole log of this run goes out and is checked, as an auditor would; and a synthetic log of a million records."""
    tar = os.path.join(b.work, "log.tar")
    time.sleep(2)  # the last checkpoint covers all by then: waiting for it is not the export's work
    began = time.monotonic()
    r = subprocess.run(["sallyport", "--dir", b.main.dir, "--json", "audit", "export", "--output", tar], capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    out = json.loads(r.stdout)
    records = out["vault"]["records"] + out["ledger"]["records"]
    b.keep("audit export, records /s", records / took)
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


# name, what it measures, its function, once (or in each round), whether it needs the peers
ROWS = [
    ("ceilings", "fdatasync, sqlbench plain and lean", ceilings, False, False),
    ("nginx", "static answers and handshakes of nginx", nginx, False, False),
    ("postgres", "PostgreSQL 15: three INSERTs, one statement", postgres, False, True),
    ("peers", "Fastify + pg, Fastify + better-sqlite3, FastAPI + asyncpg; the card bench", peers, False, True),
    ("authorize", "finished authorizations at 64 connections and alone, asynchronous; CPU by process", authorize, False, False),
    ("reads", "livez, payment reads, tokenize", reads, False, False),
    ("open-loop", "latency at half of our maximum, and at half of the best peer's", open_loop, False, False),
    ("handshakes", "full handshakes", handshakes, False, False),
    ("disturbance", "others' p99 while 100 connections a second are new", disturbance, False, False),
    ("replay", "replayed keys beside fresh ones", replay, False, False),
    ("overload", "goodput of a thousand clients, and of twice those that may connect; how fast a refusal is", overload, True, False),
    ("hsm", "authorizations while each call of the HSM takes 5 ms longer", hsm, False, False),
    ("gates", "one, two, three gates", gates, False, False),
    ("growth", "CPU of the store over its size", growth, False, False),
    ("start", "start to first authorization, empty and full", start, True, False),
    ("idle", "memory per idle connection", idle, True, False),
    ("flat", "memory over a million requests", flat, True, False),
    ("curve", "latency over offered load", curve, True, False),
    ("audit", "export and offline verification", audit, True, False),
]
