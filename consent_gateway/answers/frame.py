"""What all of the owners' pages share: the document around them, their headers, and the served style and script.

Nothing is inline: the policy of these pages forbids it, so that text of a stranger can't become one or the other.
"""

from __future__ import annotations

from hashlib import sha256
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .language import Words

_FOLDER = Path(__file__).parent / "page"
_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
_FILES = {kind: (_FOLDER / f"dashboard.{kind}").read_bytes() for kind in _KINDS}
_NAMES = {kind: f"{sha256(data).hexdigest()[:16]}.{kind}" for kind, data in _FILES.items()}

PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
}


def document(words: Words, title: str, body: str, prefix: str) -> str:
    """A whole page. `body` is HTML, already escaped."""
    return f"""<!doctype html>
<html lang="{words.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · Consent Gateway</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{prefix}/dashboard/{_NAMES["css"]}">
<script src="{prefix}/dashboard/{_NAMES["js"]}" defer></script>
</head>
<body>
{body}
</body>
</html>"""


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    kind = name.rpartition(".")[2]
    if kind not in _KINDS:
        return Response(status_code=404)
    fresh = name == _NAMES[kind]  # an older page may ask for an older one: it gets today's, and keeps it for no time
    keep = "public, max-age=31536000, immutable" if fresh else "no-store"
    return Response(_FILES[kind], media_type=_KINDS[kind], headers={"Cache-Control": keep})


ROUTES = [Route("/public/dashboard/{name}", _file)]
"""Style and script, which say nothing of anybody and need nobody's session."""
