"""A site with the script in its pages, under the strictest policy that the banner promises to work with."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consent_gateway import ConsentGateway, script_tag

STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'"
FRAMED = f"{STRICT}; frame-src 'self'"
LANGUAGES = ("nl", "fr", "de", "en")

_PAGE = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>A shop</title><link rel="stylesheet" href="{style}">{tag}</head>
<body><main><h1>A shop</h1><p><a href="/?lang={lang}" id="first">First link</a></p>{middle}
<p>Some words about a bicycle, to fill the page.</p></main>
<footer><a href="/_cg/privacy" data-cg-open>Your choices</a>
<a href="/other?lang={lang}" id="last">Last link</a></footer>
</body></html>"""
_LONG = "<p>A line of an article about bicycles, and <a href='#'>a link</a>.</p>" * 40
_GATED = """
<script type="text/plain" data-purpose="marketing" src="/one.js"></script>
<script type="text/plain" data-purpose="marketing" src="/two.js"></script>
<script type="text/plain" data-purpose="marketing" data-type="module" src="/three.js"></script>
<script type="text/plain" data-purpose="never" src="/never.js"></script>
<iframe data-purpose="marketing" data-src="/framed" title="A film" width="560" height="315"></iframe>
<p><span>After the film</span></p>"""
_HOSTILE = """
* { all: unset; color: red !important; font-size: 40px !important; margin: 30px !important; opacity: .3 !important }
div, section, button, dialog, cg-choice { display: none !important; position: static !important; width: 1px !important }
body > :first-child { outline: 5px solid lime }
html { font-size: 62.5% }
"""
_PLAIN = """
body { font: 1rem/1.5 sans-serif; margin: 1rem }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee } a { color: #9cf } }
body > :first-child { margin-top: 3rem }
* + * { margin-top: 1px }
"""


def _page(request: Request, middle: str = "", style: str = "/style.css", csp: str = STRICT) -> Response:
    lang = request.query_params.get("lang", "en")
    text = _PAGE.format(lang=lang, tag=script_tag(immutable=False), middle=middle, style=style)
    return HTMLResponse(text, headers={"Content-Security-Policy": csp})


async def short(request: Request) -> Response:
    return _page(request)


async def long(request: Request) -> Response:
    return _page(request, _LONG)


async def gated(request: Request) -> Response:
    return _page(request, _GATED, csp=FRAMED)


async def hostile(request: Request) -> Response:
    return _page(request, style="/hostile.css")


async def around(request: Request) -> Response:
    """A page that has another of this site in a frame."""
    return _page(request, '<iframe src="/" title="Another page"></iframe>', csp=FRAMED)


async def framed(request: Request) -> Response:
    return HTMLResponse("<!doctype html><html lang=en><title>A film</title><h1>The film</h1></html>")


async def style(request: Request) -> Response:
    return Response(_PLAIN, media_type="text/css")


async def hostile_style(request: Request) -> Response:
    return Response(_HOSTILE, media_type="text/css")


async def counted(request: Request) -> Response:
    name = request.path_params["name"]
    return Response(f"(window.ran ||= []).push('{name}');", media_type="text/javascript")


def site() -> ASGIApp:
    """The factory that `Site(..., app="tests.browser.pages:site")` names."""
    return ConsentGateway(
        Starlette(
            routes=[
                Route("/", short),
                Route("/other", short),
                Route("/long", long),
                Route("/gated", gated),
                Route("/hostile", hostile),
                Route("/around", around),
                Route("/framed", framed),
                Route("/style.css", style),
                Route("/hostile.css", hostile_style),
                Route("/{name:str}.js", counted),
            ]
        )
    )


def changed(effective: str) -> str:
    """The policy with a second version, which asks anew for one purpose of two."""
    words = ", ".join(f'{lang} = "Something new ({lang})."' for lang in LANGUAGES)
    return f"""{POLICY}
[[versions]]
version = "1"
announced = 2026-01-01
effective = 2026-01-01

[[versions]]
version = "2"
announced = 2026-01-02
effective = {effective}
material = true
touches = ["analytics"]
changes = {{{words}}}
"""


WORDS = '{nl = "Filmpjes van anderen", fr = "Films tiers", de = "Filme von anderen", en = "Films of others"}'
POLICY = f"""
[controller]
name = "Zevenspaak"
email = "privacy@zevenspaak.example"

[[purposes]]
id = "marketing"
basis = "consent"
gates = true
retention_days = 90
names = {{nl = "Marketing", fr = "Marketing", de = "Marketing", en = "Marketing"}}
texts = {WORDS}
cookies = [{{name = "_film*", days = 90, words = {WORDS}}}]
services = [{{name = "Films Ltd", country = "IE", url = "https://films.example"}}]

[[purposes]]
id = "orders"
basis = "contract"
retention_days = 3650
names = {{nl = "Bestellingen", fr = "Commandes", de = "Bestellungen", en = "Orders"}}
texts = {{nl = "Wat u koopt.", fr = "Ce que vous achetez.", de = "Was Sie kaufen.", en = "What you buy."}}
data = {{nl = ["uw adres"], fr = ["votre adresse"], de = ["Ihre Anschrift"], en = ["your address"]}}
"""
