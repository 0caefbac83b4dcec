"""docs/tutorial.md as it stands there: every file is written, every command run, in order, and its output compared.

A command that starts a server runs in the background, and ends the one before it; port 8000 becomes a free one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.deployed import clone, dependencies, environment, pth
from tests.running import ROOT, free_port

MARK = "=== block "
_PTH = f".venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages/deps.pth"
PRELUDE = """
set -eu
server=
stop() { if [ -n "$server" ]; then kill "$server"; wait "$server" || true; server=; fi; }
trap stop EXIT
uvicorn() {  # in the environment that the tutorial made: the one beside the tests belongs to them
    stop
    python -m uvicorn "$@" > server.log 2>&1 & server=$!
    for _ in $(seq 900); do
        if curl -s -o /dev/null http://127.0.0.1:8000/_cg/health; then return; fi
        kill -0 "$server" 2> /dev/null || break
        sleep 0.1
    done
    cat server.log >&2
    return 1
}
"""


def blocks() -> list[tuple[str, str]]:
    text = (ROOT / "docs" / "tutorial.md").read_text()
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def script(deps: Path) -> str:
    """The tutorial as one shell script, which says where each block's output begins."""
    parts = [PRELUDE]
    for number, (kind, text) in enumerate(blocks()):
        if kind == "sh":
            parts.append(f"echo '{MARK}{number}'\n{text}")
            if "-m venv" in text:
                before, made, after = parts[-1].partition("-m venv .venv\n")
                parts[-1] = f"{before}{made}cat > {_PTH} <<'END'\n{pth(deps)}END\n{after}"
        elif kind in ("python", "toml"):
            name = text.partition("\n")[0].removeprefix("# ")
            assert re.fullmatch(r"\w+\.(py|toml)", name), f"a file's first line is its name: {name}"
            parts.append(f"cat > {name} <<'END-OF-FILE'\n{text}END-OF-FILE\n")
        else:
            assert kind == "text", kind
    return "".join(parts)


@pytest.mark.slow
def test_from_an_empty_folder_to_a_live_site(tmp_path: Path) -> None:
    port = str(free_port())
    clone(tmp_path / "consent-gateway")
    text = script(dependencies(tmp_path / "deps")).replace("8000", port)
    done = subprocess.run(
        ["bash", "-c", text], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    printed = {
        int(number): output for number, output in re.findall(f"{MARK}(\\d+)\n(.*?)(?={MARK}|\\Z)", done.stdout, re.S)
    }
    for number, (kind, told) in enumerate(blocks()):
        if kind == "text":
            lines = [" ".join(line.split()) for line in printed[number - 1].splitlines()]
            for wanted in told.replace("8000", port).splitlines():
                pattern = ".*".join(re.escape(part) for part in wanted.split("…"))
                assert any(re.match(pattern, line) for line in lines), (wanted, lines)
    assert (tmp_path / "shop" / "shop.tar.gz").stat().st_size > 1000
