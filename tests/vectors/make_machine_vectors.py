"""Makes tree, stream and extension vectors from their written description; knows nothing of abci_app.

Run it as `python tests/vectors/make_machine_vectors.py`; the files beside it are committed. A change of a committed
vector is a change of the protocol.
"""

import json
import struct
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent


def text(number: int) -> bytes:
    """An unbounded integer of a record: one byte of length, then minimal big-endian bytes."""
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes([len(body)]) + body


def blob(data: bytes) -> bytes:
    """Byte string of a record: u32 length, then the bytes."""
    return struct.pack(">I", len(data)) + data


# --- tree -----------------------------------------------------------------------------------------------------------


def root_of(pairs: dict[bytes, bytes]) -> bytes:
    """The app hash by its definition."""
    leaves = []
    for key, value in pairs.items():
        path = sha256(key).digest()
        bits = "".join(f"{byte:08b}" for byte in path)
        leaves.append((bits, sha256(b"\0\x20" + path + b"\x20" + sha256(value).digest()).digest()))

    def below(group: list[tuple[str, bytes]], bit: int) -> bytes:
        if len(group) == 1:
            return group[0][1]
        sides = [[leaf for leaf in group if leaf[0][bit] == side] for side in "01"]
        if not all(sides):
            return below(sides[0] or sides[1], bit + 1)
        return sha256(b"\x01" + below(sides[0], bit + 1) + below(sides[1], bit + 1)).digest()

    return below(leaves, 0) if leaves else sha256(b"").digest()


def tree_vectors() -> dict[str, object]:
    """A history of batches, each with the root after it."""
    history: list[dict[bytes, bytes | None]] = [
        {},
        {b"chain": b"\x01"},
        {b"params": b"\x02" * 40, b"domain/0000001111": b"\x03"},
        {b"transfer/%02d" % number: bytes([number]) * (number + 1) for number in range(32)},
        {b"transfer/%02d" % number: None for number in range(0, 32, 3)},
        {b"chain": b"\x04", b"nothing/there": None, b"transfer/00": b"again"},
        {b"transfer/%02d" % number: None for number in range(32)},
        {b"chain": None, b"params": None, b"domain/0000001111": None},
    ]
    pairs: dict[bytes, bytes] = {}
    steps = []
    for changes in history:
        for key, value in changes.items():
            if value is None:
                pairs.pop(key, None)
            else:
                pairs[key] = value
        shown = {key.hex(): None if value is None else value.hex() for key, value in changes.items()}
        steps.append({"changes": shown, "root": root_of(pairs).hex()})
    return {"about": "batches of changes (hex; null deletes) and the app hash after each (TRE-1)", "steps": steps}


# --- stream ---------------------------------------------------------------------------------------------------------

DOMAIN, CHAIN_ID, CONNEXT = 1111, 31337, b"\xc1" * 20
U256 = 2**256 - 1


def header(number: int, end: tuple[int, int], block_hash: bytes, time_s: int, count: int) -> bytes:
    """A segment's header (SEG-2)."""
    fixed = struct.pack(">IQ", DOMAIN, CHAIN_ID) + CONNEXT + struct.pack(">HII", 1, 8, 120)
    return fixed + struct.pack(">QQI", number, *end) + block_hash + struct.pack(">QH", time_s, count)


def projections() -> list[tuple[int, str, bytes]]:
    """(kind, name, bytes) of one event of each kind; the test builds the same values from the same rule."""
    word, address = b"\x0e" * 32, b"\x0a" * 20
    info = (
        struct.pack(">III", 1111, 2222, 1111) + b"\x01" * 20 + b"\x02" * 20 + b"\x01" + blob(b"\xca\xfe") + text(300)
        + b"\x03" * 20 + text(10**18) + text(U256) + text(0) + b"\x04" * 32
    )
    fees = struct.pack(">H", 1) + bytes(20) + text(77)
    two = struct.pack(">IH", 2, 2) + b"\x05" * 20 + b"\x06" * 20 + b"\0"
    hashed = struct.pack(">IH", 17, 0) + b"\x01" + word
    amount = address + b"\x0b" * 20 + text(5)
    return [
        (1, "XCalled", word + struct.pack(">Q", 7) + info + b"\0" + struct.pack(">I", 2) + address + text(8)
         + b"\x0b" * 20 + fees + b"\x0c" * 32),
        (2, "Executed", word + struct.pack(">II", 2222, 1111) + b"\x04" * 32 + text(9) + two + b"\x07" * 20
         + address + b"\x0b" * 20 + text(8) + b"\x08" * 20 + b"\x0c" * 32),
        (3, "Reconciled", word + struct.pack(">I", 2222) + address + hashed + text(9) + b"\x0c" * 32),
        (4, "RouterLiquidityAdded", amount), (5, "RouterLiquidityRemoved", amount),
        (6, "RouterAdded", address), (7, "RouterRemoved", address),
        (8, "RouterAllowlistRemoved", b"\x01"), (9, "OwnershipTransferred", bytes(20)),
        (10, "MaxRoutersPerTransferUpdated", text(5)), (11, "LiquidityFeeNumeratorUpdated", text(9995)),
        (12, "Paused", b""), (13, "Unpaused", b""),
        (14, "AssetAdded", struct.pack(">I", 1111) + b"\x04" * 32 + address + b"\x0b" * 20), (15, "AssetRemoved", word),
        (16, "RelayerFeesIncreased", word + address + text(5)), (17, "SlippageUpdated", word + text(100)),
        (18, "ForceReceiveLocal", word), (19, "SequencerChanged", address + b"\x01"),
        (20, "RelayerChanged", address + b"\0"), (21, "RoleChanged", address + struct.pack(">H", 3)),
        (22, "PortalMinted", word + address + b"\x0b" * 20 + text(5)),
        (23, "PortalRepaid", word + address + b"\x0b" * 20), (24, "PortalApprovalChanged", address + b"\x01"),
        (25, "DiamondCut", word),
    ]


