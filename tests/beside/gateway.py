"""Equipment: the gateway beside a site, as `consent-gateway serve --listen` runs it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import Any

from tests.running import Site, free_port

COMMAND = ["-c", "from consent_gateway.cli import app; app()"]


class Beside(Site):
    """`consent-gateway serve --listen`, with its settings from the environment."""

    def start(self) -> None:
        self.port = free_port()
        line = [*COMMAND, "serve", "--listen", f"127.0.0.1:{self.port}", "--workers", str(self.workers)]
        self._server = self._run(line)
        self.wait_for("the gateway", self._listens)

    def _listens(self) -> bool:
        assert self._server is not None and self._server.poll() is None, self.log()
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", self.port)) == 0 and len(self.worker_pids) >= self.workers

    def snippet(self) -> str:
        """The tag for the pages of the site."""
        line = [sys.executable, *COMMAND, "snippet"]
        return subprocess.run(line, env=self.environment, capture_output=True, text=True, check=True).stdout


def spooled(site: Site) -> list[dict[str, Any]]:
    from consent_gateway.record.spool import Spool, read_lines

    spool = Spool(site.data_dir)
    paths = [*spool.segments(spool.open), *spool.segments(spool.sealed)]
    return [json.loads(line) for path in paths for line in read_lines(path)[0]]
