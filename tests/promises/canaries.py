"""Canaries: addresses that must be found nowhere, in any spelling, and the scanner that looks for them.

A canary is known by its packed bytes. From these come the spellings: as people and programs write it, hexadecimal,
a number, base64 at each alignment, reversed, an unkeyed digest (or the number that its first 8 bytes are), raw bytes;
of IPv6 also whatever tells more than the /48 that may be kept.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
from base64 import b64encode
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from itertools import product
from pathlib import Path

_GRAM = 8  # the last bytes of a spelling, by which candidates are found; no spelling but the rawest is shorter
_SMALL = 1 << 16  # up to here a file is looked through for 4 raw bytes, which stand in larger ones by chance
_CHECK_SUM = re.compile(rb'"crc":"[0-9a-f]{8}"')  # of the spool's lines: thousands of random numbers of 4 bytes
_DIGESTS = (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.blake2b)


@dataclass(frozen=True)
class Canary:
    """One address. `sent` is the text in which it went out; `packed` the address that is meant, 4 or 16 bytes.

    `wrapped` is the IPv6 address around it (mapped, 6to4, Teredo, NAT64).
    """

    label: str
    sent: str
    packed: bytes
    wrapped: bytes = b""


@dataclass(frozen=True, order=True)
class Found:
    """A canary, where it was found and how it was spelled there."""

    where: str
    label: str
    spelling: str


def spellings(canary: Canary) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each. The 4 bytes named `raw` stand in much data by chance; what is named `number` or `short`
    stands in longer numbers and texts by chance, so it counts only where it stands alone."""
    yield from _of_v4(canary.packed) if len(canary.packed) == 4 else _of_v6(canary.packed)
    if canary.wrapped:
        yield from (("wrapped " + name, text) for name, text in _of_v6(canary.wrapped, whole=True))
        groups = [f"{high:x}{low:02x}" for high, low in zip(canary.packed[::2], canary.packed[1::2], strict=True)]
        yield "two groups", ":".join(groups).encode()
    yield from _encoded("sent", canary.sent)


def _of_v4(packed: bytes) -> Iterator[tuple[str, bytes]]:
    text = str(IPv4Address(packed))
    yield from _encoded("text", text)
    for name, octets in (
        ("padded", [f"{octet:03d}" for octet in packed]),
        ("octal", [f"0{octet:o}" for octet in packed]),
        ("hexadecimal octets", [f"0x{octet:x}" for octet in packed]),
        ("octets", [str(octet) for octet in packed]),
        ("octets backwards", [str(octet) for octet in reversed(packed)]),
    ):
        for joint in (".", "-", "_", ",", ", ", " ", "%2e", "%2E", "\\u002e"):
            yield f"{name} with {joint!r}", joint.join(octets).encode()
    for order, some in (("", packed), (" of bytes backwards", packed[::-1])):
        yield f"short hexadecimal{order}", some.hex().encode()
        yield f"short hexadecimal{order}", some.hex().upper().encode()
        yield f"number{order}", str(int.from_bytes(some)).encode()
        yield f"raw{order}", some
        yield from _printed(f"raw{order}", some)
    yield "number with sign", str(int.from_bytes(packed, signed=True)).encode()
    yield "short base64 of raw", b64encode(packed)
    yield from _digests("raw", packed)


def _of_v6(packed: bytes, *, whole: bool = False) -> Iterator[tuple[str, bytes]]:
    """`whole`: only the whole address, as a wrapping one tells nothing by its beginning."""
    address = IPv6Address(packed)
    groups = address.exploded.split(":")
    short = [group.lstrip("0") or "0" for group in groups]
    texts = {"compressed": address.compressed, "exploded": address.exploded, "short groups": ":".join(short)}
    if not whole:
        texts |= {"4 groups": ":".join(short[:4]), "4 exploded groups": ":".join(groups[:4])}
        texts |= {"interface": ":".join(short[-4:]), "exploded interface": ":".join(groups[-4:])}
        yield "raw 8 first bytes", packed[:8]
        yield "raw 8 last bytes", packed[8:]
        yield "hexadecimal of 8 first bytes", packed[:8].hex().encode()
        yield "hexadecimal of 8 last bytes", packed[8:].hex().encode()
    for name, text in texts.items():
        if len(text) < 9:  # `::1` and its like say nothing
            continue
        yield name, text.upper().encode()
        yield from _encoded(name, text, whole="group" not in name and "interface" not in name)
        for joint in ("-", "_", "%3a", "%3A", "\\u003a"):
            yield f"{name} with {joint!r}", text.replace(":", joint).encode()
            yield f"{name} with {joint!r}", text.upper().replace(":", joint).encode()
    nibbles = packed.hex()
    for name, text in (("hexadecimal", nibbles), ("hexadecimal backwards", nibbles[::-1])):
        yield name, text.encode()
        yield name, text.upper().encode()
        yield f"{name} with dots", ".".join(text).encode()
    for name, some in (("bytes", packed), ("bytes backwards", packed[::-1])):
        yield name, some
        yield from _printed(name, some)
    yield "number", str(int.from_bytes(packed)).encode()
    yield from _base64("raw", packed)
    yield from _digests("raw", packed)


