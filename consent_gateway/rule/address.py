"""The client's address: find it behind trusted proxies, unwrap it, truncate it.

An address is handled as packed bytes (4 or 16) and never as an object that prints itself. What can't be parsed is
`None`, and the rule drops it: this module fails closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from .errors import ConfigError

Packed = bytes  # 4 bytes of IPv4 or 16 of IPv6, most significant first

_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291 2.5.5.2
_COMPATIBLE = bytes(12)  # ::/96, RFC 4291 2.5.5.1, deprecated
_TRANSLATED = bytes(8) + b"\xff\xff\0\0"  # ::ffff:0:0:0/96, RFC 2765
_NAT64 = bytes.fromhex("0064ff9b") + bytes(8)  # 64:ff9b::/96, RFC 6052
_NAT64_LOCAL = bytes.fromhex("0064ff9b0001")  # 64:ff9b:1::/48, RFC 8215
_SIX_TO_FOUR = bytes.fromhex("2002")  # 2002::/16, RFC 3056
_TEREDO = bytes.fromhex("20010000")  # 2001::/32, RFC 4380


Cut = tuple[int, int, bytes]  # whole bytes that are kept, the mask of the next one (0: all of it goes), zeros behind


def _cut(bits: int, size: int) -> Cut:
    whole, rest = bits >> 3, bits & 7
    return whole, (0xFF00 >> rest) & 0xFF if rest else 0, bytes(size - whole - bool(rest))


@dataclass(frozen=True, slots=True)
class Prefixes:
    """How many bits of an address are kept, for each family."""

    v4: int = 24
    v6: int = 48
    cuts: tuple[Cut, Cut] = field(init=False, repr=False, compare=False)  # of either family, worked out once

    def __post_init__(self) -> None:
        object.__setattr__(self, "cuts", (_cut(self.v4, 4), _cut(self.v6, 16)))
        if not (8 <= self.v4 <= 24 and 16 <= self.v6 <= 48):
            raise ConfigError(
                f"PREFIXES is /{self.v4} and /{self.v6}: allowed are /8 to /24 for IPv4, /16 to /48 for IPv6"
            )


def parse(text: str) -> Packed | None:
    """An address out of a header or a socket: brackets, port and zone id removed, wrapped IPv4 unwrapped.

    `None` when it isn't one (`unknown`, an obfuscated `_node`, a socket's path, rubbish).
    """
    try:  # most are plain
        return unwrap(inet_pton(AF_INET6 if ":" in text else AF_INET, text))
    except (OSError, ValueError):  # ValueError: a null byte or a lone surrogate in it
        pass
    text = text.strip().strip('"')
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        if not closed or (port and not (port.startswith(":") and port[1:].isascii() and port[1:].isdigit())):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not (port.isascii() and port.isdigit()):
            return None
    text = text.partition("%")[0]
    try:
        return unwrap(inet_pton(AF_INET6 if ":" in text else AF_INET, text))
    except (OSError, ValueError):
        return None


def unwrap(packed: Packed) -> Packed:
    """The IPv4 address inside an IPv6 one (mapped, compatible, translated, NAT64, 6to4, Teredo); others unchanged.

    A /48 of `2002:cb00:714d::1` would keep the whole of 203.0.113.77.
    """
    if len(packed) == 4:
        return packed
    head = packed[:12]
    if head in (_MAPPED, _NAT64, _TRANSLATED) or (head == _COMPATIBLE and packed[12:] > b"\0\0\0\1"):
        return packed[12:]
    if packed.startswith(_SIX_TO_FOUR):
        return packed[2:6]
    if packed.startswith(_TEREDO):
        return bytes(byte ^ 0xFF for byte in packed[12:])
    if packed.startswith(_NAT64_LOCAL):  # RFC 6052 2.2: at the end with /96, else at /48 around the reserved octet
        return packed[12:] if any(packed[12:]) else packed[6:8] + packed[9:11]
    return packed


def truncate(packed: Packed, prefixes: Prefixes) -> Packed:
    """The network of an (unwrapped) address: all bits behind the prefix are zero."""
    whole, mask, zeros = prefixes.cuts[0 if len(packed) == 4 else 1]
    if mask:
        return packed[:whole] + bytes([packed[whole] & mask]) + zeros
    return packed[:whole] + zeros


def to_text(packed: Packed) -> str:
    """As people write it."""
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


def cidr(network: Packed, prefixes: Prefixes) -> str:
    """A truncated address, in CIDR notation."""
    return _cidr(network, prefixes.v4 if len(network) == 4 else prefixes.v6)


@lru_cache(10_000)  # of networks, never of addresses
def _cidr(network: Packed, bits: int) -> str:
    return f"{to_text(network)}/{bits}"


class Networks:
    """A set of networks, as in `TRUSTED_PROXIES`; `unix` in it stands for a peer on a unix socket, which has none."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.unix = "unix" in texts
        self._ranges: list[tuple[bytes, bytes]] = []
        for text in texts:
            if text == "unix":
                continue
            try:
                network = ip_network(text)
            except ValueError as error:
                raise ConfigError(f"{text!r} is not a network: {error}; allowed are networks like 10.0.0.0/8") from None
            self._ranges.append((network.network_address.packed, network.broadcast_address.packed))

    def __contains__(self, packed: Packed | None) -> bool:
        if packed is not None:
            for low, high in self._ranges:
                if low <= packed <= high and len(low) == len(packed):
                    return True
        return False


def find(peer: str | None, header: str, values: Sequence[str], trusted: Networks) -> Packed | None:
    """The client's address, by the one header that is believed, walked from the right through trusted proxies.

    `peer` is who connected (`None` on a unix socket), `values` are the lines of the header named `header`, in order.
    What stands left of the first untrusted hop is whatever the client typed, and is never looked at.
    """
    packed = parse(peer) if peer else None
    if not (packed in trusted or (peer is None and trusted.unix)) or not values:
        return packed
    return behind(header, values, trusted)


def behind(header: str, values: Sequence[str], trusted: Networks) -> Packed | None:
    """The same when who connected is trusted. `values` are not empty."""
    hops = values[0].split(",") if len(values) == 1 else [hop for value in values for hop in value.split(",")]
    if header == "forwarded":
        hops = [_forwarded_for(hop) for hop in hops]
    elif header != "x-forwarded-for":
        hops = hops[-1:]  # X-Real-IP and its like name one address
    packed = None
    for hop in reversed(hops):
        packed = parse(hop)
        if packed not in trusted:  # an unparsable hop ends the walk too, as None
            return packed
    return packed


def _forwarded_for(element: str) -> str:
    """The `for` of one element of a `Forwarded` header (RFC 7239); empty when it has none."""
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            return value
    return ""
