"""The exact text that a visitor is shown, in one language, addressed by its SHA-256.

A notice is a JSON file; its bytes are what is hashed, so a changed comma is another notice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

FALLBACK = "en"


class Notices:
    """The built-in notices, by language and by hash. All are of one version of the policy."""

    def __init__(self, folder: Path = Path(__file__).parent) -> None:
        self._by_hash: dict[str, bytes] = {}
        self._by_language: dict[str, str] = {}
        self.version = ""
        for path in sorted(folder.glob("*.json")):
            data = path.read_bytes()
            digest = sha256(data).hexdigest()
            self._by_hash[digest] = data
            self._by_language[path.stem] = digest
            self.version = json.loads(data)["version"]

    def choose(self, wanted: Iterable[str]) -> tuple[str, str]:
        """The first language that we have of those wanted (`nl-BE` is `nl`), and its notice's hash."""
        for tag in wanted:
            language = tag.strip().lower()[:2]
            if language in self._by_language:
                return language, self._by_language[language]
        return FALLBACK, self._by_language[FALLBACK]

    def language(self, digest: str) -> str:
        """The language of a notice of ours; empty for another hash."""
        return next((language for language, found in self._by_language.items() if found == digest), "")

    def text(self, digest: str) -> bytes | None:
        return self._by_hash.get(digest)
