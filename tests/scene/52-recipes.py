"""How to bring every command into every exit code that its row lists, one recipe each: (command, code, arguments, extras).

    52-recipes.py PHASE     run the recipes of a phase (none, stopped, serving, sealed, refusing, desk), each plain and with --json
    52-recipes.py account   compare what was seen with what `sallyport --json help` lists; both ways

Every answer with --json is one document and valid against the command's schema; every failure has its two lines.
"""
import copy, json, os, signal, socket, struct, subprocess, sys, threading, time
import jsonschema

DIR, WORK, TOP = os.environ["dir"], os.environ["work"], os.environ["top"]
SEEN = os.path.join(WORK, "seen.json")
SCHEMAS = os.path.join(TOP, "console/ctl/schema")
BASE = "https://sallyport.example/schemas/"
store = {BASE + f: json.load(open(os.path.join(SCHEMAS, f))) for f in os.listdir(SCHEMAS)}
bad = 0
count = 0


def say(ok, what, more=""):
    global bad, count
    count += 1
    if not ok:
        bad += 1
        print(f"   FAILED: {what}\n     {str(more)[:600]}")


def manual():
    out = subprocess.run(["sallyport", "--json", "help"], capture_output=True, text=True).stdout
    return json.loads(out)["commands"]


def valid(schema, document):
    s = store[BASE + schema + ".json"]
    resolver = jsonschema.RefResolver(BASE, s, store=store)
    errors = list(jsonschema.Draft202012Validator(s, resolver=resolver).iter_errors(document))
    return errors[0].message[:400] if errors else ""


schema_of = {c["command"]: c["schema"] for c in manual()}
numbers = iter(range(1000))


# ── what a recipe may ask for ──

def run(argv, json_too, extras):
    env = dict(os.environ, **extras.get("env", {}))
    if "prepare" in extras:
        argv = argv + extras["prepare"]()
    program = [extras["program"]] if "program" in extras else ["sallyport"]
    command = extras.get("as", []) + program + (["--json"] if json_too else []) + argv
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=env, text=True)
    late = 0
    if extras.get("interrupt"):
        time.sleep(0.5)
        t0 = time.monotonic()
        p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    if extras.get("interrupt"):
        late = time.monotonic() - t0
    return p.returncode, out, err, late


# what tells a finding on stdout, and needs no second line on stderr
TELLS = {("status", c) for c in (3, 4, 5, 6)} | {("audit verify", 9), ("ledger rebuild", 9), ("doctor", 9), ("demo", 1)} | {("jail", c) for c in (5, 6, 9)}


# what shows its plan before it can fail
SHOWS = {"init", "doctor"}


def try_recipe(command, code, args, extras):
    name = f"{command} into {code}: {' '.join(args)[:80]}"
    words = [] if extras.get("bare") else command.split()
    at = [] if extras.get("nodir") else ["--dir", extras.get("dir", DIR)]
    got, out, err, late = run(at + words + args, False, extras)
    say(got == code, name, f"saw {got}: {out[:200]} {err[:300]}")
    say(late < 1, f"{name} returns within a second", late)
    if code and (command, code) not in TELLS:
        say((out == "" or command in SHOWS) and "sallyport: " in err and "\nnext: " in "\n" + err, f"{name} tells in two lines", out + err)
    got, out, err, late = run(at + words + args, True, extras)
    say(got == code, name + " --json", f"saw {got}: {out[:200]} {err[:300]}")
    try:
        document = json.loads(out)
        say(out.count("\n") == 1 and out.endswith("\n"), f"{name} --json is one line", out)
        say(not (why := valid(schema_of[command], document)), f"{name} --json is valid", f"{why} in {out[:300]}")
        if code and (command, code) not in TELLS:
            say("code" in document, f"{name} --json names a code", out)
            say(not (why := valid(schema_of[command], {**document, "stray": 1})) == "", "a stray member would be seen", why)
    except ValueError as e:
        say(False, f"{name} --json is one document", f"{e}: {out[:300]}")
    seen = json.load(open(SEEN)) if os.path.exists(SEEN) else []
    seen.append([command, code])
    json.dump(seen, open(SEEN, "w"))


# ── a desk that answers what it is told ──

