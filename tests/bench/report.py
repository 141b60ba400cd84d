"""What the figures mean: each goal with ours beside it, as a table, as JSON, as a picture."""
import json
import statistics
import sys


def ratio(a, c, more=0.0):
    """A figure over another one; `more` is added to what it is measured against."""
    return lambda f: f[a] / (f[c] + more) if a in f and f.get(c) else None


def best_peer(f):
    rates = {k: v for k, v in f.items() if k.endswith(", 64 connections /s") and k[0] == "F"}
    return max(rates, key=rates.get) if rates else None


def over_peer(f):
    peer = best_peer(f)
    return f["authorize, 64 connections /s"] / f[peer] if peer and "authorize, 64 connections /s" in f else None


def over_peer_start(f):
    full = next((v for k, v in f.items() if k.startswith("start to first authorization,") and "stored" in k), None)
    peers = [v for k, v in f.items() if k.endswith("start to first answer ms")]
    return full / min(peers) if full and peers else None


def figure(name):
    return lambda f: f.get(name)


def grown(f):
    sizes = sorted((int(k.split()[2]), v) for k, v in f.items() if k.startswith("store with") and k.endswith("µs CPU"))
    return sizes[-1][1] / sizes[0][1] if len(sizes) > 1 else None


def full_start(f):
    return next((v for k, v in f.items() if k.startswith("start to first authorization,") and "stored" in k), None)


def alone(f):
    return f["authorize, alone p50 ms"] - 3 * f["one fdatasync ms"] if "authorize, alone p50 ms" in f and "one fdatasync ms" in f else None


PAY = "authorize, 64 connections /s"
# line, what, how it comes from the figures, goal as a number, whether less is better, unit
GOALS = [
    ("1", "finished authorizations / the best peer", over_peer, 5, False, "×"),
    ("1", "finished authorizations / PostgreSQL's three INSERTs", ratio(PAY, "PostgreSQL, three INSERTs /s"), 2, False, "×"),
    ("1", "finished authorizations / PostgreSQL's one statement", ratio(PAY, "PostgreSQL, one statement /s"), 1, False, "×"),
    ("2", "finished authorizations / sqlbench, lean schema", ratio(PAY, "sqlbench, lean schema /s"), 0.5, False, "×"),
    ("3", "CPU of all processes per authorization", figure("authorize, 64 connections µs CPU"), 100, True, "µs"),
    ("3", "the same / Fastify's process alone", ratio("authorize, 64 connections µs CPU", "Fastify + pg, 64 connections µs CPU"), 0.27, True, "×"),
    ("4", "payment reads / nginx static", ratio("payment read /s", "nginx static /s"), 0.5, False, "×"),
    ("4", "tokenize / card-insert bench", ratio("tokenize /s", "card-insert bench /s"), 1, False, "×"),
    ("4", "tokenize / nginx static", ratio("tokenize /s", "nginx static /s"), 0.15, False, "×"),
    ("5", "open loop at half of our maximum, p99", figure("open loop at half of our maximum p99 ms"), 5, True, "ms"),
    ("5", "the same, p99.9", figure("open loop at half of our maximum p99.9 ms"), 25, True, "ms"),
    ("5", "p99 at half of the best peer's rate / its", ratio("open loop at half of the best peer's, ours p99 ms", "open loop at half of the best peer's, the peer p99 ms"), 0.4, True, "×"),
    ("5", "alone, p50 less three fdatasyncs", alone, 0.5, True, "ms"),
    ("6", "full handshakes, P-256 / nginx", ratio("full handshakes /s", "nginx full handshakes /s"), 0.45, False, "×"),
    ("6", "resumed handshakes / full", None, 3, False, "×"),
    ("6", "others' p99 with 100 new handshakes a second", ratio("p99 at half load with 100 new handshakes/s ms", "p99 at half load ms"), 1.5, True, "×"),
    ("7", "memory of all processes after load, 64 connections", figure("memory after load MiB"), 48, True, "MiB"),
    ("7", "memory per idle connection", figure("memory per idle connection KiB"), 64, True, "KiB"),
    ("7", "memory after all requests / after three tenths", ratio("memory after all of them MiB", "memory after three tenths of them MiB"), 1.05, True, "×"),
    ("8", "start to first authorization, full store", full_start, 100, True, "ms"),
    ("8", "the same / the fastest peer (empty)", over_peer_start, 0.3, True, "×"),
    ("9", "rotation of data keys / re-encryption bench", None, 0.5, False, "×"),
    ("10", "CPU of the store, largest / smallest", grown, 1.15, True, "×"),
    ("10", "replayed / fresh keys", ratio("replayed keys /s", "fresh keys beside them /s"), 2, False, "×"),
    ("10", "goodput of 1000 clients / of 64", figure("goodput of 1000 clients / of 64"), 0.9, False, "×"),
    ("10", "goodput, twice the clients that may connect / without", figure("goodput with twice the clients that may connect / without"), 0.9, False, "×"),
    ("10", "a refused connection, p99", figure("a refused connection p99 ms"), 5, True, "ms"),
    ("11", "throughput with the HSM 5 ms later", ratio("authorize, HSM 5 ms later /s", "authorize, HSM as it is /s"), 0.95, False, "×"),
    ("12", "authorizations, two gates / one", ratio("authorize, gates 2 /s", "authorize, gates 1 /s"), 1, False, "×"),
    ("12", "livez, two gates / one", ratio("livez, gates 2 /s", "livez, gates 1 /s"), 1, False, "×"),
    ("12", "two appliances on PostgreSQL / one", None, 1.6, False, "×"),
    ("-", "export of 1 M audit records", lambda f: 1e6 / f["audit export, records /s"] if "audit export, records /s" in f else None, 30, True, "s"),
    ("-", "offline verification of 1 M audit records", figure("audit verify, 1 M records s"), 10, True, "s"),
]


