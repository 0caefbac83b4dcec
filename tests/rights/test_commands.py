"""`consent-gateway rights`, as a person runs it, beside a running back office."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent_gateway import Settings
from consent_gateway.cli import app
from consent_gateway.cli.doctor import _rights
from consent_gateway.office_process import running_office
from consent_gateway.record.keys import Keys
from consent_gateway.record.ledger import Ledger, Stops
from consent_gateway.record.spool import Spool, Writer
from consent_gateway.rule.pseudonym import person
from tests.store.host import event

CONSENT = "0123456789abcdefghijkl"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One installation with one back office, the ledger's record of one consent and its three events."""
    home = tmp_path_factory.mktemp("rights")
    settings = Settings(DATA_DIR=home / "data", KEYS_DIR=home / "keys", SITE="shop")
    with running_office(settings):
        ledger = Ledger(settings.DATA_DIR)
        ledger.append({"id": "a", "site": "shop", "consent_id": CONSENT, "action": "accept_all"}, "2026-11").sync()
        keys = Keys(settings.KEYS_DIR)
        who = person(keys.person, CONSENT)
        address = keys.encrypt_address("203.0.113.77", 1_790_000_000_000)
        writer = Writer(Spool(settings.DATA_DIR), 1 << 30)
        for number in (1, 2, 3):
            made = event(number, person=who, address=address, props={"a": "=1+1"})
            writer.append(made.month, [(made.row, made.id)])
        writer.let_go(everything=True)
        (home / "receipt.json").write_text(json.dumps({"pii_principal_id": CONSENT}))
        yield home


def run(home: Path, *words: str) -> tuple[int, str]:
    own = {"DATA_DIR": str(home / "data"), "KEYS_DIR": str(home / "keys"), "SITE": "shop"}
    environment = {f"CONSENT_GATEWAY_{name}": value for name, value in own.items()} | {"COLUMNS": "140"}
    answer = CliRunner().invoke(app, ["rights", *words], env=environment)
    return answer.exit_code, answer.output


def opened(home: Path, *words: str) -> str:
    code, shown = run(home, "open", *words)
    assert code == 0, shown
    return shown.split()[1]


def test_the_help_teaches() -> None:
    shown = CliRunner().invoke(app, ["rights", "--help"], env={"COLUMNS": "120"}).stdout
    assert "14 days" in shown and "rights open access --receipt" in shown
    for name in ("open", "list", "show", "run", "extend", "refuse", "close", "hold", "export", "lift", "acknowledge"):
        assert name in shown
        assert len(CliRunner().invoke(app, ["rights", name, "--help"]).stdout) > 200


def test_from_letter_to_answer(home: Path) -> None:
    number = opened(home, "access", "--receipt", str(home / "receipt.json"), "--note", "a letter", "--by", "An")
    code, shown = run(home, "run", number)
    assert code == 2 and "--out answer.json" in shown
    code, shown = run(home, "run", number, "--out", str(home / "answer.json"))
    assert code == 0 and "3 rows" in shown and "then: consent-gateway rights close" in shown, shown
    about = json.loads((home / "answer.json").read_text())
    rows = about["rows"] + about["on_the_way"]
    assert len(rows) == 3 and stat.S_IMODE((home / "answer.json").stat().st_mode) == 0o600
    assert about["choices"][0]["action"] == "accept_all" and about["requests"][0]["note"] == "a letter"
    assert {column["name"] for column in about["columns"]} > {"address", "path"}
    code, shown = run(home, "run", number, "--out", str(home / "answer.json"))
    assert code == 1 and "nothing is overwritten" in shown
    assert run(home, "close", number, "--words", "by post")[0] == 0
    assert run(home, "close", number)[1].startswith(f"consent-gateway: request {number} is closed already")


