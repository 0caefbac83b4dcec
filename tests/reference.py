"""`make reference` writes the generated parts of the documents: most of `docs/reference/`, a table of the README,
and the roles of `examples/deploy`.

In a page it stands between two comments. Nothing there is typed by hand: it comes from the settings, the commands,
the wire, the column register, the reports and the metrics. A test compares.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer.main
from pydantic import BaseModel, SecretStr
from typer.testing import CliRunner

from consent_gateway import config
from consent_gateway.answers.ask import LIMITS
from consent_gateway.answers.figures import FIGURES
from consent_gateway.answers.metrics import expose
from consent_gateway.answers.reports import ALL, GROUPS
from consent_gateway.cli import app
from consent_gateway.config.policy import (
    Authority,
    Body,
    Controller,
    Policy,
    PolicyCookie,
    PolicyPurpose,
    Recipient,
    Service,
    Storage,
    Version,
)
from consent_gateway.config.settings import Settings
from consent_gateway.edge.wire import Timings, WireChoice, WireEvent, WireRight, WireServerEvent
from consent_gateway.openapi import document
from consent_gateway.record.spool import Spool
from consent_gateway.rule.address import Prefixes
from consent_gateway.rule.columns import COLUMNS, RETENTION_DAYS
from consent_gateway.rule.event import DropReason
from consent_gateway.rule.purposes import BASES
from consent_gateway.store.grants import service, statements
from consent_gateway.store.progress import Progress

ROOT = Path(__file__).parent.parent
COMMAND = "make reference"
BEGIN, END = f"<!-- begin generated: written by `{COMMAND}` -->", "<!-- end generated -->"

_SOURCES = {"gateway": "the gateway", "request": "the request", "device": "the page's script"}
_MIB = 1 << 20


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def settings() -> str:
    fields = Settings.model_fields.items()
    rows = [(f"`{name}`", _default(field.default), field.description or "") for name, field in fields]
    return table(("setting", "default", "what it is"), rows)


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    if isinstance(value, SecretStr) or value in ("", (), {}, None):
        return "–"
    if isinstance(value, Prefixes):
        return f"`{value.v4},{value.v6}`"
    if isinstance(value, int) and value and not value % _MIB:
        return f"`{value // _MIB >> 10}GiB`" if not value % (_MIB << 10) else f"`{value // _MIB}MiB`"
    return f"`{value}`"


def commands() -> dict[str, list[str]]:
    """Each command, with those below it."""
    group: Any = typer.main.get_command(app)
    return {name: list(getattr(one, "commands", {})) for name, one in sorted(group.commands.items())}


def cli() -> str:
    words = "".join(f"- [`{name}`](#{name})\n" for name in commands())
    parts = [words]
    for name, below in commands().items():
        parts.append(f"## {name}\n")
        parts += [f"```text\n{_help(name, *other)}\n```\n" for other in ([], *([one] for one in below))]
    return "\n".join(parts)


def _help(*words: str) -> str:
    plain = {"COLUMNS": "100", "TERM": "dumb"}
    return CliRunner().invoke(app, [*words, "--help"], env=plain, prog_name="consent-gateway").stdout.strip("\n")


def http() -> str:
    routes, parameters = [], []
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            who = " or ".join(next(iter(one), "everybody") for one in operation.get("security", [])) or "everybody"
            routes.append((f"`{method.upper()} {path}`", operation["summary"], who, ", ".join(operation["responses"])))
            for one in operation.get("parameters", []):
                values = "a [report](reports.md)" if one["name"] == "report" else _schema(one["schema"])
                parameters.append((f"`{path}`", f"`{one['name']}`", one["in"], values))
    parts = [
        table(("route", "what", "who", "answers"), routes),
        f"## Parameters\n\n{table(('route', 'name', 'in', 'values'), parameters)}",
        "## Bodies\n\nA field that is not named here is refused.\n",
        *(_model(model) for model in (WireEvent, Timings, WireServerEvent, WireChoice, WireRight)),
    ]
    return "\n".join(parts)


def _model(model: type[BaseModel], *, depth: int = 3) -> str:
    schema = model.model_json_schema()
    needed = schema.get("required", [])
    rows = []
    for name, one in schema["properties"].items():
        values = _schema(one, schema.get("$defs", {}))
        if one.get("default") not in (None, "", 0, [], {}) and not isinstance(one["default"], dict):
            values += f"; `{json.dumps(one['default'])}` unless given"
        rows.append((f"`{name}`", "yes" if name in needed else "", values))
    words = (inspect.getdoc(model) or "").replace("\n", " ")
    title = f"{'#' * depth} {model.__name__.removeprefix('Wire')}"
    return f"{title}\n\n{words}\n\n{table(('field', 'needed', 'values'), rows)}"


def _schema(schema: dict[str, Any], named: dict[str, Any] | None = None) -> str:
    """A JSON schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(_schema(one, named) for one in schema["anyOf"] if one.get("type") != "null")
    if name := str(schema.get("$ref", "")).rpartition("/")[2]:
        found = (named or {})[name]
        return _schema(found) if "enum" in found else f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    inner = [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    more = [f"of {_schema(one, named)}" for one in inner]
    if "minimum" in schema:
        more.append(f"from {schema['minimum']:g} to {schema['maximum']:,}")
    limits = (("maxLength", "characters"), ("maxItems", "items"), ("maxProperties", "entries"))
    more += [f"at most {schema[key]:,} {what}" for key, what in limits if key in schema]
    if (
        "pattern" in schema and r"\x00" not in schema["pattern"]
    ):  # that nothing is in it that can't be seen goes without saying
        more.append(f"like `{schema['pattern']}`")
    return f"{schema.get('format') or schema['type']} {', '.join(more)}".strip()


def policy() -> str:
    parts = (Policy, Controller, Body, Authority, PolicyPurpose, PolicyCookie, Service, Recipient, Storage, Version)
    return "\n".join(_model(part, depth=2) for part in parts)


def columns() -> str:
    rows = []
    for one in COLUMNS:
        why = (one.purpose, _basis(one.purpose), _SOURCES[one.source], str(one.kept_days))
        rows.append((f"`{one.name}`", f"`{one.type}`", *why, one.words))
    return table(("column", "type", "purpose", "legal basis", "from", "days", "what it holds"), rows)


def _basis(purpose: str) -> str:
    return BASES[purpose].value.replace("_", " ")


def kept() -> str:
    """What is kept under which purpose, in the words that visitors read."""
    told = json.loads((Path(config.__file__).parent / "words" / "notice.en.json").read_text())["data"]
    rows = []
    for purpose, days in RETENTION_DAYS.items():
        groups = dict.fromkeys(column.group for column in COLUMNS if column.purpose == purpose)
        shorter = [f"`{one.name}` {one.days}" for one in COLUMNS if one.purpose == purpose and one.days]
        words = "; ".join(told[group] for group in groups)
        rows.append((f"`{purpose}`", _basis(purpose), words, ", ".join([str(days), *shorter])))
    return table(("purpose", "legal basis", "what, as visitors are told it", "days"), rows)


def reports() -> str:
    parts = []
    for group in GROUPS:
        rows = [
            (f"`{one.name}`", one.words, _names(key.name for key in one.keys if not one.single), _names(one.figures))
            for one in ALL.values()
            if one.group == group
        ]
        parts.append(f"## {group.capitalize()}\n\n{table(('report', 'what', 'by', 'figures'), rows)}")
    used = {name for report in ALL.values() for name in report.figures}
    head = ("figure", "kind", "what it is", "legal basis", "how sure")
    figures = [
        (f"`{one.name}`", one.kind, one.definition, one.basis, one.uncertainty)
        for one in FIGURES.values()
        if one.name in used
    ]
    return "\n".join(parts) + f"\n## Figures\n\n{table(head, figures)}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def metrics() -> str:
    with TemporaryDirectory() as folder:
        text = expose(Counter(), Spool(Path(folder)), Progress()).decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    told = re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE)
    return table(("metric", "kind", "what it is"), [(f"`{name}`", kinds[name], words) for name, words in told])


