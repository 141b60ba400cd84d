"""What the measurements stand on: appliances, load, the machine's own ceilings and the peers, each started once."""
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf("SC_CLK_TCK")
LIBS = {
    "mtlsload": ["-lssl", "-lcrypto", "-lpthread"],
    "sqlbench": ["-DSQLITE_HAS_CODEC", "-I/usr/include/sqlcipher", "-l:libsqlcipher.a", "-lcrypto", "-lm", "-lpthread"],
    "rotbench": ["-DSQLITE_HAS_CODEC", "-I/usr/include/sqlcipher", "-lsodium", "-l:libsqlcipher.a", "-lcrypto", "-lm", "-lpthread"],
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def say(text):
    print(text, file=sys.stderr, flush=True)


def compile_tool(build, source):
    """The load tools are no part of the build: they are compiled when they are needed."""
    name = os.path.basename(source)[:-2]
    out = os.path.join(build, "bench", name)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(source):
        subprocess.run(["cc", "-O2", "-w", "-o", out, source] + LIBS[name], check=True)
    return out


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            words = f.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / TICK
    except OSError:
        return 0.0


def pss_mib(pids):
    total = 0
    for pid in set(pids):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        except OSError:
            pass
    return total / 1024


def children(pid):
    """A process and all that it started."""
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid] + [q for c in out for q in children(int(c))]


def fdatasync_rate(directory, seconds=0.5):
    fd = os.open(os.path.join(directory, "sync"), os.O_WRONLY | os.O_CREAT)
    block, n, end = b"x" * 4096, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        os.pwrite(fd, block, n % 1024 * 4096)
        os.fdatasync(fd)
        n += 1
    os.close(fd)
    return n / seconds


class Load:
    """mtlsload against one server: who we are, where it is, whose CPU is counted."""

    def __init__(self, tool, port, cert, key, ca, processes, seconds, sni=None):
        self.tool, self.port, self.processes, self.seconds = tool, port, processes, seconds
        self.target = ["-E", cert, "-K", key, "-C", ca, "-p", str(port)] + (["--sni", sni] if sni else [])

    def command(self, path, conns=64, method="GET", body=None, rate=None, seconds=None, requests=None, warmup=0.5, new=False, headers=(),
                idempotent=True):
        cmd = [self.tool, *self.target, "-j", "-w", str(warmup), "-d", str(seconds or self.seconds), "-c", str(conns), "-u", path, "-m", method]
        for h in headers:
            cmd += ["-A", h]
        if body is not None:
            cmd += ["-b", body, "-A", "Content-Type: application/json"] + (["-A", "Idempotency-Key: {{uuid}}"] if idempotent else [])
        if rate:
            cmd += ["-r", str(max(1, int(rate)))]
        if requests:
            cmd += ["-n", str(requests)]
        if new:
            cmd += ["-N", "--rst"]
        return cmd

    def __call__(self, path, **how):
        processes = self.processes()
        before = {n: cpu_seconds(p) for n, p in processes}
        cmd = self.command(path, **how) + (["-P", ",".join({str(p) for _, p in processes})] if processes else [])
        r = subprocess.run(cmd, capture_output=True, text=True)
        try:
            j = json.loads(r.stdout.strip().splitlines()[-1])
        except (IndexError, ValueError):
            raise RuntimeError(f"load failed: {' '.join(cmd)}\n{r.stdout}{r.stderr}")
        used = {n: cpu_seconds(p) - before[n] for n, p in processes}
        all_used = sum(used.values())
        return {"rate": j["rps"], "good": j["ok2xx"] / j["secs"] if j["secs"] else 0.0, "p50": j["p50_ms"], "p99": j["p99_ms"], "p999": j["p999_ms"],
                "cpu": j["server_us_per_req"], "bad": j["non2xx"] + j["errors"], "errors": j["errors"], "status": j["status"],
                # shares of the whole load, warm-up too: a tick is 10 ms, and the more of them the better
                "by": {n: j["server_us_per_req"] * u / all_used for n, u in used.items()} if all_used else {}}


