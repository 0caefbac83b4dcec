"""A program for tests: `consent-gateway` with rounds that follow each other at once."""

from __future__ import annotations

import sys

from consent_gateway.cli import app
from consent_gateway.replay import follow

if __name__ == "__main__":
    follow._ROUND_SECONDS = 0.02
    app(sys.argv[1:])
