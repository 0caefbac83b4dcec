"""Consent Gateway: records cookie consent and can prove it, keeps no IP address without it, and measures visits.

The public names: the middleware, its settings, the script's tag for templates, and the errors raised on purpose.
"""

from .app import ConsentGateway
from .config.settings import Settings
from .edge.script import script_tag
from .rule.errors import ConfigError, ConsentGatewayError

__all__ = ["ConfigError", "ConsentGateway", "ConsentGatewayError", "Settings", "script_tag"]
__version__ = "0.1.0"
