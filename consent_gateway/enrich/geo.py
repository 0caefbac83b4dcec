"""Where a network, or the address of someone who agreed, is registered: country, region, city. Never coordinates.

Out of the box the country comes from the registries' public data (`iptocc`). `GEO_DB` names an mmdb instead, in
MaxMind's nested layout or a flat one. What a database says is believed only as far as it has the form of a country
code, a region code or a city's name: a wrong or hostile file gives empty places, never an error in a request.
A new file is picked up by `reload_if_changed`; a broken one is refused at start and ignored later.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import iptocc
import maxminddb

from ..rule.errors import ConfigError
from ..rule.event import Place
from .personal import gives_away

log = logging.getLogger(__name__)

_COUNTRY = re.compile(r"[A-Za-z]{2}")
_REGION = re.compile(r"[A-Z0-9-]{1,10}")
_CITY_LIMIT = 80
_CACHED = 20_000  # networks
_NOWHERE = Place()

_Signature = tuple[int, int, int]  # inode, time of change, size


class Geo:
    """Look-up of places. `path` is the setting GEO_DB, None where it isn't set."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._reader: maxminddb.Reader | None = None
        self._seen: _Signature | None = None
        if path is not None:
            try:
                self._seen = _signature(path)
                self._reader = _open(path)
            except Exception as error:
                raise ConfigError(
                    f"GEO_DB is {str(path)!r}, which can't be read as a MaxMind database ({_why(error)}); "
                    "allowed is the path of a readable .mmdb file, or leave it out for countries alone."
                ) from error
        self._remember()

    def _remember(self) -> None:
        self._networks, self._last = lru_cache(_CACHED)(self._find), lru_cache(1)(self._find)

    def __call__(self, text: str) -> Place:
        """The place of `203.0.113.0/24` or `203.0.113.77`; an empty one where it isn't known or `text` is neither."""
        base, slash, _ = text.partition("/")
        # Only networks are remembered, a cache of full addresses would outlive the consent they came with; but for the
        # last one, as the events of one request are all of one address.
        return self._networks(base) if slash else self._last(base)

    def reload_if_changed(self) -> bool:
        """Takes over a file that was replaced or rewritten; True when it did. Reads the file's status each time."""
        if self._path is None:
            return False
        try:
            now = _signature(self._path)
        except OSError:
            return False  # being replaced, or gone: the copy in memory serves on
        if now == self._seen:
            return False
        self._seen = now  # a broken file is tried, and complained about, once
        try:
            reader = _open(self._path)
        except Exception as error:
            log.warning("GEO_DB: the new %s can't be read (%s); the old one stays in use.", self._path, _why(error))
            return False
        self._reader = reader
        self._remember()
        return True

    def _find(self, address: str) -> Place:
        try:
            if self._path is None:
                return Place(_country(iptocc.country_code(address)))
            reader = self._reader
            record = reader.get(address) if reader else None
            return _place(record) if isinstance(record, Mapping) else _NOWHERE
        except Exception:  # not an address, or a database whose tree or data is damaged: the page must not suffer
            return _NOWHERE


def _signature(path: Path) -> _Signature:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _open(path: Path) -> maxminddb.Reader:
    """The pure Python reader, over the file's bytes.

    The C reader is 25 times as fast (3 µs against 87) but a damaged database ends the process in it (SIGSEGV), and so
    does a `cp` onto the file that it maps (SIGBUS). Networks repeat, so the cache pays for the difference.
    """
    return maxminddb.open_database(path, maxminddb.MODE_MEMORY)


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__


def _place(record: Mapping[str, Any]) -> Place:
    nested = record.get("country")
    country = _country(_inner(nested, "iso_code") or record.get("country_code") or nested)
    if not country:
        return _NOWHERE
    parts = record.get("subdivisions")
    first = parts[0] if isinstance(parts, list) and parts else None
    codes = _inner(first, "iso_code"), record.get("region_code"), record.get("region"), record.get("state1")
    region = _region(country, *codes)
    town = record.get("city")
    return Place(country, region, _city(_inner(_inner(town, "names"), "en") or town))


def _inner(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, Mapping) else None


def _country(value: object) -> str:
    return value.upper() if isinstance(value, str) and _COUNTRY.fullmatch(value) else ""


def _region(country: str, *candidates: object) -> str:
    """The first that is a code, as ISO 3166-2 writes it (`BE-VLG`). A name in its place is no code."""
    for code in candidates:
        if isinstance(code, str) and _REGION.fullmatch(code):
            full = code if code.startswith(country + "-") else f"{country}-{code}"
            if len(full) <= 10:
                return full
    return ""


def _city(value: object) -> str:
    if not isinstance(value, str) or len(value) > _CITY_LIMIT or not value.isprintable() or gives_away(value):
        return ""
    return value.strip()