def test_portability_is_a_table_that_opens_anywhere(home: Path) -> None:
    number = opened(home, "portability", "--consent-id", CONSENT)
    assert run(home, "run", number, "--out", str(home / "answer.csv"))[0] == 0
    with (home / "answer.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 and {row["address"] for row in rows} == {"203.0.113.77"}, "decrypted for whose it is"
    assert run(home, "close", number)[0] == 0


def test_what_is_late_shouts(home: Path) -> None:
    code, shown = run(home, "list")
    assert code == 0 and "LATE" not in shown
    day = date.today() - timedelta(days=40)
    number = opened(home, "complaint", "--received", str(day))
    code, shown = run(home, "list")
    assert code == 1 and "LATE: past the legal limit by" in shown and "1 request is late" in shown
    assert shown.splitlines()[1].split()[0] == number, "it comes first"
    assert 'consent_gateway_rights_requests{state="overdue"} 1.0' in metrics(home)
    assert run(home, "acknowledge", number)[0] == 0
    assert run(home, "refuse", number)[0] == 2, "a reason is asked for"
    assert run(home, "refuse", number, "--because", "it is about another site")[0] == 0
    assert run(home, "list")[0] == 0
    assert 'consent_gateway_rights_requests{state="overdue"} 0.0' in metrics(home)


def test_doctor_names_what_is_late() -> None:
    late = {"number": 7, "right": "access", "state": "open", "overdue": "past the promise by 1 day"}
    bad, good = next(_rights([late])), next(_rights([late | {"overdue": ""}]))
    assert bad.grade == "bad" and "request 7 (access) is past the promise by 1 day" in bad.words
    assert good.grade == "good" and "(1 open)" in good.words


def metrics(home: Path) -> str:
    from consent_gateway.record.office import call

    return call(home / "data", "GET", "/metrics")[2].decode()


def test_restriction_hold_erasure(home: Path) -> None:
    number = opened(home, "restriction", "--consent-id", CONSENT)
    code, shown = run(home, "run", number)
    assert code == 0 and "held: 3" in shown and "events: 0" in shown
    assert run(home, "close", number)[0] == 0
    code, shown = run(home, "list")
    assert code == 0 and "restriction" in shown, "it is still in force"
    assert run(home, "hold", number)[0] == 1 and run(home, "hold", number, "--because", "a lawsuit")[0] == 0
    other = opened(home, "erasure", "--consent-id", CONSENT)
    code, shown = run(home, "run", other)
    assert code == 0 and "is refused: kept for a legal claim" in shown
    assert run(home, "lift", number)[0] == 0 and run(home, "lift", other)[1].count("restricts nothing") == 0
    assert run(home, "hold", number, "--release")[0] == 0
    third = opened(home, "erasure", "--consent-id", CONSENT)
    code, shown = run(home, "run", third)
    assert code == 0 and "events: 0" in shown and "held: 0" in shown and "spool: 0" in shown, shown
    code, shown = run(home, "show", third)
    assert json.loads(shown)["entries"][-1]["proof"]["held"] == 0


def test_a_withdrawal_by_mail_counts_and_is_on_the_record(home: Path) -> None:
    number = opened(home, "withdrawal", "--consent-id", CONSENT)
    assert run(home, "run", number)[0] == 0
    stops = Stops(home / "data")
    assert stops.ended(person(Keys(home / "keys").person, CONSENT))
    stops.close()
    last = Ledger(home / "data").history(CONSENT)[-1]
    assert (last["action"], last["status"], last["supersedes"], last["where"]) == (
        "withdraw", "withdrawn", CONSENT, "mail",
    )  # fmt: skip


def test_an_objection_and_a_correction_by_mail(home: Path) -> None:
    number = opened(home, "objection", "--consent-id", CONSENT)
    assert run(home, "run", number)[0] == 0
    stops = Stops(home / "data")
    assert stops.objects(person(Keys(home / "keys").person, CONSENT))
    stops.close()
    number = opened(home, "rectification", "--consent-id", CONSENT)
    assert "no --note" in run(home, "run", number)[1]
    number = opened(home, "rectification", "--consent-id", CONSENT, "--note", "it was Bruges")
    assert run(home, "run", number)[0] == 0
    other = opened(home, "access", "--consent-id", CONSENT)
    assert run(home, "run", other, "--out", str(home / "beside.json"))[0] == 0
    notes = [one["note"] for one in json.loads((home / "beside.json").read_text())["requests"]]
    assert "it was Bruges" in notes, "it stands beside the data"


def test_without_a_consent_no_row_can_be_found_and_that_is_said(home: Path) -> None:
    code, shown = run(home, "open", "erasure", "--note", "by telephone")
    assert code == 0 and "ask the person for the receipt" in shown
    code, shown = run(home, "run", shown.split()[1])
    assert code == 1 and "GDPR Art. 11" in shown


def test_wrong_usage_is_one_line(home: Path) -> None:
    for words, code, told in (
        (("open", "access", "--received", "tomorrow"), 2, "allowed is a day as 2026-11-20"),
        (("open", "access", "--received", "2999-01-01"), 1, "allowed is today or earlier"),
        (("open", "access", "--consent-id", "nobody"), 1, "the ledger has no consent"),
        (("open", "access", "--site", "blog"), 1, "site is 'blog': allowed are shop"),
        (("open", "access", "--receipt", str(home / "none.json")), 1, "is no receipt"),
        (("run", "999"), 1, "there is no request 999"),
        (("extend", "1", "--because", " "), 1, "a reason is needed"),
        (("export", "--out", "register.pdf"), 2, "allowed are .json and .csv"),
    ):
        found, shown = run(home, *words)
        assert (found, shown.count("\n")) == (code, 1) and told in shown, shown


def test_the_register_is_exported_whole(home: Path) -> None:
    assert run(home, "export", "--out", str(home / "register.csv"))[0] == 0
    assert run(home, "export", "--out", str(home / "register.json"))[0] == 0
    requests = json.loads((home / "register.json").read_text())
    assert [one["number"] for one in requests] == list(range(1, len(requests) + 1))
    with (home / "register.csv").open(newline="") as file:
        assert {row["step"] for row in csv.DictReader(file)} >= {
            "opened",
            "done",
            "closed",
            "refused",
            "held",
            "lifted",
        }


def test_nothing_is_made_where_there_is_nothing(tmp_path: Path) -> None:
    code, shown = run(tmp_path, "list")
    assert code == 1 and "there is no installation" in shown and not (tmp_path / "data").exists()
