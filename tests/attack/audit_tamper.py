#!/usr/bin/env python3
"""Changes an export as an attacker without the keys could, in one of the ways of KINDS.

usage: audit_tamper.py F.tar FORGED.tar OUT.tar KIND SEED     (and OUT.tar.minisig)
       audit_tamper.py --kinds

What is changed below the archive is packed again so that the archive's form is right: the change must be found, not the
packing. Exit 0 only if OUT differs from F.
"""
import base64, hashlib, random, sys, tarfile, io


def unpack(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        return {m.name: t.extractfile(m).read() for m in t.getmembers()}


def header(name, size):
    # by hand: versions of tarfile differ in the device numbers of a plain file
    head = b"%s0000644\0" b"0000000\0" b"0000000\0" b"%011o\0" b"00000000000\0" b"        0%sustar\0" b"00%s0000000\0" b"0000000\0%s" % (
        name.encode().ljust(100, b"\0"), size, bytes(100), bytes(64), bytes(167))
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def pack(files):
    out = bytearray()
    for name in sorted(files):
        out += header(name, len(files[name])) + files[name] + bytes(-len(files[name]) % 512)
    return bytes(out + bytes(1024))


def leaf(record):
    return hashlib.sha256(b"\0" + record).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root(hashes):
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node(root(hashes[:k]), root(hashes[k:]))


def retile(files, log, hashes):
    """The tiles, their list and the manifest as they must be for these leaf hashes: all that needs no key."""
    for name in [n for n in files if n.startswith(log + "/tile/")]:
        del files[name]
    level, tiles = 0, {}
    while hashes:
        for at in range(0, len(hashes), 256):
            part = hashes[at:at + 256]
            path = "tile/%d/%03d" % (level, at // 256) + ("" if len(part) == 256 else ".p/%d" % len(part))
            tiles[path] = b"".join(part)
        hashes = [root(hashes[at:at + 256]) for at in range(0, len(hashes) - 255, 256)]
        level += 1
    files.update({log + "/" + k: v for k, v in tiles.items()})
    files[log + "/tiles.sha256"] = "".join(
        "%s  %s\n" % (hashlib.sha256(tiles[k]).hexdigest(), k) for k in sorted(tiles)).encode()


def relist(files):
    files["manifest.sha256"] = "".join(
        "%s  %s\n" % (hashlib.sha256(files[n]).hexdigest(), n) for n in sorted(files)
        if "/tile/" not in n and not n.startswith("manifest")).encode()


def rebuild(files, log, lines, renumber=False, new_checkpoint=False):
    if renumber:
        lines = [b'{"v":1,"seq":%d,' % i + l.split(b",", 2)[2] for i, l in enumerate(lines)]
    files[log + "/records.jsonl"] = b"".join(l + b"\n" for l in lines)
    hashes = [leaf(l) for l in lines]
    retile(files, log, hashes)
    if new_checkpoint:
        text, signatures = files[log + "/checkpoint"].split(b"\n\n", 1)
        origin = text.split(b"\n")[0]
        files[log + "/checkpoint"] = b"%s\n%d\n%s\n\n%s" % (origin, len(lines), base64.b64encode(root(hashes)), signatures)
    relist(files)


class Tamper:
    def __init__(self, data, signature, forged, forged_signature, rnd):
        self.data, self.signature, self.rnd = data, signature, rnd
        self.forged, self.forged_signature = forged, forged_signature
        self.files = unpack(data)
        self.log = rnd.choice(["vault", "ledger"])
        self.lines = self.files[self.log + "/records.jsonl"].split(b"\n")[:-1]

    def some(self, n):
        return self.rnd.randrange(n)

    def flip_any_bit(self):
        at = self.some(len(self.data))
        self.data = self.data[:at] + bytes([self.data[at] ^ 1 << self.some(8)]) + self.data[at + 1:]

    def change_a_record(self):
        i = self.some(len(self.lines))
        l = bytearray(self.lines[i])
        at = self.some(len(l))
        l[at] = ord("0") if l[at] != ord("0") else ord("1")
        self.lines[i] = bytes(l)
        self.repack()

    def drop_a_record(self):
        del self.lines[self.some(len(self.lines))]
        self.repack(renumber=self.some(2) == 1)

    def insert_a_record(self):
        i = self.some(len(self.lines) + 1)
        self.lines.insert(i, self.lines[i - 1].replace(b"demo", b"evil"))
        self.repack(renumber=self.some(2) == 1)

    def swap_two_records(self):
        i = self.some(len(self.lines) - 1)
        self.lines[i], self.lines[i + 1] = self.lines[i + 1], self.lines[i]
        self.repack(renumber=self.some(2) == 1)

    def cut_the_log(self):
        del self.lines[self.some(len(self.lines) - 1) + 1:]
        self.repack()

    def cut_the_archive(self):
        self.data = self.data[:self.some(len(self.data))]

    def append_to_the_archive(self):
        self.data += bytes(self.rnd.choice([1, 512, 10240])) if self.some(2) else self.rnd.randbytes(1 + self.some(2000))

    def rebuild_without_keys(self):
        """Another history with everything made anew that needs no key."""
        self.lines[self.some(len(self.lines))] = self.lines[0].replace(b"demo", b"evil")
        rebuild(self.files, self.log, self.lines, True, True)
        self.data = pack(self.files)

    def sign_with_another_key(self):
        self.data, self.signature = self.forged, self.forged_signature

    def forge_inside_only(self):
        """Another's log under the true keys' files."""
        forged = unpack(self.forged)
        for name in forged:
            if self.rnd.choice([True, name.startswith("vault")]) and not name.startswith("keys"):
                self.files[name] = forged[name]
        self.data = pack(self.files)

    def swap_the_logs(self):
        swapped = {}
        for name, content in self.files.items():
            head, _, rest = name.partition("/")
            swapped[{"vault": "ledger", "ledger": "vault"}.get(head, head) + ("/" + rest if rest else "")] = content
        self.files = swapped
        relist(self.files)
        self.data = pack(self.files)

    def change_the_checkpoint(self):
        name = self.log + "/checkpoint"
        note = bytearray(self.files[name])
        at = self.some(len(note))
        note[at] ^= 1 << self.some(7)
        self.files[name] = bytes(note)
        relist(self.files)
        self.data = pack(self.files)

    def drop_a_file(self):
        name = self.rnd.choice(sorted(self.files))
        del self.files[name]
        if self.some(2) and not name.startswith("manifest"):
            relist(self.files)
        self.data = pack(self.files)

    def add_a_file(self):
        self.files[self.rnd.choice(["vault/more.jsonl", "README", "ledger/tile/0/900", "keys/zz"])] = b"more\n"
        self.data = pack(self.files)

    def change_the_signature(self):
        s = bytearray(self.signature)
        at = self.some(len(s) - 57) + 57  # behind the untrusted comment, which nobody signs
        s[at] ^= 1 << self.some(7)
        self.signature = bytes(s)

    def repack(self, renumber=False):
        rebuild(self.files, self.log, self.lines, renumber, self.some(2) == 1)
        self.data = pack(self.files)


KINDS = sorted(n for n in vars(Tamper) if not n.startswith("_") and n not in ("some", "repack"))


def main():
    if sys.argv[1:] == ["--kinds"]:
        print(" ".join(KINDS))
        return 0
    source, forged, out, kind, seed = sys.argv[1:]
    read = lambda p: open(p, "rb").read()
    t = Tamper(read(source), read(source + ".minisig"), read(forged), read(forged + ".minisig"), random.Random(seed))
    if kind == "none":
        t.data = pack(t.files)  # the control: unpacking and packing alone change nothing
    else:
        getattr(t, kind)()
    open(out, "wb").write(t.data)
    open(out + ".minisig", "wb").write(t.signature)
    return 0 if (t.data != read(source) or t.signature != read(source + ".minisig")) == (kind != "none") else 3


sys.exit(main())
