"""What the privacy tab shows, put together from who keeps it: requests, ledger, retention, store, books, processing."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from .access.audit import Audit
from .answers.language import Words
from .answers.names import named
from .answers.privacy import Part
from .config.policy_file import load
from .config.processing import record
from .config.settings import Settings
from .record.books import Tally, is_event
from .rights.register import Register
from .rule.columns import COLUMNS

Table = list[list[str]]

_MOST_LINES = 40  # of the audit log


def privacy_parts(
    settings: Settings,
    tally: Tally,
    audit: Audit,
    requests: Register,
    look_at_store: Callable[[], dict[str, Any]],
    look_at_ledger: Callable[[], dict[str, Any]],
) -> list[Part]:
    """The parts in order: what is due first."""
    whole = load(settings.POLICY)

    def due(words: Words) -> Table:
        today = datetime.now(settings.zone).date()
        found = sorted((one for one in requests.all() if one.is_open), key=lambda one: (one.due, one.number))
        rows = [
            [
                f"{one.number}: {words[f'right_{one.right.value}']}",
                words.day(one.received),
                words.day(one.due),
                _late(words, one.overdue(today)) or _worded(words, "state", one.state),
            ]
            for one in found
        ]
        return [[words["col_right"], words["col_asked"], words["col_due"], words["col_state"]], *rows]

    def ledger(words: Words) -> Table:
        state = look_at_ledger()
        faults = "; ".join(f"{one['place']}: {one['why']}" for one in state["faults"])
        whole = words.say("seal_whole", records=words.count(state["records"]))
        rows = [
            [words["seal_state"], words.say("seal_broken", faults=faults) if faults else whole],
            [words["seal_last"], _moment(words, state["last_seal"]) if state["last_seal"] else words["seal_none"]],
            [words["seal_stored"], state["store_error"] or words.count(state["stored"])],
        ]
        files = sorted((settings.DATA_DIR / "ledger").glob("????-??.jsonl"), reverse=True)
        rows += [[path.stem, words.count(path.read_bytes().count(b"\n"))] for path in files]
        return [[words["col_what"], words["col_state"]], *rows]

    def retention(words: Words) -> Table:
        rows = []
        policy = whole.as_of(int(time.time() * 1000))
        for purpose in policy.purposes:
            columns = [column.name for column in COLUMNS if column.purpose == purpose.id]
            name = purpose.names.get(words.language) or purpose.id
            rows.append([name, words.count(policy.retention_days(purpose.id)), ", ".join(columns) or "–"])
        return [[words["col_purpose"], words["col_days"], words["col_columns"]], *rows]

    def store(words: Words) -> Table:
        state = look_at_store()
        return [
            [words["col_what"], words["col_state"]],
            *([_worded(words, "store", name), _text(words, value)] for name, value in state.items()),
        ]

    def books(words: Words) -> Table:
        counts: dict[str, int] = {}
        for (site, term), count in tally.total().items():
            if is_event(site, term):
                counts[term] = counts.get(term, 0) + count
        rows = [[named(words, "term", term), words.count(count)] for term, count in sorted(counts.items())]
        return [[words["col_what"], words["col_count"]], *rows]

    def processing(words: Words) -> Table:
        activities = record(whole, int(time.time() * 1000), words.language)["activities"]
        rows = [
            [one["purpose"], words.of(str(one["basis"]).replace("_", " ").capitalize()), words.count(one["kept_days"])]
            for one in activities
        ]
        return [[words["col_purpose"], words["col_basis"], words["col_days"]], *rows]

    def read(words: Words) -> Table:
        lines = list(audit.read())[-_MOST_LINES:]
        rows = [
            [
                _moment(words, line["at"]),
                line["who"] or _worded(words, "how", line["how"]) or "–",
                f"{_worded(words, 'did', line['did'])} {line['what']}",
            ]
            for line in reversed(lines)
        ]
        return [[words["col_when"], words["col_who"], words["col_did"]], *rows]

    return [
        Part("requests", due),
        Part("ledger", ledger),
        Part("retention", retention),
        Part("store", store),
        Part("books", books),
        Part("processing", processing),
        Part("audit", read),
    ]


def _text(words: Words, value: Any) -> str:
    if isinstance(value, int):
        return words.count(value)
    return (", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")) or words["none"]


def _late(words: Words, text: str) -> str:
    """`past the promise by 3 days`, as the register says it, in the reader's language."""
    what, _, days = text.partition(" by ")
    return words.say(f"late_{what}", days=days.partition(" ")[0]) if text else ""


def _worded(words: Words, kind: str, text: str) -> str:
    return words.interface.get(f"{kind}_{text}", text)


def _moment(words: Words, text: str) -> str:
    return words.moment(text[:16].replace("T", " "))