class Desk:
    """Speaks frames: length, number (0x8000: answer), error, id, body; hello is 1."""

    def __init__(self, error=0, body=b"", silent=False, of=DIR):
        self.error, self.body, self.silent = error, body, silent
        path = os.path.join(of, "run/desk.sock")
        if os.path.exists(path):
            os.unlink(path)
        self.s = socket.socket(socket.AF_UNIX)
        self.s.bind(path)
        self.s.listen(8)
        threading.Thread(target=self.loop, daemon=True).start()

    @staticmethod
    def frame(number, error, id, body):
        return struct.pack(">IHHQ", len(body) + 12, number, error, id) + body

    def loop(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            c.sendall(self.frame(hello_number(), 0, 0, b""))
            while True:
                head = c.recv(16, socket.MSG_WAITALL)
                if len(head) < 16:
                    return
                n, number, _, id = struct.unpack(">IHHQ", head)
                if n > 12:
                    c.recv(n - 12, socket.MSG_WAITALL)
                if number != hello_number() and not self.silent:
                    c.sendall(self.frame(number | 0x8000, self.error, id, self.body))
        except OSError:
            pass

    def close(self):
        self.s.close()


def hello_number():
    import re
    return int(re.search(r"MSG\((\d+), hello,", open(os.path.join(TOP, "policy/messages.def")).read()).group(1))


def error_number(name):
    import re
    ids = re.findall(r"^ERR\((\w+),", open(os.path.join(TOP, "policy/error.def")).read(), re.M)
    return 1 + ids.index(name)


def processes():
    import re
    return [p for p in re.findall(r"^PROCESS\(\w+, (\w+)", open(os.path.join(TOP, "policy/processes.def")).read(), re.M) if p != "officer"]


def status_of(process, pid, jail):
    """A status_rep with one process_view, in protobuf's bytes (policy/schema/wire.proto)."""
    def number(field, n):
        out = bytes([field << 3])
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    def text(field, t):
        return bytes([field << 3 | 2, len(t)]) + t

    view = text(1, process.encode()) + number(3, pid) + text(4, b"sallyport-vault") + text(5, jail) + number(6, 57) + number(7, 7)
    return number(1, 1) + text(6, view) + text(7, b"0")


# ── the recipes ──

ASKS = ["client list", "key list", "payment list", "payment show", "request show", "audit tail", "audit export", "ledger rebuild", "client add"]
EXTRA = {"payment show": ["pay_00000000000000000000000000"], "request show": ["req_00000000000000000000000000"], "audit export": ["--output", f"{WORK}/x.tar"], "client add": ["someone"], "client check": [f"{DIR}/clients/demo.crt"],
         "audit verify": [f"{WORK}/good.tar"], "help": [], "init": [], "officer new": ["o.ne"], "officer show": ["o.pub"]}
NONE = {"dir": f"{WORK}/none"}


def args_of(command):
    return EXTRA.get(command, [])


def tool(name, text):
    """A directory whose program of this name does what we say, before the real ones."""
    d = f"{WORK}/tool-{name}-{next(numbers)}"
    os.mkdir(d)
    open(f"{d}/{name}", "w").write("#!/bin/sh\n" + text + "\n")
    os.chmod(f"{d}/{name}", 0o755)
    return {"PATH": d + ":" + os.environ["PATH"]}


def only_tools():
    """PATH without the daemon and without curl: the command itself is given by its path."""
    d = f"{WORK}/empty"
    os.makedirs(d, exist_ok=True)
    return {"PATH": d}


def which(name):
    return subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, text=True).stdout.strip()


def configured(name, text, as_directory=False):
    d = f"{WORK}/{name}"
    os.makedirs(d, exist_ok=True)
    if as_directory:
        os.makedirs(f"{d}/sallyport.conf", exist_ok=True)
    else:
        open(f"{d}/sallyport.conf", "w").write(text)
    open(f"{d}/ca.crt", "w").close()  # whole, for what looks only at that
    return {"dir": d}


