"""kill -9 in the middle of closing days: the next job begins anew, reports are exact before and after it, and nothing
is counted twice. `python -m tests.answers.test_killed` is the job in a process of its own, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.answers.shop import BUSY, Shop

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_job_is_killed_at_every_step_and_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("chdb")
    made = subprocess.run([sys.executable, "-m", __name__, str(tmp_path), "make"], cwd=ROOT, check=True)
    assert made.returncode == 0
    for step, words in (("1", "after"), ("2", "after"), ("4", "after"), ("3", "within"), ("2", "within")):
        killed = subprocess.run([sys.executable, "-m", __name__, str(tmp_path), step, words], cwd=ROOT)
        assert killed.returncode == -signal.SIGKILL, (step, words)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shop = Shop(tmp_path)
    assert shop.closed() == {}
    assert shop.visit_rows("1") > 0 and shop.client.command("SELECT count() FROM days"), "what the killed ones left"
    shop.check()
    assert shop.closer.close_all() == 2 and len(shop.closed()) == 2
    shop.check()
    shop.check_as_asked()
    assert shop.days.clear(shop.client, shop.days.now(shop.client)) >= 3
    shop.check()
    shop.close()


def main(folder: str, step: str, words: str = "") -> None:
    tempfile.tempdir = tempfile.mkdtemp(dir=folder)
    shop = Shop(Path(folder))
    if step == "make":
        shop.close()
        return
    real, left = shop.client.command, int(step)

    def killing(statement: str, *rest: Any, **more: Any) -> Any:
        nonlocal left
        left -= statement.startswith("INSERT")
        if left == 0 and words == "within":
            threading.Timer(0.005, os.kill, (os.getpid(), signal.SIGKILL)).start()
        result = real(statement, *rest, **more)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    shop.client.command = killing  # type: ignore[method-assign, assignment]
    shop.closer.close(shop.client, "shop", BUSY)


if __name__ == "__main__":
    main(*sys.argv[1:])
