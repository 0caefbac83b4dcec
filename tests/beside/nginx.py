"""Equipment: the real nginx, with the configuration of `examples/beside/nginx.conf` at a test's ports and folders."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

from tests.running import ROOT, Site, _end_with_parent, free_port, wait_for

# what follows the example's own server block, where the site behind is made of files
FILES = """
    server {{
        listen 127.0.0.1:{port};
        root {root};
        index index.html;
        access_log off;
    }}
"""


class Nginx(Site):
    """In front of a gateway and of a site, given as ports; `root` is a folder of files that is the site instead.

    It has a `Site`'s way of asking: `get`, `post`, `url`.
    """

    def __init__(self, home: Path, *, gateway: int, site: int = 0, root: Path | None = None) -> None:
        super().__init__(home)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.access_log, site = home / "access.log", site or free_port()
        user = "user root; " if os.geteuid() == 0 else ""  # its workers would be nobody, who sees none of our folders
        text = (ROOT / "examples" / "beside" / "nginx.conf").read_text()
        for old, new in {
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "/var/log/nginx/access.log": str(self.access_log),
            "/var/cache/nginx/shared": str(home / "cache"),
            "server 127.0.0.1:8700;": f"server 127.0.0.1:{gateway};",
            "server 127.0.0.1:8080;": f"server 127.0.0.1:{site};",
            "worker_processes auto;": f"{user}worker_processes 1; daemon off; pid {home}/nginx.pid; error_log stderr;",
        }.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        if root is not None:
            text = text.rstrip().removesuffix("}") + FILES.format(port=site, root=root) + "}\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
            text = text.replace("http {\n", f"http {{\n    {kind}_temp_path {home}/{kind};\n")
        self.config = home / "nginx.conf"
        self.config.write_text(text)

    def __enter__(self) -> Self:
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin")
        assert program, "there is no nginx here: apt install nginx-light"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-p", str(self.home), "-c", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_end_with_parent,
            )  # fmt: skip
        wait_for("nginx", self._listens)
        return self

    def _listens(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log()
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", self.port)) == 0

    def reopen_logs(self) -> None:
        """What logrotate tells it (USR1)."""
        assert self._process is not None
        self._process.send_signal(10)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