def stranger():
    if os.geteuid() != 0:
        return None
    return {"as": ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"], "program": f"{WORK}/sallyport"}


def phase_none():
    usage = ["--nonsense"]
    for c in schema_of:
        yield c, 2, args_of(c) + usage, {}
    for c in ASKS + ["status", "jail", "config check", "config show", "demo", "certificate renew", "client check"]:
        yield c, 6, args_of(c), NONE
    yield "jail", 6, ["vault"], NONE
    yield "jail", 2, ["valt"], {"nodir": 1}
    yield "jail", 2, ["officer"], {"nodir": 1}
    yield "doctor", 9, [], NONE
    yield "explain", 0, [], {"nodir": 1}
    yield "explain", 0, ["vault", "sealed"], {"nodir": 1}
    yield "explain", 0, ["starting"], {"nodir": 1}
    yield "explain", 0, ["130"], {"nodir": 1}
    yield "explain", 2, ["valt_sealed"], {"nodir": 1}
    yield "explain", 2, ["x" * 200], {"nodir": 1}
    yield "doctor", 0, [], {**NONE, "prepare": lambda: ["--bundle", f"{WORK}/bundle{next(numbers)}"]}
    yield "doctor", 1, ["--bundle", f"{TOP}/README.md"], NONE
    yield "help", 0, [], {"nodir": 1}
    yield "help", 0, ["exit-codes"], {"nodir": 1}
    yield "help", 0, ["client", "add"], {"nodir": 1}
    yield "help", 0, ["--version"], {"nodir": 1, "bare": 1}
    for c in schema_of:
        yield "help", 0, c.split() + ["--help"], {"nodir": 1, "bare": 1}
    yield "help", 2, ["nonsense"], {"nodir": 1}
    made = ["--software-hsm", "--yes", "--listen", "127.0.0.1:1"]
    yield "init", 0, made, {"nodir": 1, "prepare": lambda: ["--dir", f"{WORK}/made{next(numbers)}"]}
    yield "init", 2, ["--software-hsm"], NONE
    yield "init", 5, made, {"dir": f"{WORK}/nodaemon", "env": only_tools(), "program": which("sallyport")}
    half = configured("half", "mode = perhaps\n")
    os.unlink(half["dir"] + "/ca.crt")
    yield "init", 9, made, half
    yield "init", 130, made, {"nodir": 1, "prepare": lambda: ["--dir", f"{WORK}/cut{next(numbers)}"],
                              "env": tool("sallyportd", "exec sleep 20"), "interrupt": 1}
    os.makedirs(f"{WORK}/locked", exist_ok=True)
    os.chmod(f"{WORK}/locked", 0o755 if stranger() else 0o555)
    yield "init", 7, made, {"dir": f"{WORK}/locked/a", **(stranger() or {})}
    yield "doctor", 7, ["--bundle", f"{WORK}/locked/bundle"], {**NONE, **(stranger() or {})}
    passphrase = f"{WORK}/passphrase"
    for name, text in (("passphrase", "a passphrase of ours"), ("short", "short")):
        with open(os.open(f"{WORK}/{name}", os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(text)
    if stranger():
        os.chown(passphrase, 65534, 65534)
    os.makedirs(f"{WORK}/keys", exist_ok=True)
    os.mkfifo(f"{WORK}/slow-passphrase")
    hand = ["--out", f"{WORK}/keys", "--passphrase-file"]
    another = {"nodir": 1, "prepare": lambda: [f"o{next(numbers)}"]}
    yield "officer new", 0, hand + [passphrase], another
    yield "officer new", 1, hand + [f"{WORK}/short"], another
    yield "officer new", 2, ["J.Doe"], {"nodir": 1}
    yield "officer new", 7, ["--out", f"{WORK}/locked", "--passphrase-file", passphrase], {**another, **(stranger() or {})}
    yield "officer new", 130, hand + [f"{WORK}/slow-passphrase"], {**another, "interrupt": 1}
    public = next(f"{WORK}/keys/{f}" for f in os.listdir(f"{WORK}/keys") if f.endswith(".pub"))
    yield "officer show", 0, [public], {"nodir": 1}
    yield "officer show", 1, [f"{WORK}/absent.pub"], {"nodir": 1}
    open(f"{WORK}/unread.pub", "w").close()
    os.chmod(f"{WORK}/unread.pub", 0)
    yield "officer show", 7, [f"{WORK}/unread.pub"], {"nodir": 1, **(stranger() or {})}
    yield "officer show", 130, [f"{WORK}/slow-passphrase"], {"nodir": 1, "interrupt": 1}
    alone = {"nodir": 1}
    yield "client check", 0, [f"{DIR}/clients/demo.crt", "--ca", f"{DIR}/ca.crt"], alone
    yield "client check", 1, [f"{WORK}/absent.crt", "--ca", f"{DIR}/ca.crt"], alone
    yield "client check", 7, [f"{WORK}/unread.pub", "--ca", f"{DIR}/ca.crt"], {**alone, **(stranger() or {})}
    yield "client check", 9, [f"{DIR}/tls/server.crt", "--ca", f"{DIR}/ca.crt"], alone
    yield "client check", 130, [f"{WORK}/slow-passphrase", "--ca", f"{DIR}/ca.crt"], {**alone, "interrupt": 1}
    ca = configured("wrong-ca", "mode = perhaps\n")
    os.makedirs(ca["dir"] + "/ca")
    for name in ("ca.key", "ca.crt"):
        open(f"{ca['dir']}/ca/{name}", "w").write("none\n")
    yield "certificate renew", 9, [], ca
    yield "certificate renew", 1, [], configured("no-ca", "mode = test\n")
    slow = configured("slow-ca", "mode = test\n")
    os.makedirs(slow["dir"] + "/ca")
    os.mkfifo(slow["dir"] + "/ca/ca.key")
    yield "certificate renew", 130, [], {**slow, "interrupt": 1}
    for c in ("config check", "config show", "demo"):
        yield c, 9, [], configured("wrong", "mode = perhaps\n")
    for c in ("config check", "config show"):
        yield c, 1, [], configured("folder", "", True)
    if stranger():
        shut = configured("shut", "mode = test\n")
        os.chmod(shut["dir"] + "/sallyport.conf", 0o600)
        for c in ("config check", "config show"):
            yield c, 7, [], {**shut, **stranger()}
    yield "config reload", 6, [], NONE


def phase_stopped():
    yield "certificate renew", 0, [], {}
    yield "certificate renew", 2, ["--days", "0"], {}
    if stranger():
        yield "certificate renew", 7, [], stranger()
    for c in ASKS + ["status", "jail", "demo", "config reload"]:
        yield c, 5, args_of(c), {}
    yield "jail", 5, ["monitor"], {}
    yield "init", 1, ["--software-hsm", "--yes"], {}


def one_request():
    """The id of a request that was just answered."""
    port = subprocess.run(["sallyport", "--dir", DIR, "config", "show"], capture_output=True, text=True).stdout.split("listen = ")[1].split("\n")[0]
    head = subprocess.run(["curl", "-sSi", "--cacert", f"{DIR}/ca.crt", "--cert", f"{DIR}/clients/demo.crt", "--key", f"{DIR}/clients/demo.key", f"https://{port}/v1/payments"], capture_output=True, text=True).stdout
    time.sleep(0.5)
    return head.split("Request-Id: ")[1].split()[0]


def phase_serving():
    for c in ("status", "doctor", "jail", "client list", "key list", "payment list", "audit tail", "audit export", "ledger rebuild", "config check", "config show", "config reload", "demo"):
        yield c, 0, args_of(c), {}
    for process in processes():
        yield "jail", 0, [process], {}
    yield "client add", 0, [], {"prepare": lambda: [f"shop{next(numbers)}"]}
    yield "client check", 0, args_of("client check"), {}
    yield "client check", 9, [f"{DIR}/ca.crt"], {}
    payments = json.loads(subprocess.run(["sallyport", "--dir", DIR, "--json", "payment", "list"], capture_output=True, text=True).stdout)["payments"]
    for p in payments:
        yield "payment show", 0, [p["id"]], {}
    yield "payment show", 1, args_of("payment show"), {}
    yield "request show", 1, args_of("request show"), {}
    yield "request show", 0, [], {"prepare": lambda: [one_request()]}
    subprocess.run(["sallyport", "--dir", DIR, "audit", "export", "--output", f"{WORK}/good.tar"], check=True, capture_output=True)
    tar = bytearray(open(f"{WORK}/good.tar", "rb").read())
    at = tar.find(b'"ev":')
    tar[at + 6] ^= 1
    open(f"{WORK}/bad.tar", "wb").write(tar)
    os.mkfifo(f"{WORK}/pipe.tar")
    yield "audit verify", 0, [f"{WORK}/good.tar"], {"nodir": 1}
    yield "audit verify", 0, [f"{WORK}/good.tar", "--record", "vault:1"], {"nodir": 1}
    yield "audit verify", 9, [f"{WORK}/bad.tar"], {"nodir": 1}
    yield "audit verify", 1, [f"{WORK}/absent.tar"], {"nodir": 1}
    yield "audit verify", 130, [f"{WORK}/pipe.tar"], {"nodir": 1, "interrupt": 1}
    yield "demo", 1, [], {"env": only_tools(), "program": which("sallyport")}
    yield "demo", 130, [], {"env": tool("curl", "exec sleep 20"), "interrupt": 1}
    refused = f"{DIR}/sallyport.conf.d/zz.conf"
    open(refused, "w").write("mode = perhaps\n")
    yield "config reload", 9, [], {}
    os.unlink(refused)
    yield "config reload", 0, [], {}
    for c in ASKS + ["status", "jail", "config reload"]:
        if stranger():
            yield c, 7, args_of(c), stranger()
    if not stranger():
        os.chmod(f"{DIR}/run", 0)
        for c in ASKS + ["status", "jail", "config reload"]:
            yield c, 7, args_of(c), {}
        os.chmod(f"{DIR}/run", 0o755)


def phase_sealed():
    for c in ["status"] + ASKS:
        if c != "audit verify":
            yield c, 3, args_of(c), {}


def phase_refusing():
    yield "status", 4, [], {}
    yield "client add", 4, ["late"], {}
    yield "audit export", 4, args_of("audit export"), {}


def phase_desk():
    """The appliance is stopped and its socket is ours."""
    desk = Desk(error=error_number("INTERNAL"))
    for c in ASKS + ["status", "jail", "config reload"]:
        yield c, 1, args_of(c), {}
    desk.close()
    # a HSM that refuses, seen through a daemon that only says that it is ready
    half = f"{WORK}/refused"
    os.makedirs(f"{half}/run")
    for code, error in ((3, "HSM_PIN"), (4, "HSM_AWAY")):
        desk = Desk(error=error_number(error), of=half)
        yield "init", code, ["--software-hsm", "--yes", "--listen", "127.0.0.1:1"], {"dir": half, "env": tool("sallyportd", "echo ready; exec sleep 20")}
        desk.close()
    desk = Desk(body=b"\x08\x09\x10\x07\x18\x02\x22\x0bpayment pay")
    yield "ledger rebuild", 9, [], {}
    desk.close()
    # a process that is in no jail: the desk calls it the vault, the kernel knows better
    free = subprocess.Popen(["sleep", "60"])
    desk = Desk(body=status_of("vault", free.pid, b"57 calls, landlock 7, mdwe"))
    yield "jail", 9, [], {}
    yield "jail", 9, ["vault"], {}
    out = json.loads(subprocess.run(["sallyport", "--dir", DIR, "--json", "jail"], capture_output=True, text=True).stdout)
    found = {f["check"] for p in out["processes"] for f in p["faults"]}
    say({"parent", "user", "no_new_privs", "seccomp", "core"} <= found, "jail names what that process lacks", sorted(found))
    out = json.loads(subprocess.run(["sallyport", "--dir", DIR, "--json", "doctor"], capture_output=True, text=True).stdout)
    row = [c for c in out["checks"] if c["check"] == "running.jails"][0]
    say(row["result"] == "fail" and row["cause"].startswith("vault: "), "the doctor finds it too", row)
    desk.close()
    free.kill()
    free.wait()
    desk = Desk(silent=True)
    yield "jail", 5, [], {}
    for c in ASKS:
        yield c, 130, args_of(c), {"interrupt": 1}
    desk.close()
    bad_conf = f"{DIR}/sallyport.conf.d/zz.conf"
    open(bad_conf, "w").write("mode = perhaps\n")
    desk = Desk()
    yield "client add", 9, ["someone"], {}
    desk.close()
    os.unlink(bad_conf)


# `upgrade` speaks to the installed service: its codes are brought about on booted systems, by lines that must be there.
# So is a demo for a stranger on an installed host.
ELSEWHERE = {("upgrade", n) for n in (0, 1, 5, 6, 7, 9, 130)} | {("demo", 7)}


def told_elsewhere(command, code):
    import re
    packages = os.path.join(TOP, "tests/packages")
    texts = "".join(open(os.path.join(packages, f)).read() for f in os.listdir(packages) if f.startswith("inside"))
    return re.search(rf"^\s*check .* exits {code} .*sallyport {command}", texts, re.M) is not None


def account():
    seen = {(c, n) for c, n in json.load(open(SEEN))}
    for c, n in sorted(ELSEWHERE):
        say(told_elsewhere(c, n), f"{c} into {n} stands in tests/packages")
    seen |= ELSEWHERE
    listed = {(c["command"], n) for c in manual() for n in c["exits"]}
    say(listed - seen == set(), "every code that a command lists has a recipe", sorted(listed - seen))
    say(seen - listed == set(), "every code that a command gave is in its list", sorted(seen - listed))
    say(len(listed) > 80, "there is something to account for", len(listed))
    page = subprocess.run(["sallyport", "help", "man"], capture_output=True, text=True).stdout
    for c in manual():
        line = "Exit status: " + " ".join(map(str, c["exits"])) + "."
        say(line in page.split(f'.SS "sallyport {c["command"]}')[1].split(".SS")[0], f"the man page's exit status of {c['command']}", line)


phase = sys.argv[1]
if phase == "account":
    account()
else:
    for command, code, args, extras in globals()["phase_" + phase]():
        try_recipe(command, code, args, copy.copy(extras))
print(f"{phase}: {count - bad} of {count}")
sys.exit(bad != 0)
