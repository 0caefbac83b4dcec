"""`load/browser.py`: what is time in scripts, and a short run of our own script that keeps what the script promises."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from load import browser
from load.subjects import SETUP, SUBJECTS

ROOT = Path(__file__).resolve().parents[2]
URL = "http://127.0.0.1:1/ours"


def event(name: str, ts: int, dur: int, tid: int = 1, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "pid": 7, "tid": tid, "name": name, "ts": ts, "dur": dur, "tdur": dur // 2, "args": args}


def test_script_time_is_cpu_time_of_the_pages_main_thread_and_counts_once() -> None:
    main = {"ph": "M", "name": "thread_name", "pid": 7, "tid": 1, "args": {"name": "CrRendererMain"}}
    worker = {"ph": "M", "name": "thread_name", "pid": 7, "tid": 2, "args": {"name": "Worker"}}
    other = {"ph": "M", "name": "thread_name", "pid": 8, "tid": 1, "args": {"name": "CrRendererMain"}}
    trace = [
        main, worker, other,
        event("ParseHTML", 0, 100, beginData={"url": URL}),
        event("EvaluateScript", 1000, 8000), event("v8.compile", 1500, 2000), event("FunctionCall", 4000, 1000),
        event("RunMicrotasks", 10_000, 2000),
        event("Layout", 13_000, 9000),
        event("FunctionCall", 1000, 5000, tid=2),
        event("EvaluateScript", 1000, 5000) | {"pid": 8},
    ]  # fmt: skip
    assert browser.script_ms(trace, URL) == 5.0


def test_every_subject_is_set_up_by_a_file() -> None:
    for subject in SUBJECTS:
        assert all((SETUP / name).exists() for name in re.findall(r'"/setup/([^"]+)"', subject.head))
    assert {path.stem for path in SETUP.glob("*.js")} == {
        subject.key for subject in SUBJECTS if "/setup/" in subject.head
    }


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium here: apt install chromium")
def test_a_short_run(tmp_path: Path) -> None:
    """Of our script only: no shift, and no request beside its three."""
    report = tmp_path / "report.md"
    report.write_text("<!-- begin measured -->\n<!-- end measured -->\n")
    line = [sys.executable, "load/browser.py", "--loads", "1", "--only", "ours", "--report", str(report)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = re.search(r"\| Consent Gateway \|(.*)\|", report.read_text())
    assert cells
    *_, shift, requests = (cell.strip() for cell in cells[1].split("|"))
    assert (float(shift), requests) == (0.0, "3")
