"""The running server against its own OpenAPI document, by schemathesis in a process of its own: every answer has a
status, a kind, a shape and an `Allow` that the document knows, and nothing is a fault of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from consent_gateway.access.people import People, Scope
from tests.running import ROOT, Site

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "allow_header_conformance,unsupported_method"
)


def schemathesis(folder: Path, *, seconds: int, seed: int = 1) -> subprocess.CompletedProcess[str]:
    """Start a site, and let it be asked for so long. The site's own log is added when it names a fault."""
    with Site(folder, SITE="shop", EVENTS_PER_SITE="0", CHOICES_PER_SITE="0") as site:
        site.wait_for("the back office", site.office_answers)
        token = People(site.keys_dir).make_token("fuzz", [Scope.STATS, Scope.METRICS, Scope.EVENTS], 1)
        line = [
            sys.executable, "-m", "schemathesis.cli", "run", str(ROOT / "docs" / "openapi.json"), "--url", site.url,
            "--max-time", str(seconds), "--seed", str(seed), "--checks", CHECKS, "--continue-on-failure",
            "--suppress-health-check", "all", "--no-color", "--warnings", "off",
            "-H", f"Authorization:Bearer {token}",
        ]  # fmt: skip
        done = subprocess.run(line, capture_output=True, text=True, cwd=folder, timeout=seconds + 300)
        if "a fault inside the gateway" in site.log():
            done.returncode, done.stdout = done.returncode or 1, done.stdout + site.log()
        return done


def tried(text: str) -> int:
    """How many requests a run says it made."""
    found = re.search(r"([\d,]+) generated", text)
    return int(found[1].replace(",", "")) if found else 0
