"""The state machine of choices × signals × time × workers: several browsers and workers over one folder of data.

The oracle is small and its own: a cookie permits `analytics` when it is of a grant that named it, that nobody has ended
anywhere, that is younger than six months, and, under a signal, was given in its face.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from consent_gateway import ConsentGateway, Settings
from consent_gateway.record import chain
from consent_gateway.record.salts import memory_dir
from consent_gateway.record.spool import Spool, read_lines
from tests.sites import bare

WORKERS, BROWSERS = 2, 3
_HALF_A_YEAR = 200 * 86_400  # longer than six months
_workers, _browsers = st.integers(0, WORKERS - 1), st.integers(0, BROWSERS - 1)
_signals = st.sampled_from([{}, {}, {"Sec-GPC": "1"}, {"DNT": "1"}])
_actions = st.sampled_from(["accept_all", "reject_all", "save_yes", "save_no", "withdraw", "object", "unobject"])
_real = time.time


class Choices(RuleBasedStateMachine):
    """`jars` hold each browser's cookie, `old` every cookie that was ever set, `grants` what each grant permits."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="choices-"))
        self.ahead = 0.0
        self.clock = mock.patch("time.time", lambda: _real() + self.ahead)
        self.clock.start()
        folders: dict[str, Any] = {"DATA_DIR": self.folder / "data", "KEYS_DIR": self.folder / "keys"}
        settings = Settings(**folders, BACK_OFFICE="external", SITE="shop", SECRET="s" * 40, CHOICES_PER_NETWORK=0)
        self.workers = [ConsentGateway(bare(), settings) for _ in range(WORKERS)]
        self.jars = [""] * BROWSERS
        self.old: list[str] = []
        self.grants: dict[str, dict[str, Any]] = {}
        self.taken = self.events = 0
        self.expected: dict[str, bool] = {}

    def teardown(self) -> None:
        if not hasattr(self, "workers"):
            return
        for worker in self.workers:
            worker.close()
        self.clock.stop()
        try:
            self.ledger_is_whole()
            self.spool_is_right()
        finally:
            shutil.rmtree(memory_dir(self.folder / "data"), ignore_errors=True)
            shutil.rmtree(self.folder, ignore_errors=True)

    # what people do

    @rule(worker=_workers, browser=_browsers, action=_actions, signal=_signals)
    def choose(self, worker: int, browser: int, action: str, signal: dict[str, str]) -> None:
        self.post_choice(worker, browser, self.jars[browser], action, signal)

    @rule(worker=_workers, browser=_browsers, number=st.integers(0), action=_actions)
    def choose_with_an_old_cookie(self, worker: int, browser: int, number: int, action: str) -> None:
        """Somebody kept a cookie, or a browser was restored."""
        if self.old:
            self.post_choice(worker, browser, self.old[number % len(self.old)], action, {})

    @rule(worker=_workers, browser=_browsers, signal=_signals)
    def send_an_event(self, worker: int, browser: int, signal: dict[str, str]) -> None:
        self.events += 1
        name = f"e{self.events}"
        permitted = self.permits(self.jars[browser], bool(signal))
        objects = self.state(worker, self.jars[browser], signal)["objection"]
        body = {"type": "custom", "url": "http://shop.example/", "name": name}
        status, _ = self.ask(worker, "POST", "/_cg/events", self.jars[browser], signal, body)
        assert status == 204
        if not (objects and permitted):  # then it is kept under `analytics` alone, without its name
            self.expected[name] = permitted

    @rule(days=st.sampled_from([1, 40, 200, 400]))
    def time_passes(self, days: int) -> None:
        self.ahead += days * 86_400

    @rule(worker=_workers, cut=st.integers(1, 400), letter=st.sampled_from("gwru~.A"), number=st.integers(0))
    def forge(self, worker: int, cut: int, letter: str, number: int) -> None:
        """A changed cookie is none."""
        if self.old:
            kept = self.old[number % len(self.old)]
            at = cut % len(kept)
            forged = kept[:at] + letter + kept[at + 1 :]
            if forged not in self.old and forged[:-1] not in {one[:-1] for one in self.old}:  # spare bits at the end
                assert self.state(worker, forged, {})["status"] == "unknown"

    # what must hold

    @invariant()
    def all_workers_agree_with_the_oracle(self) -> None:
        if not hasattr(self, "workers"):
            return
        for cookie in {*self.jars, *self.old[-4:]}:
            for signal in ({}, {"Sec-GPC": "1"}):
                seen = [self.state(worker, cookie, signal) for worker in range(WORKERS)]
                kept = [{name: one[name] for name in ("status", "purposes", "objection", "ask")} for one in seen]
                assert kept[0] == kept[1], "every worker says the same"
                assert kept[0]["purposes"]["analytics"] is self.permits(cookie, bool(signal)), (cookie, signal, kept[0])
                assert not (kept[0]["purposes"]["measurement"] and kept[0]["objection"])

    def ledger_is_whole(self) -> None:
        before, count = "", 0
        for one in chain.lines(self.folder / "data" / "ledger"):
            assert one.record is not None and (count == 0 or one.record["before"] == before)
            before, count = one.hash, count + 1
        assert count == self.taken, "every choice that was taken is on the record"

    def spool_is_right(self) -> None:
        spool = Spool(self.folder / "data")
        found = {}
        for path in (*spool.segments(spool.open), *spool.segments(spool.sealed)):
            for text in read_lines(path)[0]:
                row = json.loads(text)
                if "name" in row:
                    found[row["name"]] = bool(row.get("person"))
        for name, permitted in self.expected.items():
            assert found.get(name, False) is permitted, (name, "a person is known only of who granted it")

    # how

    def permits(self, cookie: str, signal: bool) -> bool:
        grant = self.grants.get(cookie)
        if grant is None or grant["person"]["ended"] or (signal and not grant["despite"]):
            return False
        return bool(grant["analytics"]) and self.now() < grant["person"]["until"]

    def now(self) -> float:
        return _real() + self.ahead

    def post_choice(self, worker: int, browser: int, cookie: str, action: str, signal: dict[str, str]) -> None:
        state = self.state(worker, cookie, signal)
        body: dict[str, Any] = {"action": action.partition("_y")[0].partition("_n")[0], "nonce": state["nonce"]}
        body |= {"notice": state["notice"], "language": "en"}
        if action.startswith("save"):
            body["purposes"] = {"analytics": action == "save_yes"}
        status, answer = self.ask(worker, "POST", "/_cg/choice", cookie, signal, body)
        assert status == 200, answer
        self.taken += 1
        new = answer["cookie"]
        held = self.grants.get(cookie)
        said = new.split("~")
        grants = action in ("accept_all", "save_yes")
        if said[1] == "g":
            person = held["person"] if held and f"~{said[3]}~" in cookie else {"ended": False, "until": 0.0}
            if not held or person is not held["person"]:
                assert grants, "nothing but a grant makes a consent"
                person["until"] = self.add_months(int(said[2], 36) / 1000)
            self.grants[new] = {
                "person": person,
                "analytics": "analytics" in said[5],
                "despite": "d" in said[6].partition(".")[0],
            }
        if grants:
            assert answer["purposes"]["analytics"], "what was granted counts at once"
        if action in ("withdraw", "reject_all", "save_no"):
            assert not answer["purposes"]["analytics"], "what was refused ends at once"
        if held and not (said[1] == "g" and f"~{said[3]}~" in cookie):
            held["person"]["ended"] = True  # it went on as another, or not at all
        self.jars[browser] = new
        if new not in self.old:
            self.old.append(new)

    @staticmethod
    def add_months(at: float) -> float:
        from consent_gateway.record.cookie import add_months

        return add_months(int(at * 1000), 6) / 1000

    def state(self, worker: int, cookie: str, signal: dict[str, str]) -> Any:
        status, answer = self.ask(worker, "GET", "/_cg/state", cookie, signal)
        assert status == 200
        return answer

    def ask(self, worker: int, method: str, path: str, cookie: str, headers: dict[str, str], body: Any = None) -> Any:
        """One request to one worker; its JSON, with the cookie that it set."""
        sent: list[Any] = []
        pairs = {"host": "shop.example", "content-type": "application/json", "user-agent": "Mozilla/5.0 Firefox/140.0"}
        pairs |= {name.lower(): value for name, value in headers.items()} | (
            {"cookie": f"cg={cookie}"} if cookie else {}
        )
        scope = {
            "type": "http", "method": method, "path": path, "query_string": b"", "scheme": "http", "root_path": "",
            "client": ("203.0.113.77", 1),
            "headers": [(name.encode(), value.encode()) for name, value in pairs.items()],
        }  # fmt: skip

        async def receive() -> Any:
            return {"type": "http.request", "body": json.dumps(body).encode() if body else b""}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.workers[worker](scope, receive, send))
        found = dict(sent[0]["headers"]).get(b"set-cookie", b"").decode().partition(";")[0].removeprefix("cg=")
        text = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], (json.loads(text) if text else {}) | ({"cookie": found} if found else {})
