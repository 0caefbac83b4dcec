"""Equipment: an installation as users have one, in a virtual environment of its own, without a network.

What it depends on is taken from the tests' environment; the package itself is not seen there, so it can only come from
what was installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.running import ENV_PREFIX, ROOT

OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # 0: no isolation


def environment(**more: str) -> dict[str, str]:
    """That of a user: nothing of the tests' own paths and settings."""
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    outer = {name: value for name, value in os.environ.items() if not name.startswith((ENV_PREFIX, *dropped))}
    return outer | OFFLINE | {"PYTHONUNBUFFERED": "1", "COLUMNS": "120"} | more


def dependencies(folder: Path) -> Path:
    """A folder with all that the tests' environment holds, but for the package."""
    folder.mkdir()
    for name in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(name).iterdir():
            if not path.name.startswith(("consent_gateway", "__editable__", "__pycache__")):
                (folder / path.name).symlink_to(path)
    return folder


def pth(folder: Path) -> str:
    """The line of a `.pth` file that puts a folder before an environment's own packages."""
    return f"import sys; sys.path.insert(1, {str(folder)!r})\n"


def clone(folder: Path) -> Path:
    """The sources of the package, as a clone has them: building writes beside them."""
    shutil.copytree(ROOT / "static", folder / "static")
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "consent_gateway", folder / "consent_gateway", symlinks=True, ignore=skipped)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    return folder


def wheel(folder: Path) -> Path:
    """The wheel, built as docs/howto/deploy.md says."""
    line = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder / "dist")]
    built = subprocess.run([*line, "."], cwd=clone(folder / "clone"), env=environment(), capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (found,) = (folder / "dist").iterdir()
    return found
