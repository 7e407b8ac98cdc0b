#!/usr/bin/env python3
"""Verifies a Carepost ledger export with nothing but Python's standard library: an independent reader of tiles.md and leaf.md.

    tiles.py EXPORT.tar PUBLIC_KEY [KNOWN_CHECKPOINT]

PUBLIC_KEY is the one line of the ledger's public key. Unlike Carepost's own verifier it computes the root from the entries alone,
then each tile from the entries, and checks the Ed25519 signature by RFC 8032's arithmetic.
"""
import base64
import hashlib
import sys
import tarfile

# RFC 8032 5.1: the curve, and points in affine coordinates. Slow and plain.
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P) % P


def times(n, point):
    total = (0, 1)
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


def decompress(b):
    y = int.from_bytes(b, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT_OF_MINUS_ONE % P
    if y >= P or x * x % P != square:
        raise ValueError("not a point of the curve")
    return (P - x if x & 1 != sign else x), y


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(public, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % Q
    return s < Q and times(s, BASE) == add(decompress(r), times(k, decompress(public)))


def checkpoint(note, key):
    """Gives origin, size and root of a signed note, after checking its signature."""
    name, _, encoded = key.strip().split("+", 2)
    kind_and_public = base64.b64decode(encoded)
    assert kind_and_public[0] == 1, "not an Ed25519 key"
    text, _, signatures = note.partition("\n\n")
    text += "\n"
    origin, size, root = text.splitlines()
    assert origin == name or origin.startswith(name + "/"), "the checkpoint is of another ledger"
    identity = hashlib.sha256(origin.encode() + b"\n" + kind_and_public).digest()[:4]
    for line in signatures.splitlines():
        dash, signer, value = line.split(" ")
        value = base64.b64decode(value)
        if dash == "\u2014" and signer == origin and value[:4] == identity:
            assert signed(kind_and_public[1:], text.encode(), value[4:]), "the signature is wrong"
            return origin, int(size), base64.b64decode(root)
    raise AssertionError("not signed by this key")


def tree_hash(hashes):
    """RFC 6962 2.1, over leaf hashes."""
    if not hashes:
        return hashlib.sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree_hash(hashes[:k]) + tree_hash(hashes[k:])).digest()


def path(place, width):
    groups = ["%03d" % (place % 1000)]
    while place := place // 1000:
        groups.insert(0, "x%03d" % (place % 1000))
    return "/".join(groups) + (".p/%d" % width if width < 256 else "")


def main(archive, key, known=None):
    with tarfile.open(archive) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
    origin, size, root = checkpoint(files["checkpoint"].decode(), key)
    organisation = int(origin.split("/ledger/")[1].split("/")[0])
    leaves = []
    for start in range(0, size, 256):
        bundle = files["tile/entries/" + path(start // 256, min(256, size - start))]
        while bundle:
            n = int.from_bytes(bundle[:2], "big")
            leaf, bundle = bundle[2:2 + n], bundle[2 + n:]
            assert leaf[0] == 1 and len(leaf) == 97, "entry %d is not of version 1" % len(leaves)
            assert int.from_bytes(leaf[9:13], "big") == organisation, "entry %d is of another organisation" % len(leaves)
            leaves.append(hashlib.sha256(b"\x00" + leaf).digest())
    assert len(leaves) == size, "there are %d entries, the checkpoint counts %d" % (len(leaves), size)
    assert tree_hash(leaves) == root, "the entries are not those that were signed"
    level, hashes = 0, leaves
    while hashes:
        for start in range(0, len(hashes), 256):
            part = hashes[start:start + 256]
            name = "tile/%d/%s" % (level, path(start // 256, len(part)))
            assert files[name] == b"".join(part), name + " does not hold the hashes of what is below it"
        level, hashes = level + 1, [tree_hash(hashes[i:i + 256]) for i in range(0, len(hashes) - 255, 256)]
    if known:
        with open(known, encoding="utf-8") as f:
            _, before, was = checkpoint(f.read(), key)
        assert before <= size and tree_hash(leaves[:before]) == was, "the known checkpoint is of another history"
    print("%s: %d entries, root %s, %s" % (origin, size, base64.b64encode(root).decode(),
          "continues the known checkpoint" if known else "not proven latest"))


if __name__ == "__main__":
    main(*sys.argv[1:])
