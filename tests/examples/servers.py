"""Equipment: the example sites under real servers, with the gateway, without it, and behind a root path."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.running import ROOT, Answer, Site, free_port

EXAMPLES = ROOT / "examples"
# one server each for most, so that they all see two; {port}, {app} and {root} are filled in
SERVERS = {
    "uvicorn": "uvicorn {app} --host 127.0.0.1 --port {port} --root-path={root} --timeout-graceful-shutdown 2",
    "granian": "granian {app} --interface asgi --host 127.0.0.1 --port {port} --url-path-prefix={root}",
    "hypercorn": "hypercorn {app} --bind 127.0.0.1:{port} --root-path={root} --graceful-timeout 2",
}


class Example(Site):
    """`app` is `app:app` (with the gateway) or `app:site` (without) of an example's folder."""

    def __init__(self, home: Path, folder: str, app: str, server: str, root: str = "", **settings: str) -> None:
        options: dict[str, Any] = {"BACK_OFFICE": "external", "SITE": "bakery"} | settings
        super().__init__(home, app, **options)
        self._line = SERVERS[server]
        self._root = root
        self.sent = root if server != "uvicorn" else ""  # uvicorn expects that the proxy took it away, the others not
        path = self.environment["PYTHONPATH"]
        self.environment |= {"PYTHONPATH": f"{EXAMPLES / folder}:{path}", "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment["PYTHONHASHSEED"] = "0"  # werkzeug lists methods in the order of a set

    def start(self) -> None:
        self.port = free_port()
        filled = self._line.format(app=self.app.removeprefix("tests.sites:"), port=self.port, root=self._root)
        self._server = self._run(["-m", *(word for word in filled.split() if not word.endswith("="))])
        self.wait_for("the example to start", self._answers)

    def _answers(self) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise AssertionError(f"it ended with {self._server.returncode} at its start:\n{self.log()}")
        with suppress(OSError, HTTPException):
            return self.get(f"{self.sent}/recipe").status == 200
        return False

    def spooled(self) -> list[dict[str, Any]]:
        """The events in the spool; no back office takes them away."""
        self.recorded()
        from consent_gateway.record.spool import Spool, read_lines

        spool = Spool(self.data_dir)
        paths = [*spool.segments(spool.open), *spool.segments(spool.sealed)]
        return [json.loads(line) for path in paths for line in read_lines(path)[0]]


def content(answer: Answer) -> bytes:
    """The body, unpacked: Django puts random bytes into its gzip header, against guessing by length (BREACH)."""
    packed = answer.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(answer.body) if packed else answer.body


def consent_of(site: Site, action: str) -> dict[str, str]:
    """The cookie of a visitor who chose so."""
    state = site.get("/_cg/state?language=en").json()
    body = {"action": action, "nonce": state["nonce"], "notice": state["notice"], "language": "en"}
    answer = site.post("/_cg/choice", body)
    assert answer.status == 200, answer.text
    name, _, value = answer.headers["Set-Cookie"].partition(";")[0].partition("=")
    return {name: value}