def drops() -> str:
    """The reasons, each with the comment that stands beside it."""
    reasons = re.findall(r'^ +[A-Z_]+ = "(\w+)"  # (.*)$', inspect.getsource(DropReason), re.MULTILINE)
    assert len(reasons) == len(DropReason)
    return table(("reason", "when"), [(f"`{name}`", words) for name, words in reasons])


_REFERENCE = ROOT / "docs" / "reference"
PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "README.md": kept,
    _REFERENCE / "settings.md": settings,
    _REFERENCE / "policy.md": policy,
    _REFERENCE / "cli.md": cli,
    _REFERENCE / "http.md": http,
    _REFERENCE / "columns.md": columns,
    _REFERENCE / "reports.md": reports,
    _REFERENCE / "metrics.md": metrics,
    _REFERENCE / "drops.md": drops,
}


def made_anew(page: Path) -> str:
    """The page with its generated part as it should be now."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"{page} has no generated part"
    return f"{before}{BEGIN}\n\n{PAGES[page]().strip()}\n\n{END}{after}"


ROLES = ROOT / "examples" / "deploy" / "clickhouse" / "roles.sql"


def roles() -> str:
    """What `schema grants` prints, for the example's server."""
    return "".join(f"{statement};\n" for statement in (*service(), *statements(LIMITS)))


if __name__ == "__main__":
    ROLES.write_text(roles())
    for page in PAGES:
        page.write_text(made_anew(page))
