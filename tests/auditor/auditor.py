#!/usr/bin/env python3
"""Checks a copydesk log from outside, by the specifications alone: C2SP signed-note, tlog-checkpoint and tlog-tiles,
RFC 6962, RFC 8032. Nothing but Python's own library.

    auditor.py PREFIX KEY STATE             the newest checkpoint, its signature, every tile and entry below it, and that
                                            it extends the checkpoint kept in the file STATE, which it then replaces
    auditor.py PREFIX KEY STATE --events T  the stored bytes of every event too, with an auditor's token T; of those that
                                            were erased, that a redaction on the log names them

PREFIX is the log's address (https://desk.example/audit), KEY its verifier key (PREFIX/key, better from somewhere else).
Exit 0: everything holds. Exit 1: something doesn't, and the last line says what.
"""

import base64
import hashlib
import json
import sys
import time
import urllib.error
import urllib.request

# Ed25519 verification, after RFC 8032, section 6.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e, f = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    g, h = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    sum_ = (0, 1, 1, 0)
    while n:
        if n & 1:
            sum_ = add(sum_, point)
        point, n = add(point, point), n >> 1
    return sum_


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("no point")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(public, message, signature):
    try:
        a, r = point(public), point(signature[:32])
    except ValueError:
        return False
    s = int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(k, a))
    same = (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0
    return len(signature) == 64 and s < L and same


class Wrong(Exception):
    pass


class Gone(Wrong):
    """What stood there was erased or deleted."""


class Unnamed(Wrong):
    """Something was erased, and nothing under the checkpoint says by which right."""


def expect(holds, what):
    if not holds:
        raise Wrong(what)


def get(address, token=None):
    request = urllib.request.Request(address)
    if token:
        request.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.read(), response.headers
    except urllib.error.HTTPError as error:
        kind = Gone if error.code == 410 else Wrong
        raise kind(f"{address}: {error.code} {error.read()[:300].decode(errors='replace')}", error.headers) from error


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(record):
    return sha256(b"\0" + record)


def root_of(hashes):
    if not hashes:
        return sha256(b"")
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\1" + root_of(hashes[:split]) + root_of(hashes[split:]))


def open_note(note, key):
    name, key_id, material = key.split("+", 2)
    material = base64.b64decode(material)
    expect(material[0] == 1 and len(material) == 33, "the key isn't Ed25519")
    expect(sha256(name.encode() + b"\n" + material)[:4].hex() == key_id, "the key's id isn't of the key")
    text, signatures = note.split(b"\n\n", 1)
    text += b"\n"
    for line in signatures.decode().splitlines():
        _, signer, data = line.split(" ")
        data = base64.b64decode(data)
        if signer == name and data[:4].hex() == key_id:
            expect(signed(material[1:], text, data[4:]), "the checkpoint's signature doesn't hold")
            origin, size, root = text.decode().split("\n")[:3]
            expect(origin == name, "the checkpoint is of another log")
            return int(size), base64.b64decode(root)
    raise Wrong("the checkpoint isn't signed by the key")


def path(index):
    parts = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03}")
    return "/".join(parts)


