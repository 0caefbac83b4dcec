"""The privacy page, what is held about its visitor, and the rights: a real site with its back office and its store."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from consent_gateway.config.notices import words
from consent_gateway.config.policy import LANGUAGES
from consent_gateway.edge.done import Done
from tests.running import Answer, Site

HTML = {"Accept": "text/html,application/xhtml+xml"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("visitor"), SITE="shop") as site:
        site.wait_for("the back office", site.office_answers)
        yield site


class Person:
    """Somebody who granted `analytics` and looked at some pages."""

    def __init__(self, site: Site, *paths: str) -> None:
        self.site = site
        state = site.get("/_cg/state?language=en").json()
        asked = {name: state[name] for name in ("notice", "nonce", "language")}
        answer = site.post("/_cg/choice", asked | {"action": "accept_all"})
        self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        self.receipt = answer.json()["receipt"]
        self.id = self.me()["consent_id"] if not paths else ""
        for path in paths:
            assert self.get(path).status == 200
        if paths:
            site.forwarded()
            self.id = self.me()["consent_id"]

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self.site.get(path, {"Cookie": self.cookie} | BROWSER | (headers or {}))

    def me(self) -> Any:
        return self.get("/_cg/me").json()

    def ask(self, right: str, **more: Any) -> Answer:
        return self.site.post("/_cg/rights", {"right": right} | more, {"Cookie": self.cookie})

    def form(self, right: str, headers: dict[str, str] | None = None, **more: str) -> Answer:
        body = urlencode({"right": right, "language": "en"} | more)
        return self.site.post("/_cg/rights", body, FORM | {"Cookie": self.cookie} | (headers or {}))


def told(answer: Answer, site: Site) -> str:
    """What the page says after a form."""
    assert answer.status == 303, answer.body
    page = site.get(answer.headers["Location"]).text
    return re.search(r'role="status"[^>]*><p>(.*?)</p>', page)[1]  # type: ignore[index]


def all_rows(person: Person) -> list[dict[str, Any]]:
    about = person.me()
    return [*about["rows"], *about["on_the_way"]]


# 11: seeing


def test_the_bearer_sees_what_is_held_in_words_as_json_and_as_csv(site: Site) -> None:
    person = Person(site, "/page/a", "/page/b")
    about = person.me()
    assert {row["path"] for row in about["rows"]} == {"/page/a", "/page/b"} and about["identified"]
    assert {row["address"] for row in about["rows"]} == {"127.0.0.1"}, "decrypted for whose it is"
    address = next(column for column in about["columns"] if column["name"] == "address")
    assert (address["purpose"], address["kept_days"]) == ("Recognising your visits", 30)
    assert "consent" in address["basis"] and "IP address" in address["words"]
    assert [choice["action"] for choice in about["choices"]] == ["accept_all"]

    answer = person.get("/_cg/me?format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["path"] for row in rows} == {"/page/a", "/page/b"}
    assert answer.headers["Content-Disposition"] == 'attachment; filename="shop-data.csv"'

    for language in LANGUAGES:
        page = person.get(f"/_cg/me?language={language}", HTML)
        assert page.headers["Content-Type"].startswith("text/html") and f'lang="{language}"' in page.text
        assert words("privacy", language)["me"]["title"] in page.text and "/page/a" in page.text
    assert person.get("/_cg/me?format=pdf").status == 422


def test_answers_about_a_person_are_kept_by_no_cache(site: Site) -> None:
    person = Person(site)
    for path in ("/_cg/me", "/_cg/me?format=csv", "/_cg/privacy"):
        headers = person.get(path).headers
        assert headers["Cache-Control"] == "no-store" and "Cookie" in headers["Vary"], path


def test_events_that_are_still_in_the_spool_are_seen_too(site: Site) -> None:
    person = Person(site)
    person.get("/page/fresh")
    (row,) = all_rows(person)
    assert (row["path"], row["address"]) == ("/page/fresh", "127.0.0.1"), "decrypted for whose it is, stored or not"


def test_anothers_id_gives_404(site: Site) -> None:
    """Whether it exists or not, and for everything that could be asked about it."""
    person, other = Person(site), Person(site)
    assert person.get(f"/_cg/me?id={person.id}").status == 200
    for id_ in (other.id, "0" * 22, "x"):
        assert person.get(f"/_cg/me?id={id_}").status == 404
        assert site.get(f"/_cg/me?id={id_}").status == 404
        for right in ("access", "erasure", "restriction", "withdrawal"):
            assert person.ask(right, id=id_).status == 404
    assert other.me()["identified"] and not other.me()["requests"]


def test_a_forged_receipt_or_cookie_proves_nothing(site: Site) -> None:
    person = Person(site)
    forged = json.loads(json.dumps(person.receipt).replace(person.id, "A" * 22))
    receipts: tuple[Any, ...] = (
        forged,
        {},
        {"pii_principal_id": person.id},
        person.receipt | {"proof": {}},
        "no receipt",
        "[" * 9000,
    )
    for receipt in receipts:
        assert site.post("/_cg/rights", {"right": "access", "receipt": receipt}).status == 404, str(receipt)[:40]
    assert not site.get("/_cg/me", {"Cookie": f"{person.cookie[:-3]}AAA"}).json()["identified"]


def test_without_either_it_is_said_honestly_and_objection_is_offered(site: Site) -> None:
    about = site.get("/_cg/me").json()
    assert about["identified"] is False and "Art. 11" in about["article"] and about["offers"][0] == "object"
    answer = site.get("/_cg/me", HTML)
    assert answer.status == 303 and "/_cg/privacy" in answer.headers["Location"]
    page = site.get("/_cg/privacy?language=en").text
    assert "GDPR Art. 11" in page and 'value="object"' in page and 'value="erasure"' not in page.partition("<select")[0]
    assert site.post("/_cg/rights", {"right": "erasure"}).status == 404
    assert "no consent was found" in told(site.post("/_cg/rights", "right=erasure&language=en", FORM), site)
    answer = site.post("/_cg/rights", {"right": "object"})
    assert answer.status == 200 and "~o." in answer.headers["Set-Cookie"], "objection works for everybody"


# 11: acting


def test_the_bearer_of_a_receipt_can_do_the_same_from_anywhere(site: Site) -> None:
    person = Person(site, "/page/receipt")
    assert len(about(site, {"receipt": person.receipt})["rows"]) == 1
    page = site.post("/_cg/rights", urlencode({"right": "access", "receipt": json.dumps(person.receipt)}), FORM)
    assert page.status == 200 and "/page/receipt" in page.text and person.id not in page.headers.as_string()
    rows = site.post("/_cg/rights", {"right": "csv", "receipt": json.dumps(person.receipt)})
    assert "/page/receipt" in rows.text and rows.headers["Content-Type"].startswith("text/csv")
    answer = site.post("/_cg/rights", {"right": "withdrawal", "receipt": person.receipt})
    assert answer.json() == {"done": True} and answer.headers["Set-Cookie"] is None, "it is another browser's"
    assert person.get("/_cg/state").json()["status"] == "withdrawn"
    choices = about(site, {"receipt": person.receipt})["choices"]
    assert [choice["action"] for choice in choices] == ["accept_all", "withdraw"], "the bearer sees the history"


def test_erase_reaches_everything_and_is_counted(site: Site) -> None:
    person, other = Person(site, "/page/mine"), Person(site, "/page/theirs")
    answer = person.form("erasure")
    assert "session" not in answer.headers["Set-Cookie"] and "~" in answer.headers["Set-Cookie"]
    said = told(answer, site)
    assert "nothing is left" in said or "being erased" in said
    held = {"receipt": person.receipt}
    site.wait_for("the erasure", lambda: not [*about(site, held)["rows"], *about(site, held)["on_the_way"]])
    site.wait_for("its record", lambda: about(site, held)["requests"][0]["state"] == "closed")
    request = about(site, held)["requests"][0]
    proof = next(entry["proof"] for entry in request["entries"] if entry["proof"])
    assert proof["events_before"] == 1 and not any(proof[place] for place in ("events", "held", "spool"))
    assert [choice["action"] for choice in about(site, held)["choices"]] == ["accept_all", "withdraw"], (
        "the proof stays"
    )
    assert person.get("/_cg/state").json()["status"] == "withdrawn"
    assert [row["path"] for row in all_rows(other)] == ["/page/theirs"]


def about(site: Site, wish: dict[str, Any]) -> Any:
    """What is held, for the bearer of a receipt."""
    answer = site.post("/_cg/rights", wish | {"right": "access"})
    assert answer.status == 200, answer.text
    return answer.json()


def test_restrict_and_lift(site: Site) -> None:
    person = Person(site, "/page/aside")
    wish = {"receipt": person.receipt}
    person.form("restriction")
    site.wait_for("the restriction", lambda: all(row.get("aside") for row in about(site, wish)["rows"]))
    assert about(site, wish)["restricted"]
    assert paths(site, "/page/aside") == 0, "in no report"
    person.get("/page/later-aside")
    site.forwarded()
    assert paths(site, "/page/later-aside") == 0 and len(about(site, wish)["rows"]) == 2
    assert "Lift the restriction" in person.get("/_cg/privacy?language=en").text
    assert told(person.form("lift"), site) == "The restriction is lifted."
    assert not about(site, wish)["restricted"]


def paths(site: Site, path: str) -> int:
    rows = site.office("GET", "/stats/pages", {"site": "shop", "bots": "yes"})["rows"]
    return sum(row.get("views", 1) for row in rows if path in row.values())


def test_object_and_take_it_back(site: Site) -> None:
    person = Person(site)
    for right, objects in (("object", True), ("unobject", False)):
        answer = person.ask(right)
        person.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        assert person.get("/_cg/state").json()["objection"] is objects
    assert person.get("/_cg/state").json()["status"] == "given", "the consent is another matter"


def test_correct_and_complain(site: Site) -> None:
    """A note beside the data; both are in the register, for a person to answer."""
    person = Person(site)
    assert "Your note is with the data" in told(person.form("rectification", note="I was never in Ghent"), site)
    assert "Your complaint has come" in told(person.form("complaint", note="an@example.org: too slow"), site)
    requests = person.me()["requests"]
    assert [(one["right"], one["state"], one["note"]) for one in requests] == [
        ("rectification", "open", "I was never in Ghent"), ("complaint", "open", "an@example.org: too slow"),
    ]  # fmt: skip
    assert "by" not in requests[0]["entries"][0]
    assert "the text was empty" in told(person.form("complaint", note=" "), site)
    assert person.ask("complaint", note=" ").status == 422


def test_forms_from_other_sites_are_refused(site: Site) -> None:
    person = Person(site, "/page/kept")
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ):
        assert person.form("erasure", headers).status == 403
        assert person.form("withdrawal", headers).status == 403
    assert all_rows(person) and person.get("/_cg/state").json()["status"] == "given"


def test_what_is_not_of_the_agreed_form_is_refused_in_words(site: Site) -> None:
    person = Person(site)
    assert person.ask("everything").status == 422
    assert person.ask("erasure", because="x").status == 422
    assert site.post("/_cg/rights", "{", {"Content-Type": "application/json"}).status == 422
    assert person.ask("rectification", note="x" * 70_000).status == 413
    assert site.get("/_cg/rights").status == 405 and site.post("/_cg/privacy", "").status == 405


def test_a_withdrawal_needs_no_back_office(site: Site) -> None:
    """And is never refused: what asks the back office says that it is away."""
    person, other = Person(site, "/page/x"), Person(site, "/page/y")
    site.kill9_office()
    answer = person.ask("withdrawal")
    assert answer.status == 200 and "~w~" not in answer.headers["Set-Cookie"].partition("=")[0]
    assert person.get("/_cg/state").json()["status"] == "withdrawn"
    assert site.post("/_cg/rights", {"right": "withdrawal", "receipt": other.receipt}).status == 200
    assert other.get("/_cg/state").json()["status"] == "withdrawn"
    site.wait_for("the back office", site.office_answers)


# the page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_has_the_notice_every_choice_and_every_right(site: Site, language: str) -> None:
    person = Person(site)
    page, say = person.get(f"/_cg/privacy?language={language}").text, words("privacy", language)
    state = site.get(f"/_cg/state?language={language}").json()
    notice = site.get(f"/_cg/notices/{state['notice']}").json()
    assert f'<html lang="{language}">' in page and escaped(notice["text"]) in page
    for purpose in notice["purposes"]:
        for text in (purpose["name"], purpose["text"], purpose["basis_name"], purpose["retention"], *purpose["data"]):
            assert escaped(text) in page, text
    for action in ("accept_all", "reject_all", "withdraw", "save", "object"):
        assert f'value="{action}"' in page + site.get(f"/_cg/privacy?language={language}").text, action
    for right in ("erasure", "restriction", "rectification", "complaint", "withdrawal", "lift"):
        assert f'value="{right}"' in page, right
    assert "format=json" in page and "format=csv" in page
    assert escaped(say["authority"]) in page and f"/_cg/notices/{state['notice']}" in page
    assert "__Host-cg" in page and not re.search(r"\{[a-z_]*\}", page), "every gap is filled"


def escaped(text: str) -> str:
    from html import escape

    return escape(text)


def test_the_page_comes_in_the_browsers_language(site: Site) -> None:
    for accepted, language in (("nl-BE,en;q=0.5", "nl"), ("ja,de;q=0.8", "de"), ("ja", "en"), ("", "en")):
        assert f'<html lang="{language}">' in site.get("/_cg/privacy", {"Accept-Language": accepted}).text


def test_the_page_runs_nothing_and_takes_its_style_from_here(site: Site) -> None:
    answer = site.get("/_cg/privacy")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src" not in policy
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "<script" not in answer.text and " style=" not in answer.text and "<style" not in answer.text
    path = re.search(r'href="([^"]*page\.css[^"]*)"', answer.text)[1]  # type: ignore[index]
    style = site.get(path)
    assert style.headers["Content-Type"].startswith("text/css") and "max-age" in style.headers["Cache-Control"]
    assert site.get(path, {"If-None-Match": style.headers["ETag"]}).status == 304


def test_a_choice_on_the_page_comes_back_to_it_and_is_confirmed(site: Site) -> None:
    page = site.get("/_cg/privacy?language=nl").text
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.partition("</form>")[0]))
    assert fields["where"] == "page"
    referrer = {"Referer": f"{site.url}/_cg/privacy?language=nl"}
    answer = site.post("/_cg/choice", urlencode(fields | {"action": "accept_all"}), FORM | referrer)
    assert told(answer, site) == words("privacy", "nl")["done"]["accept_all"]
    answer = site.post("/_cg/choice", urlencode({"action": "object", "language": "nl"}), FORM | referrer)
    assert told(answer, site) == words("privacy", "nl")["done"]["object"]


def test_nobody_can_make_the_page_say_what_never_happened(site: Site) -> None:
    for mark in ("erasure", Done(["another secret"]).mark("erasure"), ""):
        assert 'role="status"' not in site.get(f"/_cg/privacy?{urlencode({'done': mark})}").text


def test_what_the_url_says_is_never_markup(site: Site) -> None:
    page = site.get("/_cg/privacy?language=%22%3E%3Cscript%3E&done=%3Cscript%3E").text
    assert "<script" not in page
