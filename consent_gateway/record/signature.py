"""Signed documents: receipts and seals. Ed25519 (RFC 8032) over the document's canonical JSON.

Canonical is: UTF-8, keys sorted by code point, no white space, no escapes that JSON does not demand; without the member
`proof`, which holds the signature. So anyone can check one offline with the published key (docs/receipts.md).
"""

from __future__ import annotations

from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Document = dict[str, Any]

_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(document: Mapping[str, Any]) -> bytes:
    """The bytes that are signed."""
    return _encode({name: value for name, value in document.items() if name != "proof"})


def key_id(key: Ed25519PublicKey) -> str:
    """By which a signature names its key: the first 16 hexadecimal digits of the SHA-256 of its raw bytes."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def signed(document: Document, key: Ed25519PrivateKey) -> Document:
    """The document with its proof."""
    signature = b64encode(key.sign(canonical(document))).decode()
    return document | {"proof": {"type": "Ed25519", "key": key_id(key.public_key()), "value": signature}}


def is_genuine(document: Mapping[str, Any], keys: Mapping[str, Ed25519PublicKey]) -> bool:
    """Did one of these keys sign exactly this?"""
    proof = document.get("proof")
    if not isinstance(proof, dict) or proof.get("type") != "Ed25519":
        return False
    key = keys.get(str(proof.get("key")))
    try:
        if key is None:
            return False
        key.verify(b64decode(str(proof.get("value")), validate=True), canonical(document))
    except (InvalidSignature, ValueError, TypeError, RecursionError):
        return False
    return True


def published(keys: Mapping[str, Ed25519PublicKey]) -> Document:
    """The public keys as a JSON Web Key Set (RFC 7517, RFC 8037)."""
    raw = {name: key.public_bytes(Encoding.Raw, PublicFormat.Raw) for name, key in keys.items()}
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "kid": name,
                "use": "sig",
                "alg": "EdDSA",
                "x": urlsafe_b64encode(data).decode().rstrip("="),
            }
            for name, data in raw.items()
        ]
    }