def row(prefix, kind, count):
    """The tiles of a row that has so many values, with how many each holds."""
    for index in range((count + 255) // 256):
        width = min(256, count - index * 256)
        partial = "" if width == 256 else f".p/{width}"
        yield get(f"{prefix}/tile/{kind}/{path(index)}{partial}")[0], width


def hashes_of(prefix, level, count):
    hashes = []
    for tile, width in row(prefix, level, count):
        expect(len(tile) == 32 * width, f"a tile of level {level} isn't {width} hashes long")
        hashes += [tile[at : at + 32] for at in range(0, len(tile), 32)]
    return hashes


def main(prefix, key, state, token=None):
    size, root = open_note(note := get(prefix + "/checkpoint")[0], key)
    leaves = hashes_of(prefix, 0, size)
    expect(root_of(leaves) == root, f"the root over {size} leaves isn't the one that was signed")
    level, below = 1, leaves
    while len(below) >= 256:
        above = [root_of(below[at : at + 256]) for at in range(0, len(below) // 256 * 256, 256)]
        expect(hashes_of(prefix, level, len(above)) == above, f"level {level} isn't over level {level - 1}")
        level, below = level + 1, above
    records = []
    for bundle, width in row(prefix, "entries", size):
        at = 0
        for _ in range(width):
            length = int.from_bytes(bundle[at : at + 2], "big")
            records.append(bundle[at + 2 : at + 2 + length])
            at += 2 + length
        expect(at == len(bundle), "a bundle has more than its entries")
    for index, (record, leaf) in enumerate(zip(records, leaves, strict=True)):
        expect(leaf_hash(record) == leaf, f"entry {index} isn't the one in the tree")
    try:
        with open(state, "rb") as file:
            old_size, old_root = open_note(file.read(), key)
        expect(old_size <= size, f"the log has {size} events, and had {old_size}")
        expect(root_of(leaves[:old_size]) == old_root, f"the first {old_size} events aren't those that were signed")
    except FileNotFoundError:
        old_size = 0
    erased = check_events(prefix, token, records) if token else 0
    with open(state, "wb") as file:
        file.write(note)
    by_law = f", {erased} event{'s' * (erased > 1)} erased by law" if erased else ""
    print(f"verified {size} events, {size - old_size} of them new{by_law}")


def check_events(prefix, token, records):
    """Every position of the log, in order, until every leaf was met; gives how many events were erased by law.

    The leaf of an erased event holds the hash of what stood there. A redaction, an event like any other, names it by its
    position and this hash, and says what takes its place.
    """
    seq = index = 0
    erased, named = {}, {}
    while index < len(records):
        seq += 1
        try:
            stored, headers = get(f"{prefix}/events/{seq}", token)
        except Gone as gone:
            stored, headers = None, gone.args[1]
            if headers.get("Copydesk-Index") is None:
                raise
        if headers.get("Copydesk-Index") is None:
            continue
        expect(int(headers["Copydesk-Index"]) == index, f"the event at {seq} isn't leaf {index}")
        record = records[index]
        if stored is None:
            erased[seq] = index
        else:
            expect(sha256(stored) == record[1:33], f"the event at {seq} isn't the one that leaf {index} is of")
            event = json.loads(stored)
            check_digest(event, record, index)
            named.update(named_by(event, seq))
        index += 1
    for seq, index in erased.items():
        digest, instead, later = named.get(seq, (None, None, 0))
        if later <= seq:
            raise Unnamed(f"the event at {seq}, leaf {index}, was erased, and no redaction names it")
        expect(digest == records[index][1:33].hex(), f"another event stood at {seq} than the redaction at {later} names")
        check_digest(instead, records[index], index)
    return len(erased)


def check_digest(event, record, index):
    digest = event.get("editiondigest")
    expect(record[:1] == (b"\2" if digest else b"\1"), f"leaf {index} is of another kind than its event")
    expect(record[33:].hex() == (digest or ""), f"leaf {index} has another digest than its event")


def named_by(event, seq):
    """What a redaction says of the events it erased, and what earlier ones said that it erased in their turn."""
    if event.get("type") != "copydesk.article.redacted":
        return
    for one in event["data"]["events"]:
        if one["event"]["subject"] != event["subject"]:
            continue
        yield from named_by(one["event"], one["seq"])
        yield one["seq"], (one["sha256"], one["event"], seq)


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--events"]
    if len(arguments) not in (3, 4):
        sys.exit(__doc__)
    try:
        try:
            main(*arguments)
        except Unnamed:
            # Perhaps it was erased while we read, and the redaction isn't under that checkpoint: the next one has it.
            time.sleep(2)
            main(*arguments)
    except Wrong as wrong:
        sys.exit(f"NOT VERIFIED: {wrong.args[0]}")
