#!/usr/bin/env python3
"""Looks for planted secrets in files and in the writable memory of live processes.

usage: residue.py --secret TEXT… --file PATH… --pid PID…
Each secret is looked for as text, hex, base64 (all three offsets), packed BCD and reversed BCD. Prints each find as
"<where>: <encoding>" and exits 1 when there was any, 0 when there was none, 2 when something could not be read.
"""
import argparse
import base64
import os
import sys


def encodings(secret):
    raw = secret.encode()
    yield "text", raw
    yield "hex", raw.hex().encode()
    yield "utf-16", secret.encode("utf-16-le")
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + raw + b"\0\0\0")
        # the characters that depend on the secret alone
        yield f"base64+{offset}", whole[(offset * 8 + 5) // 6 : (offset + len(raw)) * 8 // 6]
    if secret.isdigit():
        even = secret if len(secret) % 2 == 0 else secret + "f"
        yield "bcd", bytes.fromhex(even)
        yield "reversed bcd", bytes.fromhex(even)[::-1]


def needles(secrets):
    for s in secrets:
        for name, bytes_ in encodings(s):
            if len(bytes_) >= 6:
                yield name, bytes_


def look(where, data, wanted, found):
    for name, needle in wanted:
        if needle in data:
            found.append(f"{where}: {name}")


def files_of(paths):
    for p in paths:
        if os.path.isdir(p):
            for root, _, names in os.walk(p):
                for n in names:
                    yield os.path.join(root, n)
        else:
            yield p


def scan_process(pid, wanted, found):
    with open(f"/proc/{pid}/comm") as f:
        name = f.read().strip()
    for small in ("cmdline", "environ"):
        with open(f"/proc/{pid}/{small}", "rb") as f:
            look(f"{name}[{pid}] {small}", f.read(), wanted, found)
    read = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights = line.split()[:2]
            if "w" not in rights or "r" not in rights:
                continue
            low, high = (int(x, 16) for x in span.split("-"))
            if high - low > 1 << 30:
                continue
            try:
                mem.seek(low)
                data = mem.read(high - low)
            except (OSError, ValueError, OverflowError):
                continue  # guard pages and secret memory can't be read, by anybody
            read += len(data)
            look(f"{name}[{pid}] {line.split()[-1] if len(line.split()) > 5 else 'anonymous'} {span}", data, wanted, found)
    return read


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--secret", nargs="+", required=True)
    p.add_argument("--file", nargs="*", default=[])
    p.add_argument("--pid", nargs="*", type=int, default=[])
    a = p.parse_args()
    wanted, found, unread = list(needles(a.secret)), [], []
    files = total = 0
    for path in files_of(a.file):
        try:
            if not os.path.isfile(path):
                continue
            with open(path, "rb") as f:
                look(path, f.read(), wanted, found)
            files += 1
        except OSError as e:
            unread.append(f"{path}: {e.strerror}")
    for pid in a.pid:
        try:
            total += scan_process(pid, wanted, found)
        except OSError as e:
            unread.append(f"pid {pid}: {e.strerror}")
    for line in found:
        print(line)
    for line in unread:
        print("unread", line, file=sys.stderr)
    print(f"{files} files, {len(a.pid)} processes, {total >> 20} MiB of memory: {len(found)} finds", file=sys.stderr)
    return 1 if found else 2 if unread else 0


sys.exit(main())
