"""`backup` and `restore` beside running sites, between the embedded engine and a server, both ways."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.clickhouse_double import ClickHouseDouble
from tests.running import ROOT, Row, Site


def command(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", "from consent_gateway.cli import app; app()", *words]
    return subprocess.run(line, env=site.environment, cwd=ROOT, capture_output=True, text=True, timeout=300)


def events(site: Site) -> list[Row]:
    return sorted(site.tables()["events"], key=lambda row: (row["at"], row["path"]))


def test_between_the_engines_and_back(tmp_path: Path, run_site: Callable[..., Site]) -> None:
    with ClickHouseDouble(tmp_path / "double") as double:
        first = run_site(SITE="shop")
        for number in range(5):
            first.get(f"/page/{number}")
        first.forwarded()
        out = command(first, "backup", str(tmp_path / "one"))
        assert out.returncode == 0 and "5 rows and the ledger" in out.stdout, out.stderr
        assert first.get("/").status == 200  # it ran all the while
        first.stop()

        server = Site(tmp_path / "server", DSN=double.dsn, SITE="shop")
        out = command(server, "restore", str(tmp_path / "one"))
        assert out.returncode == 0 and "5 rows are back" in out.stdout, out.stderr
        kept = [row for row in events(first) if row["path"] != "/"]
        assert events(server) == kept and len(kept) == 5
        out = command(server, "backup", str(tmp_path / "two"))
        assert out.returncode == 0, out.stderr

        again = Site(tmp_path / "again", SITE="shop")
        out = command(again, "restore", str(tmp_path / "two"))
        assert out.returncode == 0, out.stderr
        assert events(again) == kept
        out = command(again, "restore", str(tmp_path / "two"))
        assert (out.returncode, out.stdout) == (1, "") and "--replace" in out.stderr
        assert out.stderr.strip().count("\n") == 0
