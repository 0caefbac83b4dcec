"""What a template of the site asks: may this purpose be used, and where do the gateway's own routes hang.

The site may also run without the gateway (in a test, say): then nothing is permitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def permits(scope: Mapping[str, Any], purpose: str) -> bool:
    """May data of this request's visitor be used for this purpose? Asking makes the response private to them."""
    consent = scope.get("consent")
    return consent is not None and bool(consent.permits(purpose))


def base(scope: Mapping[str, Any], prefix: str) -> str:
    """Where the gateway's routes hang for this browser: behind the root path that a proxy took away. A mount adds its
    own to `root_path`, and Starlette keeps what it was."""
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    return root.rstrip("/") + prefix
