"""The two pseudonyms. Both are the first 8 bytes of a keyed BLAKE2b (RFC 7693), as an unsigned number; 0 is "none".

`visitor` is made from the *network*, for everyone alike, with a key that lives one day: hashing the full address would
be processing it. `person` is made from the consent id in a granted cookie, with a key that stays on this host.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b


def visitor(salt: bytes, site: str, network: bytes, user_agent: str) -> int:
    """A pseudonym that lives one day at most. `network` is a truncated address, packed."""
    text = b"%d:%b%b\0%b" % (len(network), network, site.encode(), user_agent.encode(errors="surrogateescape"))
    return _first_8(blake2b(text, key=salt, digest_size=32).digest())


@lru_cache(10_000)
def person(key: bytes, consent_id: str) -> int:
    """A durable pseudonym, only of someone who granted `analytics`."""
    return _first_8(blake2b(consent_id.encode(), key=key, digest_size=32).digest())


def _first_8(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big") or 1
