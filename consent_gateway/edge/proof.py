"""Who may ask about a consent: the bearer of its cookie, or of a receipt that we signed for it. Nobody else."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ..record.receipt import consent_id
from ..record.signature import is_genuine


def consent_of_receipt(text: str, keys: Mapping[str, Ed25519PublicKey]) -> tuple[str, str]:
    """Consent id and site of a genuine receipt (of the grant, or of what ended it); empty for any other."""
    try:
        receipt = json.loads(text)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(receipt, dict):
        return "", ""
    alone = {name: value for name, value in receipt.items() if name != "history"}  # what GET receipt puts beside it
    if not is_genuine(alone, keys):
        return "", ""
    return consent_id(alone), str(alone.get("site", ""))
