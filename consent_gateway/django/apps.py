"""How Django knows the app."""

from __future__ import annotations

from django.apps import AppConfig


class ConsentGatewayConfig(AppConfig):  # type: ignore[misc]
    """An app without models: it is installed for its template tags."""

    name = "consent_gateway.django"
    label = "consent_gateway"
    verbose_name = "Consent Gateway"
