"""Consent Gateway: records cookie consent and can prove it, keeps no IP address without it, and measures visits.

The public names: the middleware, its settings, and the errors that it raises on purpose.
"""

from .app import ConsentGateway
from .config.settings import Settings
from .rule.errors import ConfigError, ConsentGatewayError

__all__ = ["ConfigError", "ConsentGateway", "ConsentGatewayError", "Settings"]
__version__ = "0.1.0"