def medians(figures):
    return {k: statistics.median(v) for k, v in figures.items()}


def goals(figures):
    """Each goal with ours: None is "not there" where nothing computes it, and "not measured" where the figures lack."""
    f, out = medians(figures), []
    for line, what, how, goal, less, unit in GOALS:
        ours = how(f) if how else None
        out.append({"line": line, "what": what, "goal": goal, "less_is_better": less, "unit": unit, "ours": ours,
                    "state": "not there" if not how else "not measured" if ours is None else "met" if (ours <= goal if less else ours >= goal) else "missed"})
    return out


def number(x):
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


def table(figures):
    width = max(len(k) for k in figures) + 2
    print(f"\n{'figure':<{width}} {'median':>12} {'least':>12} {'most':>12}   n")
    for k, v in figures.items():
        print(f"{k:<{width}} {number(statistics.median(v)):>12} {number(min(v)):>12} {number(max(v)):>12} {len(v):>3}")
    print(f"\n{'line':<5}{'goal':<58}{'ours':>12}   {'wanted':<14}")
    for g in goals(figures):
        if g["ours"] is None:
            ours = g["state"]
        else:
            ours = f"{number(g['ours'])} {g['unit']}"
        print(f"{g['line']:<5}{g['what']:<58}{ours:>12}   {'≤' if g['less_is_better'] else '≥'} {g['goal']:g} {g['unit']:<6}{'' if g['state'] in ('met', 'not there', 'not measured') else '✗'}")


def markdown(document):
    """The goals as a table for people; below it the figures that they come from."""
    out = [f"Run of {document['at']}: {document['cores']} cores, load client included, {document['rounds']} interleaved rounds of {document['seconds']:g} s, medians.", "",
           "| line | what | goal | ours | |", "|---|---|---|---|---|"]
    for g in document["goals"]:
        ours = f"{number(g['ours'])} {g['unit']}" if g["ours"] is not None else "–"
        out.append(f"| {g['line']} | {g['what']} | {'≤' if g['less_is_better'] else '≥'} {g['goal']:g} {g['unit']} | {ours} | {g['state']} |")
    out += ["", "<details><summary>The figures</summary>", "", "| figure | median | least | most |", "|---|---|---|---|"]
    out += [f"| {k} | {number(v['median'])} | {number(v['least'])} | {number(v['most'])} |" for k, v in document["figures"].items()]
    return "\n".join(out + ["", "</details>", "", "![latency over offered load, and CPU by process](performance.svg)", ""])


def into(document, page):
    """The page with the table of this run between its two marks."""
    with open(page) as f:
        head, _, rest = f.read().partition(BEGIN)
    with open(page, "w") as f:
        f.write(head + BEGIN + "\n" + markdown(document) + END + rest.partition(END)[2])


BEGIN, END = "<!-- figures: written by tests/bench/report.py -->", "<!-- end of figures -->"

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: tests/bench/report.py FIGURES.json docs/performance.md     puts the table of a run into the page")
    with open(sys.argv[1]) as file:
        into(json.load(file), sys.argv[2])
