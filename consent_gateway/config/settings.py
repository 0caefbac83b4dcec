"""The settings: `CONSENT_GATEWAY_*` in the environment, or `Settings(...)`.

Defaults run. A wrong value, or a name that is none, is refused at start in one sentence that names the setting, the
value and what is allowed (a secret's value is never named).
"""

from __future__ import annotations

import binascii
import difflib
import os
import re
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ..rule.address import Networks, Prefixes
from ..rule.errors import ConfigError

ENV_PREFIX = "CONSENT_GATEWAY_"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PERSON_KEY_BYTES = 32


def _listed(value: Any) -> Any:
    """`a, b` in the environment is a list of two."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _mapped(value: Any) -> Any:
    """`https://a.eu=shop, https://b.eu=blog` in the environment is a mapping of two."""
    if not isinstance(value, str):
        return value
    pairs = [pair.rpartition("=") for pair in _listed(value)]
    if any(not (origin and name) for origin, _, name in pairs):
        raise ValueError("allowed is a list like https://www.example.eu=shop, https://blog.example.eu=blog")
    return {origin.strip(): name.strip() for origin, _, name in pairs}


def _prefix_pair(value: Any) -> Any:
    if isinstance(value, Prefixes):
        return value
    parts = _listed(value) if isinstance(value, str) else list(value)
    try:
        v4, v6 = (int(str(part).lstrip("/")) for part in parts)
    except ValueError:
        raise ValueError("allowed are two numbers, of IPv4 and IPv6, like 24,48") from None
    return Prefixes(v4, v6)


def _path_prefix(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)+", value):
        raise ValueError("allowed is a path that starts with / and does not end with it, like /_cg")
    return value


def _below(value: tuple[str, ...]) -> tuple[str, ...]:
    for path in value:
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is no path; allowed are ones like /api, which covers /api and what is below it")
    return value


def _size(value: Any) -> Any:
    """`2GiB`, `500MB` or a number of bytes."""
    if not isinstance(value, str) or value.isdigit():
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?)?B?\s*", value, re.IGNORECASE)
    if match is None:
        raise ValueError("allowed is a size like 500MB or 2GiB")
    unit = (match[2] or "").upper()
    return int(float(match[1]) * (1024 if "I" in unit else 1000) ** (" KMGT".index(unit[:1]) if unit else 0))


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Paths = Annotated[Listed, AfterValidator(_below)]


class Settings(BaseSettings):
    """All settings. Each field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True, validate_default=True)

    DATA_DIR: Path = Field(Path("consent-gateway/data"), description="spool, ledger and embedded store")
    KEYS_DIR: Path = Field(Path("consent-gateway/keys"), description="secrets and keys, apart from the data")
    DSN: str = Field("", description="the store: chdb:///path, clickhouse://… (loopback) or clickhouses://…")
    CLUSTER: str = Field("", description="the ClickHouse cluster that DSN leads to: replicated and distributed tables")
    ENCRYPT_STORE: bool = Field(False, description="the embedded store lies on an encrypted disk (AES-256)")
    BACK_OFFICE: Literal["auto", "external"] = Field("auto", description="external: `consent-gateway serve` runs it")
    SITES: Annotated[dict[str, str], NoDecode, BeforeValidator(_mapped)] = Field(
        {}, description="origins to site names; what comes for another host is dropped as unknown_site"
    )
    SITE: str = Field("site", description="the one site's name, when SITES is empty: every host is this site")
    PREFIX: Annotated[str, AfterValidator(_path_prefix)] = Field("/_cg", description="where the gateway's routes hang")
    TIMEZONE: str = Field("UTC", description="whose midnights end a day: for salts, reports and daily jobs")
    SECRET: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed)] = Field(
        (), description="signs cookies; several for rotation, the newest last; made in KEYS_DIR when empty"
    )
    SALTS: str = Field(
        "memory-file", description="where the day's salt is; several hosts: redis://… (loopback) or rediss://…"
    )
    PERSON_KEY: SecretStr = Field(
        SecretStr(""), description="base64 of 32 bytes, the same on several hosts; made in KEYS_DIR when empty"
    )
    TRUSTED_PROXIES: Listed = Field((), description="networks whose PROXY_HEADER is believed; `unix` for a socket")
    PROXY_HEADER: str = Field("X-Forwarded-For", description="the one forwarding header believed")
    ADDRESS_MODE: Literal["truncate", "drop"] = Field("truncate", description="drop: no network, no visitor")
    PREFIXES: Annotated[Prefixes, NoDecode, BeforeValidator(_prefix_pair)] = Field(
        Prefixes(), description="bits kept of an address, IPv4 and IPv6"
    )
    SCRUB_SCOPE: bool = Field(True, description="the site behind sees the truncated address")
    SCRUB_EXCEPT: Paths = Field((), description="path prefixes that see the full address, on the site's own basis")
    EXCLUDE_PATHS: Paths = Field((), description="path prefixes that are not measured")
    GEO_DB: Path | None = Field(None, description="an mmdb for places; without it the country is known")
    ALLOWED_ORIGINS: Listed = Field(
        (), description="other origins of the same registrable domain whose pages may ask here"
    )
    POLICY: Path | None = Field(None, description="the policy file (TOML); without it the preset `default` holds")
    COOKIE_FIREWALL: Literal["report", "strip", "off"] = Field(
        "report", description="the site's cookies against the policy: strip takes away what is undeclared or refused"
    )
    COOKIE_DOMAIN: str = Field("", description="share the choice among the hosts of a domain")
    SPOOL_LIMIT: Annotated[int, BeforeValidator(_size)] = Field(
        2 * 1024**3, ge=1024**2, description="bytes that the spool may hold; past it senders are told 503"
    )
    METRICS_NETWORKS: Listed = Field((), description="networks that may read /metrics and the details of /health")
    METRICS_TOKEN: SecretStr = Field(SecretStr(""), description="or whoever sends it as a bearer token")
    EVENT_SYNC: bool = Field(False, description="events wait for the disk too, as choices always do")
    EVENTS_PER_NETWORK: int = Field(
        100, ge=0, description="events a second that one network may send, ten times that at once; past it 429; 0: any"
    )
    EVENTS_PER_SITE: int = Field(20_000, ge=0, description="events a second of one site and worker; 0: any")
    CHOICES_PER_NETWORK: int = Field(
        300,
        ge=0,
        description="choices a minute of one network; past it grants get 429, others no record; 0: any",
    )
    CHOICES_PER_SITE: int = Field(6_000, ge=0, description="choices a minute of one site and worker; 0: any")

    def __init__(self, **values: Any) -> None:
        unknown = [name for name in os.environ if name.startswith(ENV_PREFIX)]
        for name in unknown:
            if name.removeprefix(ENV_PREFIX) not in type(self).model_fields:
                raise ConfigError(_no_such(name))
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_sentence(error)) from None
        _fit_together(self)

    @field_validator("TIMEZONE")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("allowed is a name of the time zone database, like Europe/Brussels") from None
        return value

    @field_validator("TRUSTED_PROXIES", "METRICS_NETWORKS")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Networks(value)
        return value

    @field_validator("PROXY_HEADER")
    @classmethod
    def _header(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9-]+", value):
            raise ValueError("allowed is the name of one header, like X-Forwarded-For")
        return value

    @field_validator("COOKIE_DOMAIN")
    @classmethod
    def _domain(cls, value: str) -> str:
        if value and not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", value):
            raise ValueError("allowed is a domain in lower case, like example.eu")
        return value

    @field_validator("METRICS_TOKEN")
    @classmethod
    def _long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 16:
            raise ValueError("allowed is a token of at least 16 characters")
        return value

    @field_validator("SECRET")
    @classmethod
    def _strong(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < 32 for secret in value):
            raise ValueError("allowed are secrets of at least 32 characters")
        return value

    @field_validator("SITES", "ALLOWED_ORIGINS")
    @classmethod
    def _origins(cls, value: Any) -> Any:
        for origin in value:
            parts = urlsplit(origin)
            plain = parts.netloc and "@" not in parts.netloc and parts.path in ("", "/")
            if parts.scheme not in ("http", "https") or not plain:
                shown = origin.rpartition("@")[2]  # a password may stand before it
                raise ValueError(f"{shown!r} is no origin; allowed are ones like https://www.example.eu")
        return value

    @field_validator("SITE", "SITES")
    @classmethod
    def _names(cls, value: Any) -> Any:
        for name in [value] if isinstance(value, str) else value.values():
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
                raise ValueError(f"{name!r} is no site name; allowed are 1 to 64 letters, digits, dots and dashes")
        return value

    @field_validator("DSN")
    @classmethod
    def _dsn(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and parts.scheme not in ("chdb", "clickhouse", "clickhouses"):
            raise ValueError("allowed are chdb:///path, clickhouse://… and clickhouses://…")
        if parts.scheme == "clickhouse" and parts.hostname not in _LOOPBACK:
            raise ValueError("clickhouse:// is not encrypted and is allowed to this host only; use clickhouses://")
        return value

    @field_validator("CLUSTER")
    @classmethod
    def _cluster(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", value):
            raise ValueError("allowed is the name of a cluster in the server's remote_servers")
        return value

    @field_validator("SALTS")
    @classmethod
    def _salts(cls, value: str) -> str:
        if value == "memory-file":
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("redis", "rediss") or not parts.hostname or not re.fullmatch(r"/?\d*", parts.path):
            raise ValueError("allowed are memory-file, redis://host:port/db (loopback) and rediss://host:port/db")
        if parts.scheme == "redis" and parts.hostname not in _LOOPBACK:
            raise ValueError("redis:// is not encrypted and is allowed to this host only; use rediss://")
        if parts.fragment or {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - {"ssl_ca_certs"}:
            raise ValueError("allowed behind the address is only ?ssl_ca_certs=/path")
        return value

    @field_validator("PERSON_KEY")
    @classmethod
    def _whole(cls, value: SecretStr) -> SecretStr:
        try:
            length = len(b64decode(value.get_secret_value(), validate=True))
        except (binascii.Error, ValueError):
            length = -1
        if length not in (0, _PERSON_KEY_BYTES):
            raise ValueError("allowed is base64 of 32 bytes, as `openssl rand -base64 32` prints it")
        return value

    @property
    def several_hosts(self) -> bool:
        """Sharing salts is what says so: one visitor on two hosts must be one visitor."""
        return self.SALTS != "memory-file"

    @property
    def person_key(self) -> bytes | None:
        """The key of the durable pseudonym, when it is set; `Keys` makes one otherwise.

        A setting of its own and not made from SECRET: that one is rotated, and then every person would be another,
        whose withdrawal finds none of the rows that are stored.
        """
        return b64decode(self.PERSON_KEY.get_secret_value()) or None

    @property
    def embedded(self) -> bool:
        """Does the store run inside the back office?"""
        return self.dsn.startswith("chdb:")

    @property
    def dsn(self) -> str:
        """The store's DSN; the embedded engine inside `DATA_DIR` when none is set."""
        return self.DSN or f"chdb://{(self.DATA_DIR / 'store').absolute()}"

    @property
    def hosts(self) -> dict[str, str]:
        """Host (with its port, where an origin names one) to site name; empty when every host is `SITE`."""
        return {urlsplit(origin).netloc.lower(): name for origin, name in self.SITES.items()}

    @property
    def site_names(self) -> frozenset[str]:
        """The names of all sites."""
        return frozenset(self.SITES.values()) or frozenset([self.SITE])

    @property
    def zone(self) -> ZoneInfo:
        """`TIMEZONE`, as what dates are worked out with."""
        return ZoneInfo(self.TIMEZONE)


def _fit_together(settings: Settings) -> None:
    """What one setting demands of another."""
    if settings.ENCRYPT_STORE and not settings.embedded:
        raise ConfigError(
            f"{ENV_PREFIX}ENCRYPT_STORE is on, but {ENV_PREFIX}DSN names a server, whose disk is not ours; allowed is "
            "the embedded engine"
        )
    if settings.CLUSTER and settings.embedded:
        raise ConfigError(
            f"{ENV_PREFIX}CLUSTER is {settings.CLUSTER!r}, but {ENV_PREFIX}DSN names the embedded engine; allowed with "
            "a cluster is the DSN of one of its servers"
        )
    if not settings.several_hosts:
        return
    because = f"{ENV_PREFIX}SALTS says that several hosts serve the site"
    if settings.embedded:
        raise ConfigError(
            f"{because}, but {ENV_PREFIX}DSN names the embedded engine, which only one host has; allowed is the DSN of "
            "a server that they share"
        )
    if not settings.SECRET:
        raise ConfigError(f"{ENV_PREFIX}SECRET is empty, but {because}; allowed is a secret, the same on each of them")
    if settings.person_key is None:
        raise ConfigError(
            f"{ENV_PREFIX}PERSON_KEY is empty, but {because}; allowed is the same on each of them: what `openssl rand "
            "-base64 32` prints, or, to go on from one host, `base64 -w0` of its KEYS_DIR/person"
        )


def _no_such(name: str) -> str:
    known = [ENV_PREFIX + field for field in Settings.model_fields]
    near = difflib.get_close_matches(name, known, 1)
    return f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else f"; allowed are {', '.join(known)}")


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return _no_such(ENV_PREFIX + name)
    value = str(first["input"])
    # a password may stand in them
    secret = name in ("SECRET", "PERSON_KEY") or "@" in value or (name in ("DSN", "SALTS") and "?" in value)
    shown = "is wrong" if secret else f"is {first['input']!r}"
    return f"{ENV_PREFIX}{name} {shown}: {first['msg'].removeprefix('Value error, ')}"
