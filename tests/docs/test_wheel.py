"""The wheel: nothing is missing in it, and what is installed from it is a site and a demo that answer."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import zipfile
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.docs.deployed import dependencies, environment, pth, wheel
from tests.running import ROOT

_SECONDS = 60.0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """The `bin` of an environment that holds the wheel, and the tests' other packages."""
    folder = tmp_path_factory.mktemp("installed")
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "deps.pth").write_text(pth(dependencies(folder / "deps")))
    line = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", str(built)]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return venv / "bin"


def test_all_files_of_the_package_are_in_it(built: Path) -> None:
    """The browser code, queries, words, presets, templates: whatever lies in the package, and nothing else."""
    with zipfile.ZipFile(built) as file:
        held = {name for name in file.namelist() if name.startswith("consent_gateway/")}
    package = [*(ROOT / "consent_gateway").rglob("*"), *(ROOT / "consent_gateway" / "static").resolve().rglob("*")]
    here = {
        str(path.relative_to(ROOT)).replace("static/", "consent_gateway/static/", 1)
        if path.is_relative_to(ROOT / "static")
        else str(path.relative_to(ROOT))
        for path in package
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == here
    for kind in (
        "site.js",
        "queries/pages.sql",
        "words/nl.json",
        "presets/default.toml",
        "templates/home.html",
        "py.typed",
    ):
        assert any(name.endswith(kind) for name in held), kind


@pytest.mark.slow
def test_the_demo_runs_from_it(installed: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [installed / "python", "-c", "import consent_gateway; print(consent_gateway.__file__)"],
        env=environment(), cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(installed.parent))
    log = tmp_path / "log"
    with log.open("w") as out:
        demo = subprocess.Popen(
            [installed / "consent-gateway", "demo", "--port", "0", "--days", "1"],
            env=environment(), cwd=tmp_path, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        found, until = None, time.monotonic() + _SECONDS
        while not (found := re.search(r"Dashboard +http://127\.0\.0\.1:(\d+)(\S+)\s", log.read_text())):
            assert demo.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        port, link = int(found[1]), found[2]
        for path in ("/", "/_cg/site.js", "/_cg/state", "/_cg/privacy", "/_cg/page.css"):
            assert get(port, path)[0] == 200, path
        cookie = get(port, link)[1].partition(";")[0]
        status, _, body = get(port, "/_cg/dashboard", cookie)
        assert status == 200 and "zevenspaak" in body and "Page views" in body
        status, _, body = get(port, "/_cg/stats/pages?format=csv", cookie)
        assert status == 200 and len(body.splitlines()) > 3
    finally:
        demo.terminate()
        demo.wait(_SECONDS)


def get(port: int, path: str, cookie: str = "") -> tuple[int, str, str]:
    """Status, the cookie that was set, and the body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Set-Cookie", ""), answer.read().decode()
    finally:
        connection.close()
