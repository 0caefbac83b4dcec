"""Saved filters, by name, in `DATA_DIR/filters.json`, asked for as `filter=@NAME`. (A segment is the spool's.)"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..rule.errors import ConfigError
from .question import MOST_FILTERS, Filter

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_MOST = 200


def load(data_dir: Path) -> dict[str, tuple[Filter, ...]]:
    """What is saved. `ConfigError` names the file when somebody changed it into something else."""
    path = data_dir / "filters.json"
    try:
        kept = json.loads(path.read_bytes())
        return {name: tuple(map(Filter.parse, texts)) for name, texts in kept.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        raise ConfigError(f"{path} is not as it was written: allowed is {{name: [filter, …]}}") from None


def save(data_dir: Path, name: str, texts: Sequence[str]) -> None:
    """Keep these filters under a name; none of them means: forget the name. The file is replaced whole."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a filter's name is {name[:80]!r}: allowed are a-z, 0-9, - and _, at most 40")
    filters = [Filter.parse(text) for text in texts]
    kept = load(data_dir)
    kept.pop(name, None)
    if filters:
        kept[name] = tuple(filters)
    if len(filters) > MOST_FILTERS or len(kept) > _MOST:
        raise ConfigError(f"allowed are {MOST_FILTERS} filters under a name, and {_MOST} names")
    draft = data_dir / f".filters.{os.urandom(4).hex()}"
    draft.write_text(json.dumps({key: [str(one) for one in some] for key, some in sorted(kept.items())}, indent=1))
    draft.replace(data_dir / "filters.json")
