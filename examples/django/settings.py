"""The settings of a small Django site."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "bakery"))

SECRET_KEY = "only of this example"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["consent_gateway.django"]  # {% load consent_gateway %}
MIDDLEWARE = [
    "consent_gateway.django.tell_route",  # page views name their URL pattern
    "django.middleware.gzip.GZipMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",  # the tags need it
                "consent_gateway.django.consent",  # {{ consent.status }}
            ]
        },
    }
]
USE_I18N = False
LOGGING_CONFIG = None
