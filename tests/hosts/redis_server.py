"""Debian's own redis-server, as the salts need it: in memory, on a port of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from redis import Redis

from tests.running import free_port, wait_for


class RedisServer:
    """`with RedisServer(folder) as server:`, then `server.url`; `arguments` come after those that forbid the disk."""

    def __init__(self, folder: Path, *arguments: str, port: int = 0) -> None:
        self.folder, self.arguments = folder, arguments
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        line = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        line += ["--save", "", "--appendonly", "no", *self.arguments]
        self._process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
        wait_for("redis", self._answers)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, *words: Any) -> Any:
        client = Redis(port=self.port)
        try:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]
        finally:
            client.close()

    def ask_raw(self, *words: str) -> bytes:
        """The answer as it is sent: the client would take some apart."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as line:
            line.sendall(" ".join(words).encode() + b"\r\n")
            return line.recv(65536)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.sendall(b"PING\r\n")
                return line.recv(5) == b"+PONG"
        except OSError:
            time.sleep(0.02)
            return False
