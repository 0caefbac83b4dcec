"""Addresses from the documentation ranges (RFC 5737, RFC 3849) and the ways in which people and programs write them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import quote

from hypothesis import strategies as st

Address = IPv4Address | IPv6Address


def _within(network: IPv4Network | IPv6Network) -> st.SearchStrategy[Address]:
    return st.integers(0, network.num_addresses - 1).map(lambda number: network[number])


addresses: st.SearchStrategy[Address] = st.one_of(
    *(_within(IPv4Network(text)) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")),
    _within(IPv6Network("2001:db8::/32")),
)


def spellings_of(address: Address) -> list[str]:
    """What a text may hold instead of the address."""
    plain = _v4(address) if isinstance(address, IPv4Address) else _v6(address)
    encoded = [quote(text, safe="") for text in plain]
    every = ["".join(f"%{ord(char):02x}" for char in text) for text in plain]
    wide = ["".join(chr(ord(char) + 0xFEE0) for char in text) for text in plain]
    return list(dict.fromkeys([*plain, *encoded, *every, *map(quote, encoded), *wide, *map(quote, wide)]))


def _v4(address: IPv4Address) -> list[str]:
    number, text = int(address), str(address)
    inside_v6 = (
        0xFFFF << 32 | number,  # mapped
        0x2002 << 112 | number << 80 | 1,  # 6to4
        0x64FF9B << 96 | number,  # NAT64
        0x20010000 << 96 | 0xC6336401 << 64 | (number ^ 0xFFFFFFFF),  # Teredo: the client's address is inverted
    )
    return [
        text,
        f"{text}:51234",
        text.replace(".", "-"),
        text.replace(".", "_"),
        f"::ffff:{text}",
        f"64:ff9b::{text}",
        f"0x{number:08x}",
        *(form for inner in inside_v6 for form in _v6(IPv6Address(inner))),
    ]


def _v6(address: IPv6Address) -> list[str]:
    short, long = address.compressed, address.exploded
    return [short, long, short.upper(), f"[{short}]", f"[{short}]:443", f"{short}%eth0", long.replace(":", "-")]


def embedded(address: Address) -> st.SearchStrategy[str]:
    """A spelling with something around it that makes it no other text."""
    around = st.sampled_from(["", "ip-", "user.", "x ", "=", "(", "~", "é", "\u200b"])
    behind = st.sampled_from(["", "-x", ".html", " y", ")", "~", "é", "\u200b"])
    return st.builds(lambda a, b, c: a + b + c, around, st.sampled_from(spellings_of(address)), behind)


def left_of(address: Address, *outputs: str) -> list[str]:
    """The spellings that are still in any of the outputs: must be empty."""
    return [form for form in spellings_of(address) for text in outputs if form.lower() in text.lower()]
