#!/usr/bin/env python3
"""Opens sealed values of a Carepost database from its bytes alone; docs/formats/envelope.md explains each step.

Written from that description and not from the program, as a check of both and for the auditor. It needs python3-cryptography.

    envelope.py RING DATABASE ORGANISATION keys
        lists the organisation's keys and whether each opens
    envelope.py RING DATABASE ORGANISATION open TABLE COLUMN ROW ENVELOPE [SUBJECT WRAPPED]
        writes the value of an envelope; ROW, ENVELOPE, SUBJECT and WRAPPED are hexadecimal, DATABASE is an SQLite file
"""
import base64
import hashlib
import hmac
import sqlite3
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

LABEL = b"carepost/1"
PADDED, SUBJECT, EPOCH = 0x02, 0x04, 0x08
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def parts(*items):
    """Each item with its length before it, 4 bytes, big endian."""
    return b"".join(struct.pack(">I", len(i)) + i for i in items)


def associated(header, table, column, row, organisation):
    return header + parts(LABEL, table.encode(), column.encode(), row, struct.pack(">I", organisation))


def header(sealed):
    """Key id and flags."""
    version, key, flags = struct.unpack(">BIB", sealed[:6])
    if version != 1 or flags & ~(PADDED | SUBJECT | EPOCH) or len(sealed) < 34:
        raise ValueError("not an envelope of version 1")
    return key, flags


def open_envelope(key, sealed, table, column, row, organisation):
    _, flags = header(sealed)
    plain = AESGCM(key).decrypt(sealed[6:18], sealed[18:], associated(sealed[:6], table, column, row, organisation))
    if flags & PADDED:
        end = plain.rstrip(b"\0")
        if len(plain) % 32 or not end.endswith(b"\x80"):
            raise ValueError("the padding is wrong")
        plain = end[:-1]
    return plain


def derive(key, *use):
    return HKDFExpand(hashes.SHA256(), 32, parts(LABEL, *use)).derive(key)


def mac(key, name, *items):
    return hmac.new(derive(key, b"mac"), parts(name, *items), hashlib.sha256).digest()


def blind(root, kind, value):
    return hmac.new(derive(root, b"blind", kind.encode()), value.encode(), hashlib.sha256).digest()[:16]


def read_ring(data):
    """The ring's id and its epochs: number -> key."""
    if data[:16] != b"carepost ring 1\n" or hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise ValueError("not a whole ring")
    (count,) = struct.unpack(">I", data[32:36])
    epochs = {}
    for i in range(count):
        number, _made, _superseded, key = struct.unpack(">Iqq32s", data[36 + 52 * i : 88 + 52 * i])
        epochs[number] = key
    return data[16:32], epochs


def unwrap_key(epochs, organisation, number, wrapped):
    """A key of seal_key from its row."""
    epoch, flags = header(wrapped)
    if flags != EPOCH:
        raise ValueError("not wrapped by an epoch")
    return open_envelope(epochs[epoch], wrapped, "seal_key", "wrapped", struct.pack(">I", number), organisation)


def unwrap_subject(bucket, organisation, subject, wrapped):
    """A subject's key and its generation."""
    plain = open_envelope(bucket, wrapped, "subject", "key", subject, organisation)
    return plain[4:], struct.unpack(">I", plain[:4])[0]


def open_token(key, kind, text):
    sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    plain = open_envelope(key, sealed, "token", kind, b"", 0)
    return struct.unpack(">I", plain[:4])[0], plain[4:20], plain[20:]


def open_address(key, kind, text):
    bits = 0
    for c in text.lower():
        bits = bits << 5 | ALPHABET.index(c)
    raw = bits.to_bytes(30, "big")
    if not hmac.compare_digest(mac(key, b"address", kind.encode(), raw[:20])[:10], raw[20:]):
        raise ValueError("not an address of this installation")
    return struct.unpack(">I", raw[:4])[0], raw[4:20]


def stored_key(db, epochs, organisation, number):
    row = db.execute("select wrapped from seal_key where organisation_id = ? and id = ?", (organisation, number)).fetchone()
    if row is None or row[0] is None:
        raise ValueError(f"key {number} is not there or was destroyed")
    return unwrap_key(epochs, organisation, number, row[0])


def main(ring, database, organisation, command, *args):
    with open(ring, "rb") as f:
        _, epochs = read_ring(f.read())
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    organisation = int(organisation)
    if command == "keys":
        query = "select id, purpose, period, number, state, wrapped from seal_key where organisation_id = ? order by purpose, period, number"
        for number, purpose, period, again, state, wrapped in db.execute(query, (organisation,)):
            opens = wrapped is not None and len(unwrap_key(epochs, organisation, number, wrapped)) == 32
            print(number, purpose, period, again, state, "opens" if opens else "gone")
        return
    table, column, row, sealed, *subject = args
    row, sealed = bytes.fromhex(row), bytes.fromhex(sealed)
    number, flags = header(sealed)
    if flags & SUBJECT:
        who, wrapped = (bytes.fromhex(s) for s in subject)
        bucket = stored_key(db, epochs, organisation, header(wrapped)[0])
        key, generation = unwrap_subject(bucket, organisation, who, wrapped)
        if generation != number:
            raise ValueError("sealed under another generation of the subject's key")
    else:
        key = stored_key(db, epochs, organisation, number)
    sys.stdout.buffer.write(open_envelope(key, sealed, table, column, row, organisation))


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
