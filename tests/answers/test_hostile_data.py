"""What stands in the store or in the policy is text, whoever wrote it: a database that was tampered with, a policy
that somebody else supplied."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import consent_gateway
from consent_gateway.access.people import People, Role
from consent_gateway.rule.columns import COLUMNS
from consent_gateway.store import client as store
from tests.answers.test_dashboard import FIREFOX, PASSWORD, kept, sign_in
from tests.faults.servers import choose, cookie_of
from tests.running import Site

EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'\r\n=1+1"
LANGUAGES = "".join(f'{language} = """{EVIL}"""\n' for language in ("nl", "fr", "de", "en"))
POLICY = f"""
[[purposes]]
id = "analytics"
[purposes.names]
{LANGUAGES}
[purposes.texts]
{LANGUAGES}
[controller]
name = '''{EVIL.splitlines()[0]}'''
email = "dpo@example.eu"
"""
TABS = ("overview", "sources", "places", "technology", "privacy")  # the others show the same columns
_NOT_SET = {"site", "type", "at", "received_at", "batch", "consent", "purposes", "person", "visitor"}


class Markup(HTMLParser):
    """What of a page a browser would act on."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.acts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.acts += [f"{tag} {name}" for name in names if name.startswith("on")]
        if tag == "img" or (tag == "script" and not (names.get("src") or "").startswith("/_cg/")):
            self.acts.append(tag)


@pytest.mark.slow
def test_a_hostile_store_and_a_hostile_policy_run_nothing(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    with Site(tmp_path / "site", SITE="shop", POLICY=str(policy)) as site:
        People(site.keys_dir).add("ann", Role.OWNER, PASSWORD)
        person = {"cg": cookie_of(choose(site, "accept_all"))}
        assert site.get("/", {"User-Agent": FIREFOX}, person).status == 200
        assert len(site.stored()) == 1, "forwarded, and the engine is free"
        client = store.connect(site.dsn)
        texts = [one.name for one in COLUMNS if one.type in ("String", "LowCardinality(String)")]
        replaced = ", ".join(f"{{evil:String}} AS `{name}`" for name in texts if name not in _NOT_SET)
        replaced += ", map({evil:String}, {evil:String}) AS props"
        client.command(f"INSERT INTO events SELECT * REPLACE ({replaced}) FROM events", parameters={"evil": EVIL})
        client.close()
        site.start()
        site.wait_for("the back office", site.office_answers)
        ann = kept(sign_in(site, "ann"))
        pages = [site.get(f"/_cg/dashboard?tab={tab}&bots=yes", cookies=ann) for tab in TABS]
        pages += [site.get(f"/_cg/privacy?language={language}", cookies=person) for language in ("nl", "en")]
        pages.append(site.get("/_cg/me?format=html", {"Accept": "text/html"}, person))
        for number, page in enumerate(pages):
            assert page.status == 200 and not Markup(page.text).acts, number
        assert sum("&lt;script&gt;" in page.text for page in pages) >= 6, "it is there, as text"
        state = site.get("/_cg/state").json()
        for path in (f"/_cg/notices/{state['notice']}", "/_cg/stats/countries?bots=yes", "/_cg/me?format=json"):
            answer = site.get(path, cookies=ann | person)
            assert "json" in answer.headers["Content-Type"] and answer.headers["X-Content-Type-Options"] == "nosniff"
        for path in ("/_cg/stats/countries?format=csv&bots=yes", "/_cg/me?format=csv"):
            text = site.get(path, cookies=ann | person).text
            assert text and not re.search(r"(?m)^[=+@-]", text.replace("\r\n=1+1", "")), path
        assert "a fault inside" not in site.log()


SECRETS = re.compile(r"(token|secret|digest|signature|password|hmac|mac)s?$")


def test_no_secret_is_compared_letter_by_letter() -> None:
    """`==` ends at the first letter that differs, which can be measured. What is compared so here is none."""
    harmless = {
        "sha256(data).hexdigest() == digest",  # a public file under its public name
        "name == 'secret'",  # the name of a key, typed by its owner
        "keys.secrets != self._secrets",  # our own with our own
        "seal['before'] != chain.digest(_encode(own[number - 2]))",  # of what is no secret
    }
    package = Path(consent_gateway.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        if path.name == "packer.py":  # of a language's tokens
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
                names = [part for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute)]
                words = {part.id if isinstance(part, ast.Name) else part.attr for part in names}
                if any(SECRETS.search(word.lower()) for word in words):
                    found.add(f"{ast.unparse(node)}")
    assert found <= harmless, found - harmless
    assert (package / "access" / "people.py").read_text().count("compare_digest") >= 2
