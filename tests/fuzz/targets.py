"""What is fuzzed that has no property test beside its own tests: a parser, what it is fed, and what must hold.

Each target is a strategy and a check that raises when something is wrong. A refusal in our own words is no fault.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import strategies as st
from pydantic import ValidationError

from consent_gateway.answers.question import Question
from consent_gateway.config.notices import words
from consent_gateway.config.settings import Settings
from consent_gateway.edge.arrival import Desk
from consent_gateway.edge.choices import _from_form
from consent_gateway.edge.done import Done
from consent_gateway.edge.origins import Origins
from consent_gateway.edge.proof import consent_of_receipt
from consent_gateway.edge.server_events import ServerEvents
from consent_gateway.edge.wire import MAX_EVENTS, WireChoice, WireRight, faults, read_events
from consent_gateway.record.chain import lines
from consent_gateway.record.cookie import read_kept
from consent_gateway.record.signature import is_genuine, key_id, signed
from consent_gateway.record.spool import line, read_lines
from consent_gateway.rule.address import Networks, Prefixes
from consent_gateway.rule.errors import ConfigError
from consent_gateway.store.backup import BackupError
from consent_gateway.store.restore import check as check_backup
from tests.enrich.spellings import spellings_of

CANARY = "203.0.113.77"


@dataclass(frozen=True)
class Target:
    inputs: st.SearchStrategy[Any]
    check: Callable[[Any], object]


_texts = st.text(max_size=60)
_latin = st.binary(max_size=80)
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)


def _near(fields: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """JSON objects that are nearly right: known names, values of any kind, a few that fit."""
    values = {name: st.sampled_from([fit]) | _json for name, fit in fields.items()}
    one = st.fixed_dictionaries({}, optional=values) | st.dictionaries(_texts, _json, max_size=3)
    many = one | st.lists(one, max_size=4) | _json
    text = st.builds(lambda value: json.dumps(value).encode(), many)
    return text | st.binary(max_size=200) | st.builds(lambda body, cut: body[:cut], text, st.integers(0, 60))


# requests

_NAMES = [
    "host", "cookie", "x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "origin", "sec-gpc", "dnt",
    "sec-fetch-site", "x-forwarded-proto", "user-agent", "referer", "accept-language", "purpose", "X-Forwarded-For",
    "x_forwarded_for", "my-client-ip",
]  # fmt: skip
_header = st.tuples(
    st.sampled_from(_NAMES).map(str.encode) | _latin,
    _latin
    | st.sampled_from(spellings_of(IPv4Address(CANARY))).map(lambda text: text.encode())
    | st.just(b"for=203.0.113.77;by=x"),
)
_client = st.none() | st.tuples(
    st.sampled_from([CANARY, "10.0.0.1", "127.0.0.1", "::ffff:203.0.113.77", "", "x"]), st.just(1)
)


@cache
def _desks() -> list[Desk]:
    trusted = Networks(["127.0.0.0/8", "10.0.0.0/8", "unix"])
    names = ("X-Forwarded-For", "Forwarded", "X-Real-IP")
    return [Desk(trusted, name, Prefixes(), keep_address=kept) for name in names for kept in (True, False)]


_HANDED_ON = {"x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "x_forwarded_for", "my-client-ip"}


def _request(asked: tuple[list[tuple[bytes, bytes]], Any]) -> None:
    headers, client = asked
    for desk in _desks():
        scope = {"type": "http", "headers": list(headers), "client": client, "scheme": "http"}
        arrival = desk.read(scope)
        assert CANARY not in repr(arrival)
        desk.scrub(scope, arrival)
        left = [value for name, value in scope["headers"] if name.decode("latin-1").lower() in _HANDED_ON]
        assert CANARY not in repr(scope["client"]) and not any(CANARY.encode() in value for value in left)
        Origins(["https://a.example"]).refusal(arrival)
        desk.scrub_blind(scope)


_EVENT = {
    "type": "page_view", "url": "http://a/b", "view": "0" * 16, "id": "1" * 16, "age_ms": 5, "referrer": "",
    "name": "n", "props": {"a": "b"}, "engaged_ms": 1, "scroll_pct": 100, "timings": {"cls": 0.1}, "screen": "sm",
}  # fmt: skip


def _events(body: bytes) -> None:
    events, wrong, sent = read_events(body)
    assert 0 <= len(events) <= sent <= MAX_EVENTS and (wrong or len(events) == sent)
    assert len(json.dumps(wrong)) < 40_000
    assert all(event.type and event.url for event in events)


def _server_events(body: bytes) -> None:
    class Rule:
        keep_address = True

    class Edge:
        class recorder:
            rule = Rule

    taker = ServerEvents.__new__(ServerEvents)
    taker._edge = Edge  # type: ignore[assignment]
    events, wrong, sent = taker._parse(body, 1_800_000_000_000)
    assert len(events) <= sent <= MAX_EVENTS and (wrong or len(events) == sent)


def _model(model: type[WireChoice] | type[WireRight]) -> Callable[[bytes], None]:
    def check(body: bytes) -> None:
        try:
            model.model_validate_json(body)
        except ValidationError as error:
            assert len(json.dumps(faults(error))) < 10_000

    return check


def _choice_form(body: bytes) -> None:
    try:
        assert isinstance(_from_form(body), WireChoice)
    except ValueError:  # a ValidationError is one
        return


def _done(mark: str) -> None:
    assert Done(["s" * 32]).words(mark, words("privacy", "en"), "en") == ("", True)


# proofs


@cache
def _key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def _receipt(sent: tuple[Any, str, Any]) -> None:
    document, field, value = sent
    keys = {key_id(_key().public_key()): _key().public_key()}
    assert consent_of_receipt(document if isinstance(document, str) else json.dumps(document), keys) == ("", "")
    genuine = signed({"@type": "ConsentReceipt", "site": "shop", "record_id": "r"}, _key())
    assert is_genuine(genuine, keys)
    assert not is_genuine(genuine | {field: value}, keys) or genuine.get(field) == value


# files


def _segment(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "segment"
        ours = line(b"b", b'{"site":"s"}')
        path.write_bytes(ours + data + b"\n" + ours)
        whole, broken = read_lines(path)
        assert whole.count(ours) >= 2 and b"".join(whole + broken).count(b"\n") >= 3


def _ledger(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "2026-11.jsonl").write_bytes(data)
        for one in lines(Path(folder)):
            assert one.record is None or isinstance(one.record, dict)


def _backup(data: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        try:
            check_backup(file, lambda words, done, of: None)
        except BackupError as error:
            assert "\n" not in str(error)
        else:
            raise AssertionError("rubbish is no backup")


@cache
def _packed() -> bytes:
    """Something that begins as a backup does."""
    import gzip
    import tarfile

    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for name, text in (("store/events/000001.tsv", b"a\tb\n"), ("manifest.json", b'{"format": 1}')):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return out.getvalue()


def _mutated(data: bytes, at: int, byte: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([byte]) + data[at + 1 :]


# questions and settings

_PARTS = ("site", "from", "to", "bots", "limit", "interval", "compare", "filter", "step", "format")


def _question(values: list[tuple[str, str]]) -> None:
    try:
        asked = Question.parse(
            values, sites=frozenset({"shop"}), zone=ZoneInfo("Europe/Brussels"), today=date(2026, 11, 28)
        )
    except ConfigError as error:
        assert len(str(error)) < 2500
        return
    assert asked.site == "shop" and asked.start < asked.end
    again = Question.parse(asked.query(), sites=frozenset({"shop"}), zone=asked.zone, today=date(2026, 11, 28))
    assert again == asked


def _settings(values: dict[str, str]) -> None:
    try:
        Settings(**values)
    except ConfigError as error:
        assert str(error).startswith("CONSENT_GATEWAY_")


_digits = st.integers(1, 6000).map(lambda length: "9" * length)
_dates = st.dates().map(str) | st.sampled_from(["0000-00-00", "2026-02-30", "9999-12-31", "0001-01-01"])
_asked = st.tuples(
    st.sampled_from(_PARTS) | _texts,
    _texts
    | _digits
    | _dates
    | st.sampled_from(["path=/a", "path!=", "event:x", "/a*", "day", "previous", "yes", "@a"]),
)
_set = st.dictionaries(
    st.sampled_from(sorted(set(Settings.model_fields) - {"DATA_DIR", "KEYS_DIR"})),
    _texts | st.sampled_from(["1", "https://a.eu=shop", "10.0.0.0/8", "redis://localhost", "chdb:///x", "/a", "24,48"]),
    max_size=2,
)

TARGETS: dict[str, Target] = {
    "headers of a request": Target(st.tuples(st.lists(_header, max_size=8), _client), _request),
    "events of a page": Target(_near(_EVENT), _events),
    "events of a server": Target(_near(_EVENT | {"address": CANARY, "at": 1, "cookie": "cg=x"}), _server_events),
    "a choice as JSON": Target(
        _near({"action": "save", "purposes": {"analytics": True}, "notice": "", "nonce": "x", "language": "en"}),
        _model(WireChoice),
    ),
    "a choice as a form": Target(
        st.binary(max_size=200)
        | st.lists(st.tuples(st.sampled_from(["action", "purposes.x", "nonce", "a"]), _texts), max_size=70).map(
            lambda pairs: "&".join(f"{name}={quote(value)}" for name, value in pairs).encode()
        ),
        _choice_form,
    ),
    "a right": Target(_near({"right": "erasure", "receipt": {}, "id": "x", "note": "n"}), _model(WireRight)),
    "a receipt": Target(st.tuples(_json | _texts, _texts | st.sampled_from(["site", "proof"]), _json), _receipt),
    "what a form did": Target(_texts | st.text(alphabet="abcXYZ0189.-_", max_size=120), _done),
    "a kept choice": Target(_texts | st.text(alphabet='cg-later=;% "', max_size=80), read_kept),
    "a question": Target(st.lists(_asked, max_size=5), _question),
    "settings": Target(_set, _settings),
    "a segment of the spool": Target(st.binary(max_size=300), _segment),
    "a month of the ledger": Target(st.binary(max_size=300) | _near({"before": "", "id": "x"}), _ledger),
    "a backup": Target(
        st.binary(max_size=200)
        | st.builds(_mutated, st.deferred(lambda: st.just(_packed())), st.integers(0), st.integers(0, 255)),
        _backup,
    ),
}
