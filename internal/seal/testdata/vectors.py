#!/usr/bin/env python3
"""Writes vectors.json beside it: the known answers of package seal, made with python3-cryptography by docs/formats/envelope.py.

Keys and nonces are fixed, so that a second run writes the same bytes.
"""
import base64
import hashlib
import json
import pathlib
import struct
import sys

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here / "../../../docs/formats"))
import envelope as e  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402

KEY = bytes(range(32))


def fixed(name, n):
    return hashlib.sha256(name.encode()).digest()[:n]


def seal(key, number, flags, table, column, row, organisation, plain, nonce):
    head = struct.pack(">BIB", 1, number, flags)
    if flags & e.PADDED:
        plain = plain + b"\x80" + b"\0" * (31 - len(plain) % 32)
    return head + nonce + AESGCM(key).encrypt(nonce, plain, e.associated(head, table, column, row, organisation))


def envelopes():
    row = fixed("row", 16)
    for name, number, flags, table, column, organisation, plain in [
        ("empty, padded", 7, e.PADDED, "person", "core", 1, b""),
        ("31 bytes fill one step", 7, e.PADDED, "person", "core", 1, b"x" * 31),
        ("32 bytes need two steps", 7, e.PADDED, "person", "core", 1, b"x" * 32),
        ("ends in zeros and 0x80", 7, e.PADDED, "fact", "body", 4294967295, b"a\x80\0\0"),
        ("a subject's first generation", 1, e.PADDED | e.SUBJECT, "event", "body", 3, "Zoë".encode()),
        ("over 4,096 bytes, not padded", 2147483647, 0, "file_chunk", "content", 2, b"0123456789abcdef" * 257),
        ("of the installation", 9, e.PADDED, "job", "args", 0, b"{}"),
    ]:
        sealed = seal(KEY, number, flags, table, column, row, organisation, plain, fixed(name, 12))
        yield dict(name=name, key=KEY.hex(), number=number, flags=flags, table=table, column=column, row=row.hex(), organisation=organisation,
                   plain=plain.hex(), aad=e.associated(sealed[:6], table, column, row, organisation).hex(), sealed=sealed.hex())


def addresses():
    for kind, organisation in [("bounce", 1), ("reply", 1), ("bounce", 4294967295)]:
        raw = struct.pack(">I", organisation) + fixed("object", 16)
        bits = int.from_bytes(raw + e.mac(KEY, b"address", kind.encode(), raw)[:10], "big")
        text = "".join(e.ALPHABET[bits >> shift & 31] for shift in range(235, -1, -5))
        assert e.open_address(KEY, kind, text.upper()) == (organisation, raw[4:])
        yield dict(kind=kind, key=KEY.hex(), organisation=organisation, object=raw[4:].hex(), text=text)


def tokens():
    for kind, extra in [("pickup", b""), ("unsubscribe", b"news"), ("hit", b"\x01"), ("form", b"\0")]:
        plain = struct.pack(">I", 5) + fixed("object", 16) + extra
        sealed = seal(KEY, 11, 0, "token", kind, b"", 0, plain, fixed(kind, 12))
        text = base64.urlsafe_b64encode(sealed).decode().rstrip("=")
        assert e.open_token(KEY, kind, text) == (5, plain[4:20], extra)
        yield dict(kind=kind, key=KEY.hex(), number=11, organisation=5, object=plain[4:20].hex(), extra=extra.hex(), text=text)


def ring():
    body = b"carepost ring 1\n" + fixed("ring", 16) + struct.pack(">I", 2)
    body += struct.pack(">Iqq32s", 3, 1796083200000, 1796169600000, fixed("epoch 3", 32))
    body += struct.pack(">Iqq32s", 4, 1796169600000, 0, fixed("epoch 4", 32))
    return body + hashlib.sha256(body).digest()


def tree():
    """A value two wraps below the ring: epoch -> bucket key -> subject's key -> value."""
    subject, bucket, key = fixed("subject", 16), fixed("bucket", 32), fixed("subject's key", 32)
    wrapped_bucket = seal(fixed("epoch 4", 32), 4, e.EPOCH, "seal_key", "wrapped", struct.pack(">I", 77), 6, bucket, fixed("nonce 1", 12))
    wrapped = seal(bucket, 77, 0, "subject", "key", subject, 6, struct.pack(">I", 1) + key, fixed("nonce 2", 12))
    sealed = seal(key, 1, e.PADDED | e.SUBJECT, "person", "core", subject, 6, b"Ada", fixed("nonce 3", 12))
    return dict(organisation=6, number=77, bucket=wrapped_bucket.hex(), subject=subject.hex(), wrapped=wrapped.hex(), table="person", column="core",
                sealed=sealed.hex(), plain=b"Ada".hex())


vectors = dict(
    envelopes=list(envelopes()),
    macs=[dict(key=KEY.hex(), name=n, parts=[p.hex() for p in ps], sum=e.mac(KEY, n.encode(), *ps).hex())
          for n, ps in [("leaf", [b"ab", b"c"]), ("leaf", [b"a", b"bc"]), ("", [])]],
    blinds=[dict(key=KEY.hex(), kind=k, value=v, sum=e.blind(KEY, k, v).hex())
            for k, v in [("email", "ada@example.org"), ("phone", "+12025550143"), ("mrn", "ada@example.org"), ("email", "")]],
    tokens=list(tokens()),
    addresses=list(addresses()),
    ring=ring().hex(),
    tree=tree(),
)
(here / "vectors.json").write_text(json.dumps(vectors, indent=1) + "\n")
