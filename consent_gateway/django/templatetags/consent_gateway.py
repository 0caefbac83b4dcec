"""`{% load consent_gateway %}`: `{% script_tag %}`, `{% permits "marketing" as may %}`, `{% privacy_url %}`.

They look at the `request` of the context (`django.template.context_processors.request`), and find the gateway also
behind a root path. Another PREFIX than `/_cg` is named by `CONSENT_GATEWAY_PREFIX` in Django's settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

from ...edge import script
from ...edge import template as ours


def script_tag(context: Mapping[str, Any], **options: Any) -> SafeString:
    """The tag for a page's head; the options are those of `consent_gateway.script_tag`."""
    return mark_safe(script.script_tag(_base(context), **options))


def permits(context: Mapping[str, Any], purpose: str) -> bool:
    """May data of this visitor be used for this purpose? Asking makes the response private to them."""
    return ours.permits(_scope(context), purpose)


def privacy_url(context: Mapping[str, Any]) -> str:
    """Where the privacy page is, for a link at the foot of each page."""
    return f"{_base(context)}/privacy"


def _base(context: Mapping[str, Any]) -> str:
    return ours.base(_scope(context), getattr(settings, "CONSENT_GATEWAY_PREFIX", "/_cg"))


def _scope(context: Mapping[str, Any]) -> Mapping[str, Any]:
    scope: Mapping[str, Any] = getattr(context.get("request"), "scope", {})
    return scope


register = template.Library()
for _tag in (script_tag, permits, privacy_url):
    register.simple_tag(_tag, takes_context=True)
