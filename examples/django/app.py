"""A bakery with Django. In this folder: uvicorn app:app"""

from __future__ import annotations

import json
import os
from typing import Any

from django.core.asgi import get_asgi_application

from consent_gateway import ConsentGateway

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
pages = get_asgi_application()


async def site(scope: Any, receive: Any, send: Any) -> None:
    """Django answers http; websockets are another app's matter (here a few lines, often Channels)."""
    if scope["type"] != "websocket":
        await pages(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    told = {"rings": "at seven", "analytics": "consent" in scope}
    await send({"type": "websocket.send", "text": json.dumps(told)})
    await send({"type": "websocket.close"})


app = ConsentGateway(site)
