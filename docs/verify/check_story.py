"""Checks that a story is what the newsroom published: python3 check_story.py https://desk.example ARTICLE [KEY]"""
import base64, hashlib, json, sys, urllib.request

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519, after RFC 8032, section 6
D, I = -121665 * pow(121666, P - 2, P) % P, pow(2, (P - 1) // 4, P)
def add(p, q):
    a, b, c, d = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0]), 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    return (b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P
def times(n, p):
    return (0, 1, 1, 0) if n == 0 else add(times(n - 1, p), p) if n & 1 else times(n // 2, add(p, p))
def point(data):
    sign, y = divmod(int.from_bytes(data, "little"), 2**255)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * I % P
    assert (x * x - square) % P == 0, "no point of the curve"
    return (x := x if x & 1 == sign else P - x), y, 1, x * y % P
BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
def signed(key, text, signature):
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    (x, y, z, _), (u, v, w, _) = times(int.from_bytes(signature[32:], "little"), BASE), add(point(signature[:32]), times(k, point(key)))
    return (x * w - u * z) % P == 0 and (y * w - v * z) % P == 0

sha256 = lambda data: hashlib.sha256(data).digest()
proof = json.load(urllib.request.urlopen(f"{sys.argv[1]}/articles/{sys.argv[2]}/proof"))
canonical = json.dumps(proof["public"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()  # RFC 8785
record = bytes.fromhex(proof["leaf"])
assert record[:1] == b"\2" and record[33:] == sha256(canonical), "these words aren't those of the leaf"
at, last, node = proof["index"], proof["size"] - 1, sha256(b"\0" + record)
for step in map(base64.b64decode, proof["path"]):  # RFC 9162, section 2.1.3.2
    left = at & 1 or at == last
    node = sha256(b"\1" + (step + node if left else node + step))
    while left and at and not at & 1:
        at, last = at >> 1, last >> 1
    at, last = at >> 1, last >> 1
text, signature = proof["checkpoint"].split("\n\n")  # C2SP tlog-checkpoint, signed-note
name, _, key = (sys.argv[3] if len(sys.argv) > 3 else proof["key"]).split("+", 2)
assert text.split("\n")[:3] == [name, str(proof["size"]), base64.b64encode(node).decode()] and last == 0, "not in this log"
assert signed(base64.b64decode(key)[1:], text.encode() + b"\n", base64.b64decode(signature.split()[-1])[4:]), "not signed"
print(f"edition {proof['edition']} of {proof['published']} is leaf {proof['index']} of {proof['size']} in the log {name}:")
print(proof["public"]["fields"].get("headline") or proof["public"]["notes"][-1]["text"])
