"""Long work of the back office, one at a time: backup and restore. Whoever started it asks how far it is."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .config.settings import Settings
from .rule.errors import ConfigError, ConsentGatewayError
from .store.backup import LAST, BackupError, Step, back_up
from .store.client import Failure, first_line
from .store.layout import Layout
from .store.restore import check, restore

log = logging.getLogger("consent_gateway.office")

Work = Callable[[Step], dict[str, Any]]


@dataclass
class Job:
    """How far a piece of work is. `words` say what it is at."""

    name: str
    words: str = "starting"
    done: int = 0
    total: int = 0
    running: bool = True
    error: str = ""
    result: dict[str, Any] = field(default_factory=dict)


class Jobs:
    """`paused` keeps the forwarder still; `scrub_all` brings every stop into the store."""

    def __init__(
        self,
        settings: Settings,
        layout: Layout,
        connect: Callable[[], Client],
        paused: Callable[[], AbstractContextManager[None]],
        scrub_all: Callable[[Client], int],
    ) -> None:
        self._settings, self._layout, self._connect = settings, layout, connect
        self._paused, self._scrub_all = paused, scrub_all
        self._job: Job | None = None
        self._starting = threading.Lock()
        self._cancelled = threading.Event()

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/backup", self._start_backup, methods=["POST"]),
            Route("/restore", self._start_restore, methods=["POST"]),
            Route("/job", self._state),
            Route("/job", self._cancel, methods=["DELETE"]),
        ]

    def cancel(self) -> None:
        self._cancelled.set()

    async def _start_backup(self, request: Request) -> Response:
        path = _path(request)
        return self._start("backup", lambda step: self._back_up(path, step))

    async def _start_restore(self, request: Request) -> Response:
        path, replace = _path(request), request.query_params.get("replace") == "yes"
        return self._start("restore", lambda step: self._restore(path, step, replace=replace))

    async def _state(self, request: Request) -> Response:
        return JSONResponse(asdict(self._job) if self._job else {})

    async def _cancel(self, request: Request) -> Response:
        self.cancel()
        return JSONResponse({})

    def _start(self, name: str, work: Work) -> Response:
        with self._starting:
            if self._job is not None and self._job.running:
                title = f"a {self._job.name} is running; wait until it is done"
                return JSONResponse({"title": title, "status": 409}, 409, media_type="application/problem+json")
            self._cancelled.clear()
            self._job = Job(name)
        threading.Thread(target=self._run, args=(self._job, work), name=name, daemon=True).start()
        return JSONResponse(asdict(self._job), 202)

    def _run(self, job: Job, work: Work) -> None:
        def step(words: str, done: int, total: int) -> None:
            job.words, job.done, job.total = words, done, total
            if self._cancelled.is_set():
                raise BackupError("cancelled")

        try:
            job.result = work(step)
        except ConsentGatewayError as error:
            job.error = str(error)
        except Failure as error:
            job.error = f"the store failed: {first_line(error)}"
        except Exception as error:
            log.exception("the %s failed", job.name)
            job.error = f"{type(error).__name__}; the back office's log says where"
        job.running = False

    def _back_up(self, path: Path, step: Step) -> dict[str, Any]:
        client = self._connect()
        try:
            manifest = back_up(path, client, self._layout, self._settings.DATA_DIR, self._settings.POLICY, step)
        finally:
            client.close()
        rows = sum(manifest.rows(table) for table in manifest.tables)
        with suppress(OSError):  # it is made; that it can't be noted is no reason to say otherwise
            (self._settings.DATA_DIR / LAST).write_text(json.dumps({"made_at": manifest.made_at, "path": str(path)}))
        return {"rows": rows, "files": len(manifest.files), "bytes": path.stat().st_size}

    def _restore(self, path: Path, step: Step, *, replace: bool) -> dict[str, Any]:
        try:
            file = path.open("rb")
        except OSError as error:
            raise BackupError(f"{path} can't be read: {error.strerror}") from None
        with file:
            try:
                manifest = check(file, step)
                client = self._connect()
                try:
                    with self._paused():
                        data_dir = self._settings.DATA_DIR
                        done = restore(file, manifest, client, self._layout, data_dir, step, replace=replace)
                        step("applying what ended since", done["rows"], done["rows"])
                        return done | {"scrubbed": self._scrub_all(client)}
                finally:
                    client.close()
            except BackupError as error:
                raise BackupError(f"{path}: {error}") from None


def _path(request: Request) -> Path:
    path = Path(request.query_params.get("path", ""))
    if not path.is_absolute():
        raise ConfigError(f"path is {str(path)!r}: allowed is a whole one, from / on")
    return path