def _printed(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Bytes as programs print them."""
    if len(printed := repr(data)[2:-1]) >= _GRAM:
        yield f"{name}, as Python prints it", printed.encode()
    yield f"{name}, escaped", "".join(f"\\x{byte:02x}" for byte in data).encode()
    for joint in ":- ":
        yield f"{name} in hexadecimal with {joint!r}", data.hex(joint).encode()
        yield f"{name} in hexadecimal with {joint!r}", data.hex(joint).upper().encode()


def _encoded(name: str, text: str, *, whole: bool = True) -> Iterator[tuple[str, bytes]]:
    yield name, text.encode()
    yield f"{name} backwards", text[::-1].encode()
    yield f"{name} in UTF-16", text.encode("utf-16-le")
    yield f"{name} in hexadecimal", text.encode().hex().encode()
    yield from _base64(name, text.encode())
    if whole:
        yield from _digests(name, text.encode())


def _base64(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """What stands in the base64 of anything that holds these bytes, at each of the three alignments."""
    for before in range(3):
        spare = -(before + len(data)) % 3
        text = b64encode(bytes(before) + data + bytes(spare))
        core = text[(0, 2, 3)[before] : len(text) - (0, 2, 3)[spare]]
        for some in {core, core.replace(b"+", b"-").replace(b"/", b"_")}:
            yield f"{name} in base64", some


def _digests(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    for digest in _DIGESTS:
        found = digest(data).digest()
        what = f"{name} in {digest().name}"
        yield what, found[:8].hex().encode()
        yield what, found[:8].hex().upper().encode()
        yield f"{what}, base64", b64encode(found)[:10]
        yield f"{what}, bytes", found[:8]
        yield f"number, {what}", str(int.from_bytes(found[:8])).encode()
        yield f"number, {what} backwards", str(int.from_bytes(found[:8], "little")).encode()


@dataclass
class Scanner:
    """Looks for all of some canaries at once. A piece of data that was clean once is not looked through again."""

    canaries: Iterable[Canary]
    _by_gram: dict[tuple[bytes], list[tuple[bytes, str, str]]] = field(default_factory=dict)
    _raw: dict[tuple[bytes], tuple[str, str]] = field(default_factory=dict)
    _clean: set[tuple[bytes, bool]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for canary in self.canaries:
            for name, text in set(spellings(canary)):
                if len(text) == 4:
                    self._raw[(text,)] = (canary.label, name)
                else:
                    assert len(text) >= _GRAM, (canary, name, text)
                    self._by_gram.setdefault((text[-_GRAM:],), []).append((text, canary.label, name))

    def look(self, where: str, data: bytes | str, *, raw: bool = False) -> list[Found]:
        """All that is found in some data; `raw` says that four bytes don't stand there by chance."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        mark = hashlib.sha256(data).digest(), raw
        if mark in self._clean:
            return []
        found = set(self._in_text(where, data))
        if raw:
            found |= {Found(where, *self._raw[gram]) for gram in _present(data, self._raw, 4)}
        if not found:
            self._clean.add(mark)
        return sorted(found)

    def _in_text(self, where: str, data: bytes) -> Iterator[Found]:
        for gram in _present(data, self._by_gram, _GRAM):
            for text, label, name in self._by_gram[gram]:
                loose = not name.startswith(("short", "number"))
                if text in data and (loose or re.search(rb"(?<![0-9A-Za-z])%b(?![0-9A-Za-z])" % re.escape(text), data)):
                    yield Found(where, label, name)

    def files(self, *folders: Path) -> list[Found]:
        """Every byte and every name below some folders. What vanishes meanwhile is not there."""
        found: list[Found] = []
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                name = f"{folder.name}/{path.relative_to(folder)}"
                found += self.look(f"the name {name}", str(path.relative_to(folder)))
                try:
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        # The store's parts are compressed, so random to the eye: its columns are read back instead.
                        data = _CHECK_SUM.sub(b"", allocated(path))
                        random = {"store", "keys"} & set(path.parts)
                        found += self.look(name, data, raw=len(data) <= _SMALL and not random)
                except FileNotFoundError:
                    continue
        return found


def _present(data: bytes, grams: Container[tuple[bytes]], size: int) -> set[tuple[bytes]]:
    """Which of these (of one size) stand in the data, at any place: all in C, a quarter of a microsecond a byte."""
    present: set[tuple[bytes]] = set()
    for start in range(min(size, len(data))):
        piece = memoryview(data)[start : start + (len(data) - start) // size * size]
        present.update(filter(grams.__contains__, struct.iter_unpack(f"{size}s", piece)))
    return present


def allocated(path: Path | str) -> bytes:
    """A file's bytes but for its holes, and for long rows of zeros."""
    handle = os.open(path, os.O_RDONLY)
    try:
        end, at, pieces = os.fstat(handle).st_size, 0, []
        while at < end:
            try:
                start = os.lseek(handle, at, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole until the end
                break
            at = os.lseek(handle, start, os.SEEK_HOLE)
            pieces.append(os.pread(handle, at - start, start))
        return re.sub(rb"\0{32,}", bytes(32), b"\0".join(pieces))
    finally:
        os.close(handle)


class Addresses:
    """Gives out addresses, each once, out of the ranges for documentation and tests (RFC 5737, 2544, 3849)."""

    def __init__(self) -> None:
        # three digits, so that none is the beginning of another
        self._v4 = (bytes([*net, last]) for net, last in product(_V4_NETS, range(100, 256)))
        self._v6 = iter(range(0x1234, 0xFFFF))

    def v4(self) -> bytes:
        return next(self._v4)

    def v6(self) -> bytes:
        group = next(self._v6)
        return bytes.fromhex(f"20010db885a3{group:04x}{group ^ 0x5A5A:04x}8a2e03707334")


_V4_NETS = ((203, 0, 113), (198, 51, 100), (192, 0, 2), *((198, 18, third) for third in range(100, 110)))