class Appliance:
    def __init__(self, b, directory, conf=()):
        self.b, self.dir, self.daemon, self.libexec = b, directory, None, None
        self.port = free_port()
        if not os.path.exists(os.path.join(directory, "ca.crt")):
            subprocess.run(["sallyport", "--dir", directory, "init", "--software-hsm", "--yes", "--listen", f"127.0.0.1:{self.port}"],
                           check=True, stdout=subprocess.DEVNULL)
        self.set("listen", f"127.0.0.1:{self.port}")
        with open(os.path.join(directory, "sallyport.conf.d", "bench.conf"), "w") as f:
            # who limits the connections means those of one address too
            per_ip = "" if any(c.startswith("gate.connections") for c in conf) else "gate.connections_per_ip = 4096\n"
            f.write(per_ip + "vault.redeem_ceiling = 100000000\n" + "".join(c + "\n" for c in conf))
        self.load = Load(b.mtlsload, self.port, f"{directory}/clients/demo.crt", f"{directory}/clients/demo.key", f"{directory}/ca.crt",
                         self.processes, b.args.seconds)

    def set(self, name, value):
        path = os.path.join(self.dir, "sallyport.conf")
        with open(path) as f:
            text = f.read()
        text, n = re.subn(rf"^#? *{re.escape(name)} *=.*$", f"{name} = {value}", text, count=1, flags=re.M)
        with open(path, "w") as f:
            f.write(text if n else f"{text}\n{name} = {value}\n")

    def spawn(self):
        log = open(os.path.join(self.dir, "run", "log"), "ab")
        env = dict(os.environ, SALLYPORT_LIBEXEC=self.libexec) if self.libexec else None
        self.daemon = subprocess.Popen(["sallyportd", "--dir", self.dir], stdout=subprocess.PIPE, stderr=log, text=True, env=env)
        self.known = None

    def start(self):
        began = time.monotonic()
        self.spawn()
        line = self.daemon.stdout.readline()
        if not line.startswith("ready"):
            raise RuntimeError(f"the appliance did not start: {line}")
        return time.monotonic() - began

    def stop(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(30)
            self.daemon = None

    def status(self):
        return json.loads(subprocess.run(["sallyport", "--dir", self.dir, "--json", "status"], capture_output=True, text=True).stdout)

    def processes(self):
        """(name, pid) of all, gates with their number."""
        if not self.known:
            self.known = [(f"gate/{p['index']}" if p["process"] == "gate" else p["process"], p["pid"]) for p in self.status()["processes"]]
        return self.known

    def pss(self):
        return pss_mib([pid for _, pid in self.processes()])

    def context(self):
        c = ssl.create_default_context(cafile=f"{self.dir}/ca.crt")
        c.load_cert_chain(f"{self.dir}/clients/demo.crt", f"{self.dir}/clients/demo.key")
        return c

    def connect(self, context):
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 5), server_hostname="127.0.0.1")

    def ask(self, context, path, body, key):
        """One request on a connection of its own; its status and object."""
        with self.connect(context) as s:
            head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nIdempotency-Key: {key}\r\n"
            s.sendall(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        head, _, text = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(text)

    def token(self):
        status, token = self.ask(self.context(), "/v1/tokens", '{"card":{"number":"4242424242424242","exp_month":12,"exp_year":2031}}', f"t{time.time_ns()}")
        if status not in (200, 201):
            raise RuntimeError(f"no token: {status}")
        self.body = '{"amount":4999,"currency":"EUR","token":"%s","capture_method":"manual"}' % token["id"]
        return token["id"]

    def authorize(self, path="/v1/payments", **how):
        return self.load(path, method="POST", body=self.body, **how)


def wait_answer(ask, seconds=30):
    """Seconds until ask() says True; whatever it raises until then is a server that is not there yet."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if ask():
                return time.monotonic() - began
        except (OSError, ValueError, IndexError):
            pass
        time.sleep(0.002)
    raise RuntimeError("no answer")


def nginx_start(b):
    """A static answer behind the same certificates: what TLS and HTTP cost a server that is known for its speed."""
    exe = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not exe:
        return None
    a, port, n = b.main, free_port(), os.path.join(b.work, "nginx")
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
    process = subprocess.Popen([exe, "-c", os.path.join(n, "conf")], stderr=subprocess.DEVNULL)
    b.started.append(process)
    time.sleep(0.5)
    return Load(b.mtlsload, port, f"{a.dir}/clients/demo.crt", f"{a.dir}/clients/demo.key", f"{a.dir}/ca.crt",
                lambda: [("nginx", p) for p in children(process.pid)], b.args.seconds)


class Peer:
    """What a user would have instead: POST /payments makes one durable payment, GET /health answers."""

    def __init__(self, b, name, command, folder, env, databases):
        self.b, self.name, self.command, self.folder, self.env, self.databases = b, name, command, folder, env, databases
        self.port, self.process, pki = free_port(), None, os.path.join(b.args.peers, "conf", "pki")
        self.pki = [os.path.join(pki, f) for f in ("client.pem", "client.key", "ca.pem")]
        self.load = Load(b.mtlsload, self.port, *self.pki, self.processes, b.args.seconds, sni="localhost")
        with open(os.path.join(b.args.peers, "peers", "body.json")) as f:
            self.body = f.read().strip()

    def processes(self):
        return [(self.name, p) for p in children(self.process.pid)]

    def spawn(self):
        self.process = subprocess.Popen([w.replace("PORT", str(self.port)) for w in self.command], cwd=self.folder, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env=dict(os.environ, PORT=str(self.port), **self.env))

    def answers(self):
        c = ssl.create_default_context(cafile=self.pki[2])
        c.load_cert_chain(*self.pki[:2])
        with c.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 5), server_hostname="localhost") as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in s.recv(200)

    def start(self):
        self.spawn()
        return wait_answer(self.answers)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def pay(self, **how):
        return self.load("/payments", method="POST", body=self.body, **how)


class Peers:
    """A folder with peers/node, peers/fastapi, conf/pki, conf/*.pgbench and run/pg-start.sh: not ours, so not in this tree."""

    def __init__(self, b):
        self.b, self.root, self.postmaster = b, b.args.peers, os.path.join(b.args.peers, "work", "pg", "postmaster.pid")
        self.stop_postgres = not os.path.exists(self.postmaster)
        if self.stop_postgres:
            subprocess.run(["sh", os.path.join(self.root, "run", "pg-start.sh")], check=True, stdout=subprocess.DEVNULL)
        self.sql("peers/payments.sql")
        for end in ("", "-wal", "-shm"):
            if os.path.exists(os.path.join(self.root, "work", "peer.db" + end)):
                os.unlink(os.path.join(self.root, "work", "peer.db" + end))
        server, pki = os.path.join(self.root, "peers", "node", "server.js"), os.path.join(self.root, "conf", "pki")
        uvicorn = ["/usr/bin/python3", "-m", "uvicorn", "server:app", "--host", "127.0.0.1", "--port", "PORT", "--loop", "uvloop", "--http", "httptools",
                   "--no-access-log", "--log-level", "warning", "--backlog", "4096", "--ssl-keyfile", pki + "/server.key", "--ssl-certfile",
                   pki + "/server.pem", "--ssl-ca-certs", pki + "/ca.pem", "--ssl-cert-reqs", "2"]
        self.all = [Peer(b, "Fastify + pg", ["node", server], None, {}, True), Peer(b, "Fastify + better-sqlite3", ["node", server], None, {"STORE": "sqlite"}, False),
                    Peer(b, "FastAPI + asyncpg", uvicorn, os.path.join(self.root, "peers", "fastapi"), {}, True)]
        for p in self.all:
            b.started.append(p)
            b.keep(f"{p.name} start to first answer ms", p.start() * 1000)

    def su(self, command):
        return subprocess.run(["su", "postgres", "-c", command], capture_output=True, text=True).stdout

    def sql(self, file):
        self.su(f"psql -q -h {self.root}/work/pgsock -p 54329 -f {self.root}/{file}")

    def pgbench(self, file, seconds):
        out = self.su(f"pgbench -n -M prepared -h {self.root}/work/pgsock -p 54329 -c 32 -j 2 -T {int(seconds)} -f {self.root}/conf/{file} postgres")
        return float(re.search(r"tps = ([0-9.]+)", out).group(1))

    def postgres_pss(self):
        with open(self.postmaster) as f:
            return pss_mib(children(int(f.readline())))

    def terminate(self):
        if self.stop_postgres:
            subprocess.run(["sh", os.path.join(self.root, "run", "pg-stop.sh")], stdout=subprocess.DEVNULL)
