"""Addresses: found behind trusted proxies only, unwrapped whatever they hide in, and cut short."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consent_gateway.rule.address import Networks, Prefixes, cidr, find, parse, to_text, truncate, unwrap
from consent_gateway.rule.errors import ConfigError

v4 = st.ip_addresses(v=4).filter(lambda address: int(address) > 1)
v6 = st.ip_addresses(v=6)
low = st.integers(0, 2**32 - 1)


def wrappings(address: IPv4Address, other: int) -> dict[str, int]:
    """The ways in which an IPv6 address holds an IPv4 one. `other` fills what the wrapping leaves free."""
    number = int(address)
    high, lower = number >> 16, number & 0xFFFF
    return {
        "mapped": 0xFFFF << 32 | number,
        "compatible": number,
        "translated": 0xFFFF << 48 | number,
        "6to4": 0x2002 << 112 | number << 80 | other,
        "Teredo": 0x20010000 << 96 | other << 64 | 0x8000 << 48 | other % 65536 << 32 | (number ^ 0xFFFFFFFF),
        "NAT64": 0x64FF9B << 96 | number,
        "NAT64 of one's own, /96": 0x64FF9B0001 << 80 | number,
        "NAT64 of one's own, /48": 0x64FF9B0001 << 80 | high << 64 | lower << 40,
    }


@given(v4, low, st.data())
def test_a_wrapped_ipv4_is_that_ipv4(address: IPv4Address, other: int, data: st.DataObject) -> None:
    for name, number in wrappings(address, other).items():
        wrapped = IPv6Address(number)
        texts = [wrapped.compressed, wrapped.exploded, wrapped.compressed.upper(), f"[{wrapped}]", f"[{wrapped}]:443"]
        if number >> 32 in (0xFFFF, 0x64FF9B << 64):
            texts.append(f"{IPv6Address(number >> 32 << 32).compressed.removesuffix('0:0')}{address}")
        for text in texts:
            assert parse(text) == address.packed, name


@given(v4)
def test_mapped_as_dotted(address: IPv4Address) -> None:
    for text in (
        f"::ffff:{address}",
        f"::FFFF:{address}",
        f"::{address}",
        f"64:ff9b::{address}",
        f"::ffff:0:{address}",
    ):
        assert parse(text) == address.packed


@pytest.mark.parametrize("text", ["::", "::1", "fe80::1", "2001:db8::1", "2001:1::1", "2003::1", "64:ff9c::1:2"])
def test_other_ipv6_stays_itself(text: str) -> None:
    assert parse(text) == ip_address(text).packed


@given(v4 | v6, st.sampled_from(["", ":1", ":65535"]), st.sampled_from(["", " ", "\t", "  "]), st.booleans())
def test_what_stands_around_an_address(address: IPv4Address | IPv6Address, port: str, space: str, quoted: bool) -> None:
    plain = parse(str(address))
    bracketed = f"[{address}]{port}" if address.version == 6 else f"{address}{port}"
    text = f'{space}"{bracketed}"{space}' if quoted else f"{space}{bracketed}{space}"
    assert parse(text) == plain is not None
    if address.version == 6:
        assert parse(f"{address}%eth0") == parse(f"[{address}%25eth0]{port}") == plain


RUBBISH = """
    unknown _hidden _SEVKISEK 203.0.113 203.0.113.256 203.0.113.77.1 0313.0.113.77 0xcb.0.113.77 3405803853
    203.0.113.77: 203.0.113.77:http 203.0.113.77:-1 :80 [203.0.113.77 [2001:db8::1 2001:db8::1] [2001:db8::1]x
    [2001:db8::1]: [2001:db8::1]:port 2001:db8::1::2 2001:db8::12345 1:2:3:4:5:6:7:8:9 /var/run/site.sock unix:
    203.0.113.77/24 203.0.113.77,198.51.100.1 ::ffff:203.0.113.256 203.0.113.77\0 \ud800 ２０３.0.113.77
"""  # noqa: RUF001


@pytest.mark.parametrize("text", RUBBISH.split())
def test_rubbish_is_no_address(text: str) -> None:
    assert parse(text) is None


def test_a_port_is_ascii_digits() -> None:
    assert parse("203.0.113.77:٨٠") is parse("[2001:db8::1]:٨٠") is parse("") is parse(" ") is parse("[]") is None


@given(st.text() | st.text(alphabet="0123456789abcdef:.[]%\"' ,;\0/\ud800", max_size=60))
@example("\ud800")
@example("1" * 10_000)
@example("[" * 1000)
def test_no_text_makes_it_fail(text: str) -> None:
    packed = parse(text)
    assert packed is None or len(packed) in (4, 16)
    assert find(text, "x-forwarded-for", [text, text], Networks(["0.0.0.0/0", "::/0"])) in (
        packed,
        parse(text[-1:]),
        None,
    )


prefixes = st.builds(Prefixes, st.integers(8, 24), st.integers(16, 48))


@given(st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16), prefixes)
def test_truncation_keeps_the_prefix_and_nothing_else(packed: bytes, prefixes: Prefixes) -> None:
    cut = truncate(packed, prefixes)
    bits = prefixes.v4 if len(packed) == 4 else prefixes.v6
    assert cut == ip_network((packed, bits), strict=False).network_address.packed
    assert truncate(cut, prefixes) == cut
    assert cidr(truncate(packed, prefixes), prefixes) == str(ip_network((packed, bits), strict=False))
    assert unwrap(unwrap(packed)) == unwrap(packed) or packed.startswith((b"\x20\x02", b"\x20\x01\0\0"))


@given(v4, low)
def test_no_wrapping_saves_an_ipv4_from_truncation(address: IPv4Address, other: int) -> None:
    expected = str(ip_network(f"{address}/24", strict=False))
    for number in wrappings(address, other).values():
        packed = parse(str(IPv6Address(number)))
        assert packed is not None and cidr(truncate(packed, Prefixes()), Prefixes()) == expected


@given(v4 | v6)
def test_text_and_back(address: IPv4Address | IPv6Address) -> None:
    packed = parse(str(address))
    assert packed is not None and parse(to_text(packed)) == packed


@pytest.mark.parametrize(("v4_bits", "v6_bits"), [(25, 48), (24, 49), (7, 48), (24, 15), (32, 128), (0, 0)])
def test_prefixes_that_keep_too_much_or_nothing_are_refused(v4_bits: int, v6_bits: int) -> None:
    with pytest.raises(ConfigError, match=rf"/{v4_bits} and /{v6_bits}: allowed are /8 to /24"):
        Prefixes(v4_bits, v6_bits)


# Who is the client? P, Q are proxies of ours in 10.0.0.0/8 and 2001:db8:aaaa::/48; C is the client; S is spoofed.
P, Q, P6, C, C6, S = "10.0.0.1", "10.0.0.2", "2001:db8:aaaa::1", "203.0.113.77", "2001:db8::77", "198.51.100.9"
TRUSTED = ["10.0.0.0/8", "2001:db8:aaaa::/48"]

FOUND: list[tuple[str, str | None, str, list[str], list[str], str | None]] = [
    # what                                 peer   header             its lines                        trusted  client
    ("nobody is trusted",                  C,     "x-forwarded-for", [S],                             [],      C),
    ("a stranger's header is ignored",     C,     "x-forwarded-for", [S],                             TRUSTED, C),
    ("a proxy without a header",           P,     "x-forwarded-for", [],                              TRUSTED, P),
    ("one proxy",                          P,     "x-forwarded-for", [C],                             TRUSTED, C),
    ("with a port",                        P,     "x-forwarded-for", [f"{C}:4711"],                   TRUSTED, C),
    ("IPv6",                               P6,    "x-forwarded-for", [C6],                            TRUSTED, C6),
    ("IPv6 in brackets, with a port",      P6,    "x-forwarded-for", [f"[{C6}]:4711"],                TRUSTED, C6),
    ("a mapped peer is the IPv4 proxy",    f"::ffff:{P}", "x-forwarded-for", [C],                     TRUSTED, C),
    ("two proxies",                        P,     "x-forwarded-for", [f"{C}, {Q}"],                   TRUSTED, C),
    ("spoofed leftmost",                   P,     "x-forwarded-for", [f"{S}, {C}"],                   TRUSTED, C),
    ("spoofed as one of ours",             P,     "x-forwarded-for", [f"{Q}, {C}, {Q}"],              TRUSTED, C),
    ("spoofed in a line before",           P,     "x-forwarded-for", [S, f"{C}, {Q}"],                TRUSTED, C),
    ("proxies in a line of their own",     P,     "x-forwarded-for", [f"{S}, {C}", Q],                TRUSTED, C),
    ("rubbish left of the client",         P,     "x-forwarded-for", [f"x, , {C}"],                   TRUSTED, C),
    ("only proxies: the farthest",         P,     "x-forwarded-for", [Q],                             TRUSTED, Q),
    ("the client's hop says nothing",      P,     "x-forwarded-for", ["unknown"],                     TRUSTED, None),
    ("an unparsable hop ends the walk",    P,     "x-forwarded-for", [f"{S}, unknown, {Q}"],          TRUSTED, None),
    ("an empty header",                    P,     "x-forwarded-for", [""],                            TRUSTED, None),
    ("a comma at the end",                 P,     "x-forwarded-for", [f"{C},"],                       TRUSTED, None),
    ("an unparsable peer",                 "x",   "x-forwarded-for", [C],                             TRUSTED, None),
    ("a unix socket, trusted",             None,  "x-forwarded-for", [C],                             ["unix"], C),
    ("a unix socket, and a proxy behind",  None,  "x-forwarded-for", [f"{S}, {C}, {P}"],  ["unix", *TRUSTED], C),
    ("a unix socket, not trusted",         None,  "x-forwarded-for", [C],                             TRUSTED, None),
    ("a unix socket without a header",     None,  "x-forwarded-for", [],                              ["unix"], None),
    ("an empty peer is no unix socket",    "",    "x-forwarded-for", [C],                             ["unix"], None),
    ("X-Real-IP",                          P,     "x-real-ip",       [C],                             TRUSTED, C),
    ("X-Real-IP twice: the nearer",        P,     "x-real-ip",       [S, C],                          TRUSTED, C),
    ("X-Real-IP is no list: the nearer",   P,     "x-real-ip",       [f"{S}, {C}"],                   TRUSTED, C),
    ("Forwarded",                          P,     "forwarded",       [f"for={C}"],                    TRUSTED, C),
    ("Forwarded, with more",               P,     "forwarded",       [f"by={Q};For={C};proto=https"], TRUSTED, C),
    ("Forwarded, quoted IPv6 with port",   P,     "forwarded",       [f'for="[{C6}]:4711"'],          TRUSTED, C6),
    ("Forwarded, spaces",                  P,     "forwarded",       [f"proto=https ; for = {C}"],    TRUSTED, C),
    ("Forwarded, spoofed leftmost",        P,     "forwarded",       [f"for={S}, for={C}, for={Q}"],  TRUSTED, C),
    ("Forwarded, several lines",           P,     "forwarded",       [f"for={S}", f"for={C}"],        TRUSTED, C),
    ("Forwarded, obfuscated",              P,     "forwarded",       [f"for={S}, for=_hidden"],       TRUSTED, None),
    ("Forwarded, without for",             P,     "forwarded",       [f"for={S}, proto=https"],       TRUSTED, None),
    ("Forwarded, an open quote before",    P,     "forwarded",       [f'for="{S}, for={C}'],          TRUSTED, C),
]  # fmt: skip


@pytest.mark.parametrize(
    ("peer", "header", "lines", "trusted", "client"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND]
)
def test_who_is_the_client(
    peer: str | None, header: str, lines: list[str], trusted: list[str], client: str | None
) -> None:
    expected = ip_address(client).packed if client else None
    assert find(peer, header, lines, Networks(trusted)) == expected


hops = st.lists(st.one_of(v4.map(str), v6.map(str), st.sampled_from([P, Q, P6, "unknown", "", "x"])), max_size=6)


@given(hops, v4.filter(lambda address: not str(address).startswith("10.")))
def test_what_a_client_types_never_counts(typed: list[str], client: IPv4Address) -> None:
    """Whatever stands left of the hop that our own proxies wrote, in the same line or in lines before it."""
    trusted = Networks(TRUSTED)
    assert find(P, "x-forwarded-for", [", ".join([*typed, str(client)])], trusted) == client.packed
    assert find(P, "x-forwarded-for", [*typed, f"{client}, {Q}"], trusted) == client.packed
    assert find(str(client), "x-forwarded-for", typed, trusted) == client.packed


@given(st.lists(st.ip_addresses().map(lambda address: f"{address}/{24 if address.version == 4 else 48}"), max_size=5),
       v4 | v6)  # fmt: skip
def test_networks_contain_what_is_in_them(texts: list[str], address: IPv4Address | IPv6Address) -> None:
    ranges = [ip_network(text, strict=False) for text in texts]
    networks = Networks([str(network) for network in ranges])
    assert (address.packed in networks) == any(address in network for network in ranges)
    assert None not in networks


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy", "10.0.0.0/33", "2001:db8::/129", ""])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a network.*allowed are networks like"):
        Networks([text])
