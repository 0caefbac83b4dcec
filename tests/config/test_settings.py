"""Settings: defaults run, right values mean what they say, and a wrong one is refused in one sentence that helps."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pydantic
import pytest
from pydantic import SecretStr

from consent_gateway import ConfigError, Settings
from consent_gateway.config.settings import ENV_PREFIX
from consent_gateway.rule.address import Prefixes

KEY = base64.b64encode(bytes(32)).decode()
SERVER = "clickhouses://db.example.eu"

RIGHT: list[tuple[str, str, Any]] = [
    # setting           in the environment                          is
    ("DATA_DIR",        "/srv/data",                                Path("/srv/data")),
    ("KEYS_DIR",        "/srv/keys",                                Path("/srv/keys")),
    ("DSN",             "chdb:///srv/store",                        "chdb:///srv/store"),
    ("DSN",             "clickhouse://localhost:8123",              "clickhouse://localhost:8123"),
    ("DSN",             "clickhouse://user:pass@127.0.0.1",         "clickhouse://user:pass@127.0.0.1"),
    ("DSN",             "clickhouse://[::1]:8123",                  "clickhouse://[::1]:8123"),
    ("DSN",             "clickhouses://user:pass@db.example.eu",    "clickhouses://user:pass@db.example.eu"),
    ("CLUSTER",         "",                                         ""),
    ("BACK_OFFICE",     "external",                                 "external"),
    ("SITES",           "https://a.eu=shop, http://b.eu:81=blog",   {"https://a.eu": "shop", "http://b.eu:81": "blog"}),
    ("SITES",           "",                                         {}),
    ("SITE",            "my-shop.2",                                "my-shop.2"),
    ("PREFIX",          "/privacy/x_1",                             "/privacy/x_1"),
    ("TIMEZONE",        "Europe/Brussels",                          "Europe/Brussels"),
    ("SECRET",          "s" * 32,                                   ("s" * 32,)),
    ("SECRET",          f"{'o' * 40}, {'n' * 40}",                  ("o" * 40, "n" * 40)),
    ("SALTS",           "memory-file",                              "memory-file"),
    ("PERSON_KEY",      KEY,                                        KEY),
    ("TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::/32,unix",           ("10.0.0.0/8", "2001:db8::/32", "unix")),
    ("TRUSTED_PROXIES", "",                                         ()),
    ("PROXY_HEADER",    "CF-Connecting-IP",                         "CF-Connecting-IP"),
    ("ADDRESS_MODE",    "drop",                                     "drop"),
    ("PREFIXES",        "16,32",                                    Prefixes(16, 32)),
    ("PREFIXES",        "/16, /32",                                 Prefixes(16, 32)),
    ("SCRUB_SCOPE",     "off",                                      False),
    ("SCRUB_EXCEPT",    "/shop/pay, /fraud",                        ("/shop/pay", "/fraud")),
    ("EXCLUDE_PATHS",   "/health",                                  ("/health",)),
    ("GEO_DB",          "/srv/geo.mmdb",                            Path("/srv/geo.mmdb")),
    ("ALLOWED_ORIGINS", "https://blog.a.eu, https://shop.a.eu",     ("https://blog.a.eu", "https://shop.a.eu")),
    ("POLICY",          "/srv/policy.toml",                         Path("/srv/policy.toml")),
    ("COOKIE_FIREWALL", "strip",                                    "strip"),
    ("COOKIE_DOMAIN",   "example.eu",                               "example.eu"),
    ("SPOOL_LIMIT",     "2097152",                                  2097152),
    ("SPOOL_LIMIT",     "500MB",                                    500_000_000),
    ("SPOOL_LIMIT",     "1.5 GiB",                                  3 * 2**29),
    ("EVENT_SYNC",      "true",                                     True),
    ("ENCRYPT_STORE",   "true",                                     True),
    ("EVENTS_PER_NETWORK", "0",                                     0),
    ("EVENTS_PER_SITE", "500",                                      500),
    ("CHOICES_PER_NETWORK", "60",                                   60),
    ("CHOICES_PER_SITE", "600",                                     600),
    ("METRICS_NETWORKS", "10.0.0.0/8",                              ("10.0.0.0/8",)),
    ("METRICS_TOKEN",   "a-token-of-some-length",                   "a-token-of-some-length"),
]  # fmt: skip

WRONG: list[tuple[str, str, str]] = [
    # setting           in the environment            what the sentence says of what is allowed
    ("DSN",             "postgres://db",              "allowed are chdb:///path"),
    ("DSN",             "db.example.eu",              "allowed are chdb:///path"),
    ("DSN",             "clickhouse://db.example.eu", "not encrypted and is allowed to this host only"),
    ("DSN",             "clickhouse://",              "not encrypted and is allowed to this host only"),
    ("CLUSTER",         "two words",                  "allowed is the name of a cluster"),
    ("BACK_OFFICE",     "maybe",                      "'auto' or 'external'"),
    ("SITES",           "https://a.eu",               "allowed is a list like https://www.example.eu=shop"),
    ("SITES",           "a.eu=shop",                  "'a.eu' is no origin; allowed are ones like"),
    ("SITES",           "https://a.eu/path=shop",     "is no origin"),
    ("SITES",           "ftp://a.eu=shop",            "is no origin"),
    ("SITES",           "https://a.eu=my shop",       "'my shop' is no site name; allowed are"),
    ("SITE",            "",                           "is no site name; allowed are 1 to 64"),
    ("SITE",            "a/b",                        "is no site name"),
    ("SITE",            "s" * 65,                     "is no site name"),
    ("PREFIX",          "_cg",                        "allowed is a path that starts with /"),
    ("PREFIX",          "/_cg/",                      "allowed is a path that starts with /"),
    ("PREFIX",          "",                           "allowed is a path that starts with /"),
    ("TIMEZONE",        "Mars/Olympus",               "allowed is a name of the time zone database"),
    ("TIMEZONE",        "../../etc/passwd",           "allowed is a name of the time zone database"),
    ("SECRET",          "short-secret",               "allowed are secrets of at least 32 characters"),
    ("SECRET",          f"{'s' * 32},short-secret",   "allowed are secrets of at least 32 characters"),
    ("SALTS",           "file",                       "allowed are memory-file, redis://"),
    ("SALTS",           "redis://cache.example.eu",   "allowed to this host only"),
    ("PERSON_KEY",      "short-secret",               "allowed is base64 of 32 bytes"),
    ("TRUSTED_PROXIES", "10.0.0.1/8",                 "allowed are networks like 10.0.0.0/8"),
    ("TRUSTED_PROXIES", "10.0.0.0/8,nginx",           "'nginx' is not a network"),
    ("PROXY_HEADER",    "X-Forwarded-For:",           "allowed is the name of one header"),
    ("PROXY_HEADER",    "",                           "allowed is the name of one header"),
    ("ADDRESS_MODE",    "keep",                       "'truncate' or 'drop'"),
    ("COOKIE_FIREWALL", "block",                      "'report', 'strip' or 'off'"),
    ("PREFIXES",        "32,128",                     "allowed are /8 to /24 for IPv4, /16 to /48 for IPv6"),
    ("PREFIXES",        "24",                         "allowed are two numbers"),
    ("PREFIXES",        "a,b",                        "allowed are two numbers"),
    ("SCRUB_SCOPE",     "perhaps",                    "valid boolean"),
    ("SCRUB_EXCEPT",    "pay",                        "'pay' is no path; allowed are ones like /api"),
    ("EXCLUDE_PATHS",   "/health,api",                "'api' is no path"),
    ("ALLOWED_ORIGINS", "blog.a.eu",                  "'blog.a.eu' is no origin; allowed are ones like"),
    ("ALLOWED_ORIGINS", "https://blog.a.eu/page",     "is no origin"),
    ("COOKIE_DOMAIN",   ".example.eu",                "allowed is a domain in lower case"),
    ("COOKIE_DOMAIN",   "a.eu; Secure",               "allowed is a domain in lower case"),
    ("SPOOL_LIMIT",     "much",                       "allowed is a size like 500MB or 2GiB"),
    ("SPOOL_LIMIT",     "10000",                      "greater than or equal to 1048576"),
    ("EVENT_SYNC",      "perhaps",                    "valid boolean"),
    ("ENCRYPT_STORE",   "perhaps",                    "valid boolean"),
    ("EVENTS_PER_NETWORK", "-1",                      "greater than or equal to 0"),
    ("EVENTS_PER_SITE", "many",                       "valid integer"),
    ("CHOICES_PER_NETWORK", "-1",                     "greater than or equal to 0"),
    ("CHOICES_PER_SITE", "1.5",                       "valid integer"),
    ("METRICS_NETWORKS", "10.0.0.1/8",                "allowed are networks"),
    ("METRICS_TOKEN",   "short",                      "at least 16 characters"),
]  # fmt: skip
SECRETS = {"SECRET", "PERSON_KEY"}


def plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return tuple(map(plain, value)) if isinstance(value, tuple) else value


def test_defaults_run() -> None:
    settings = Settings()
    assert settings.dsn == f"chdb://{Path.cwd()}/consent-gateway/data/store"
    assert ("truncate", Prefixes(24, 48), True) == (settings.ADDRESS_MODE, settings.PREFIXES, settings.SCRUB_SCOPE)
    assert settings.TRUSTED_PROXIES == () and settings.PROXY_HEADER == "X-Forwarded-For"
    assert settings.site_names == {"site"} and settings.hosts == {} and settings.zone.key == "UTC"


@pytest.mark.parametrize(("name", "text", "value"), RIGHT)
def test_a_right_value(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any) -> None:
    monkeypatch.setenv(ENV_PREFIX + name, text)
    assert plain(getattr(Settings(), name)) == value
    monkeypatch.delenv(ENV_PREFIX + name)
    assert plain(getattr(Settings(**{name: value}), name)) == value  # given by a program, it is the same


@pytest.mark.parametrize(("name", "text", "allowed"), WRONG)
def test_a_wrong_value(monkeypatch: pytest.MonkeyPatch, name: str, text: str, allowed: str) -> None:
    monkeypatch.setenv(ENV_PREFIX + name, text)
    with pytest.raises(ConfigError) as refused:
        Settings()
    sentence = str(refused.value)
    assert sentence.startswith(f"{ENV_PREFIX}{name} is ") and allowed in sentence and "\n" not in sentence
    if name in SECRETS:
        assert "short" not in sentence
    else:
        assert text.partition("=")[0].partition(",")[0] in sentence
    assert isinstance(refused.value, ValueError) and refused.value.__suppress_context__


def test_every_setting_has_its_cases_and_its_words() -> None:
    """Any folder, and any file's name, is right here: their maker refuses them."""
    assert {name for name, _, _ in RIGHT} == set(Settings.model_fields)
    assert {name for name, _, _ in WRONG} == set(Settings.model_fields) - {"DATA_DIR", "KEYS_DIR", "GEO_DB", "POLICY"}
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("DATADIR", "did you mean CONSENT_GATEWAY_DATA_DIR?"),
        ("TRUSTED_PROXY", "did you mean CONSENT_GATEWAY_TRUSTED_PROXIES?"),
        ("SECRETS", "did you mean CONSENT_GATEWAY_SECRET?"),
        ("ADRESS_MODE", "did you mean CONSENT_GATEWAY_ADDRESS_MODE?"),
    ],
)
def test_a_name_that_is_none(monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    monkeypatch.setenv(ENV_PREFIX + name, "a-secret-value")
    with pytest.raises(ConfigError) as refused:
        Settings()
    assert str(refused.value) == f"{ENV_PREFIX}{name} is no setting; {said}"
    monkeypatch.delenv(ENV_PREFIX + name)
    with pytest.raises(ConfigError) as refused:
        Settings(**{name: "a-secret-value"})
    assert str(refused.value) == f"{ENV_PREFIX}{name} is no setting; {said}"


def test_other_variables_are_no_concern_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONSENT_GATEWAYS", "DATA_DIR", "MY_CONSENT_GATEWAY_X"):
        monkeypatch.setenv(name, "x")
    Settings()


@pytest.mark.parametrize(
    "values",
    [
        {"SECRET": "a-secret-value"},
        {"SECRET": ("a-secret-value",)},
        {"SECRET": ("s" * 40, "a-secret-value")},
        {"PERSON_KEY": "a-secret-value"},
        {"DSN": "clickhouse://user:a-secret-value@db.example.eu"},
        {"DSN": "postgres://db.example.eu?password=a-secret-value"},
        {"SALTS": "redis://:a-secret-value@cache.example.eu"},
        {"SALTS": "redis://cache.example.eu?password=a-secret-value"},
        {"SITES": {"https://user:a-secret-value@example.eu": "shop"}},
    ],
)
def test_no_secret_is_ever_named(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings(**values)
    assert "a-secret-value" not in str(refused.value) and "allowed" in str(refused.value)


def test_settings_do_not_print_their_secrets() -> None:
    settings = Settings(SECRET=("a-secret-value-of-many-letters-and-more",), PERSON_KEY=KEY)
    for text in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "a-secret-value" not in text and KEY not in text


def test_settings_do_not_change() -> None:
    with pytest.raises(pydantic.ValidationError):
        Settings().SITE = "other"


def test_the_environment_gives_way_to_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}SITE", "environment")
    assert Settings().SITE == "environment" and Settings(SITE="given").SITE == "given"


def test_hosts_and_sites() -> None:
    settings = Settings(
        SITES={"https://WWW.example.eu/": "shop", "http://example.eu:8000": "shop", "https://b.eu": "b"}
    )
    assert settings.hosts == {"www.example.eu": "shop", "example.eu:8000": "shop", "b.eu": "b"}
    assert settings.site_names == {"shop", "b"}
    assert Settings(SITE="one").site_names == {"one"}


REDIS, MANY = "rediss://cache.example.eu/0", {"DSN": SERVER, "SECRET": ("s" * 40,), "PERSON_KEY": KEY}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"CLUSTER": "main"}, "CLUSTER is 'main', but CONSENT_GATEWAY_DSN names the embedded engine; allowed"),
        ({"SALTS": REDIS}, "DSN names the embedded engine, which only one host has; allowed"),
        ({"SALTS": REDIS, **MANY, "SECRET": ()}, "SECRET is empty, but CONSENT_GATEWAY_SALTS says"),
        ({"SALTS": REDIS, **MANY, "PERSON_KEY": ""}, "PERSON_KEY is empty, but CONSENT_GATEWAY_SALTS says"),
    ],
)
def test_what_one_setting_demands_of_another(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings(**values)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_several_hosts() -> None:
    settings = Settings(SALTS=REDIS, CLUSTER="main", **MANY)
    assert settings.several_hosts and not settings.embedded and settings.person_key == bytes(32)
    assert not Settings().several_hosts and Settings().embedded and Settings().person_key is None