def stream_vectors() -> dict[str, object]:
    """The first digest, an empty segment, and one with an event of each kind."""
    first = sha256(b"consensus-routing/stream" + header(0, (100, 2**32 - 1), b"\x0d" * 32, 1_700_000_000, 0)).digest()
    empty = header(1, (120, 2**32 - 1), b"\x1d" * 32, 1_700_000_240, 0)
    events = projections()
    full = header(2, (128, 2**32 - 1), b"\x2d" * 32, 1_700_000_256, len(events))
    for index, (kind, _, body) in enumerate(events):
        full += struct.pack(">QIHH", 121 + index // 4, index, kind, len(body)) + body
    second = sha256(first + empty).digest()
    return {
        "about": "projections by kind, canonical segments, running digests (SEG-2, SEG-4)",
        "events": [{"kind": kind, "name": name, "bytes": body.hex()} for kind, name, body in events],
        "first_digest": first.hex(),
        "segments": [
            {"number": 1, "bytes": empty.hex(), "digest": second.hex()},
            {"number": 2, "bytes": full.hex(), "digest": sha256(second + full).hexdigest()},
        ],
    }


# --- extension ------------------------------------------------------------------------------------------------------


def extension(signatures: list[tuple[int, int, bytes]], reports: list[tuple[int, int, list[bytes]]]) -> bytes:
    """A vote extension (EXT-1)."""
    out = b"\x01" + struct.pack(">H", len(signatures))
    for height, epoch, signature in signatures:
        out += struct.pack(">QQ", height, epoch) + signature
    out += struct.pack(">H", len(reports))
    for domain, first, digests in reports:
        out += struct.pack(">IQH", domain, first, len(digests)) + b"".join(digests)
    return out


def extension_vectors() -> dict[str, object]:
    """Extensions, and an injected commit that carries one (COM-1)."""
    cases = [
        ([(7, 1, b"\x51" * 65)], []),
        ([], [(1111, 1, [b"\xd1" * 32])]),
        (
            [(7, 1, b"\x51" * 65), (8, 1, b"\x52" * 65)],
            [(1111, 5, [b"\xd1" * 32, b"\xd2" * 32]), (2222, 9, [b"\xd3" * 32])],
        ),
    ]
    last = extension(*cases[-1])
    entries = [(2, last, b"\xed" * 64), (1, b"", b""), (3, b"", b""), (2, b"", b""), (2, b"", b"\xee" * 64)]
    commit = struct.pack(">HHIH", 1, 1, 3, len(entries))
    for flag, body, signature in entries:
        commit += bytes([flag]) + blob(body) + blob(signature)
    return {
        "about": "vote extensions (EXT-1) and the injected commit (COM-1)",
        "extensions": [{
            "signatures": [[height, epoch, signature.hex()] for height, epoch, signature in signatures],
            "reports": [[domain, first, [digest.hex() for digest in digests]] for domain, first, digests in reports],
            "bytes": extension(signatures, reports).hex(),
        } for signatures, reports in cases],
        "commit": {
            "round": 3,
            "entries": [[flag, body.hex(), signature.hex()] for flag, body, signature in entries],
            "bytes": commit.hex(),
        },
    }


def make_all() -> dict[str, dict[str, object]]:
    """All vectors by file name."""
    return {
        "tree_vectors.json": tree_vectors(), "stream_vectors.json": stream_vectors(),
        "extension_vectors.json": extension_vectors(),
    }


if __name__ == "__main__":
    for name, vectors in make_all().items():
        (HERE / name).write_text(json.dumps(vectors, indent=1) + "\n")
