"""The policy: who is responsible, what data is used for and on which basis, and since when. Read from a TOML file.

A file may name a preset in its first line and is laid over it; purposes are joined by their id. What the law or this
product forbids is refused at start, in one sentence that names line and key. What is due is decided by the clock that
comes in, so that a version which was announced takes effect while the site runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    field_validator,
    model_validator,
)

from ..rule.columns import ADDRESS_DAYS, RETENTION_DAYS, Column
from ..rule.consent import Terms
from ..rule.purposes import ACCOUNTABILITY, ANALYTICS, MEASUREMENT, LegalBasis

LANGUAGES = ("nl", "fr", "de", "en")
MOST_MONTHS = 13  # that a choice may be remembered (CNIL 2020-091 and -092; EDPB Taskforce)
MOST_MEASUREMENT_DAYS = RETENTION_DAYS[MEASUREMENT]  # 25 months at the shortest
_COOKIE_ROOM = 150  # bytes of the cookie for version and purposes: it has 300 in all
# what a version may change while the site runs; all else holds from its start
CHANGING = frozenset(
    {"controller", "dpo", "authority", "purposes", "recipients", "storage", "automated_decisions", "address_days"}
)
_BASES = {MEASUREMENT: "legitimate_interest", ANALYTICS: "consent", ACCOUNTABILITY: "legal_obligation"}

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Line = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
Prose = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Country = Annotated[str, StringConstraints(pattern=r"^([A-Z]{2})?$")]


def _link(text: str) -> str:
    if text and not re.fullmatch(r"https://[^\s\"<>]{3,490}", text):
        raise ValueError("allowed is an address like https://www.example.eu/contact")
    return text


def _mail(text: str) -> str:
    if text and not re.fullmatch(r"[^\s@<>]{1,90}@[^\s@<>]{3,100}", text):
        raise ValueError("allowed is an e-mail address")
    return text


Link = Annotated[str, AfterValidator(_link)]
Mail = Annotated[str, AfterValidator(_mail)]


def _in_every_language(texts: Mapping[str, str]) -> Mapping[str, str]:
    missing = [language for language in LANGUAGES if not texts.get(language, "").strip()]
    unknown = sorted(texts.keys() - set(LANGUAGES))
    if missing or unknown:
        words = f"{', '.join(missing)} is missing" if missing else f"{unknown[0]} is none of them"
        raise ValueError(f"{words}: allowed is a text in each of {', '.join(LANGUAGES)}")
    return texts


Words = Annotated[dict[str, Prose], AfterValidator(_in_every_language)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Body(_Part):
    """Somebody who can be written to."""

    name: Line = ""
    address: Line = ""
    email: Mail = ""
    url: Link = ""
    country: Country = ""


class Controller(Body):
    """Who runs the site. A processor acts for a controller, which it names (Art. 28)."""

    role: Literal["controller", "processor"] = "controller"
    acts_for: Line = ""


class Authority(Body):
    """The data protection authority that takes complaints."""

    complaint_url: Link = ""


class PolicyCookie(_Part):
    """A cookie that a purpose sets. A name may end in `*`. `days` is 0 for one that ends with the session."""

    name: Annotated[str, StringConstraints(pattern=r"^[!#$%&'+.^_`|~0-9A-Za-z-]{1,64}\*?$")]
    days: Annotated[int, Field(ge=0, le=400)] = 0
    domain: Annotated[str, StringConstraints(pattern=r"^(\.?[a-z0-9-]+(\.[a-z0-9-]+)+)?$")] = ""
    path: Annotated[str, StringConstraints(pattern=r"^/[^\s;,]*$")] = "/"
    words: Words


class _Place(_Part):
    """Where data lies. Outside the EEA it needs the safeguard that allows it (Chapter V)."""

    country: Country = ""
    safeguard: Line = ""


class Service(_Place):
    """A third party that a purpose lets in."""

    name: Line
    url: Link = ""


class PolicyPurpose(_Part):
    """What data is used for, on one basis of Art. 6(1). A purpose with `gates` opens scripts and frames of the page."""

    id: Id
    basis: LegalBasis
    names: Words
    texts: Words
    data: dict[str, list[Line]] = Field(default_factory=dict)  # by language, beside what the register says
    subjects: dict[str, Line] = Field(default_factory=dict)  # whose data, by language; visitors unless it says so
    retention_days: Annotated[int, Field(ge=1, le=36_500)]
    role: Literal["controller", "processor"] = "controller"  # in this purpose; a processor's `acts_for` says for whom
    acts_for: Words | None = None
    gates: bool = False
    stores_on_device: bool = False
    preselected: bool = False
    cookies: tuple[PolicyCookie, ...] = ()
    services: tuple[Service, ...] = ()
    recipients: tuple[Line, ...] = ()

    @model_validator(mode="after")
    def _lawful(self) -> Self:
        own = _BASES.get(self.id)
        if own and self.basis != own:
            raise ValueError(f"basis of {self.id} is {self.basis.value}: allowed is {own}, which its columns rest on")
        if self.preselected:
            raise ValueError("preselected is true: nothing may be ticked beforehand (GDPR 4(11), Planet49)")
        if self.basis is LegalBasis.LEGITIMATE_INTEREST and (self.stores_on_device or self.cookies or self.gates):
            what = "stores_on_device" if self.stores_on_device else "cookies" if self.cookies else "gates"
            raise ValueError(
                f"{what} with basis legitimate_interest: storing on the device or reading from it needs consent "
                '(ePrivacy 5(3)); allowed is basis = "consent"'
            )
        if self.gates and self.basis is not LegalBasis.CONSENT:
            raise ValueError(f"gates with basis {self.basis.value}: allowed is consent, which a gate waits for")
        if self.id in RETENTION_DAYS:
            most = RETENTION_DAYS[self.id]
            if self.retention_days > most:
                raise ValueError(f"retention_days is {self.retention_days}: allowed for {self.id} are {most} at most")
        if (self.role == "processor") != (self.acts_for is not None):
            raise ValueError("role is processor, or acts_for is there, without the other: a processor says for whom")
        if self.subjects:
            _in_every_language(self.subjects)
        if self.data:
            lists = {language: "x" if entries else "" for language, entries in self.data.items()}
            _in_every_language(lists)
        return self


class Version(_Part):
    """One version of the policy. A material one asks again, for what it `touches`: all when it names none. `policy` is
    what it changes, laid over what stood before and in force from its day on; `without` are purposes that end."""

    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    announced: date
    effective: date
    material: bool = False
    touches: tuple[Id, ...] = ()
    changes: Words | None = None
    policy: dict[str, Any] = Field(default_factory=dict)
    without: tuple[Id, ...] = ()

    @field_validator("policy")
    @classmethod
    def _may_change(cls, value: dict[str, Any]) -> dict[str, Any]:
        fixed = sorted(value.keys() - CHANGING)
        if fixed:
            raise ValueError(f"{fixed[0]} can't change with a version: allowed are {', '.join(sorted(CHANGING))}")
        purposes = value.get("purposes", [])
        if not isinstance(purposes, list) or not all(isinstance(one, dict) for one in purposes):
            raise ValueError("purposes is no list of tables: allowed is [[versions.policy.purposes]]")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.announced > self.effective:
            raise ValueError("announced is after effective: a new version is announced before it takes effect")
        if self.touches and not self.material:
            raise ValueError("touches without material = true: only a material change asks again")
        return self

    @property
    def effective_ms(self) -> int:
        return _midnight(self.effective)

    @property
    def announced_ms(self) -> int:
        return _midnight(self.announced)


class Recipient(_Place):
    """Who gets data: a processor (Art. 28) or another controller."""

    name: Line
    role: Literal["processor", "controller", "joint_controller"] = "processor"
    what: Words


class Storage(_Place):
    """Where the data themselves lie."""


EEA = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO".split()  # noqa: SIM905
)


class Policy(_Part):
    """The whole of it. `LANGUAGES` are what every text is in."""

    preset: Literal["default", "belgium-strict", "france-exempt"] = "default"
    controller: Controller = Controller()
    dpo: Body = Body()
    authority: Authority = Authority()
    purposes: tuple[PolicyPurpose, ...]
    consent_months: Annotated[int, Field(ge=1, le=MOST_MONTHS)] = 6
    first_layer: tuple[Literal["accept", "refuse", "choose"], ...] = ("accept", "refuse", "choose")
    script_needs_consent: bool = False
    minimum_group: Annotated[int, Field(ge=0, le=1000)] = 0
    address_days: Annotated[int, Field(ge=1, le=ADDRESS_DAYS)] = ADDRESS_DAYS
    ledger_days: Annotated[int, Field(ge=365, le=3660)] = 1827  # after a consent ended: how long claims may come
    automated_decisions: bool = False
    recipients: tuple[Recipient, ...] = ()
    storage: Storage = Storage()
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]
    _as_of: dict[str, Policy] = PrivateAttr(default_factory=dict)  # by version, where one changes something

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        ids = [purpose.id for purpose in self.purposes]
        twice = next((one for one in ids if ids.count(one) > 1), None)
        if twice:
            raise ValueError(f"purposes: {twice} stands twice: a purpose has one basis; make two purposes of it")
        missing = _BASES.keys() - set(ids)
        if missing:
            raise ValueError(f"purposes: {sorted(missing)[0]} is missing")
        if not {"accept", "refuse"} <= set(self.first_layer):
            raise ValueError(
                "first_layer: the refusal must stand on the layer that offers acceptance (EDPB Taskforce 2023); "
                'allowed is ["accept", "refuse", "choose"]'
            )
        names = [version.version for version in self.versions]
        if len(set(names)) < len(names):
            raise ValueError("versions: a version stands twice")
        for earlier, later in pairwise(self.versions):
            if later.effective <= earlier.effective:
                raise ValueError(f"versions: {later.version} takes effect no later than {earlier.version}")
            if later.changes is None:
                raise ValueError(f"versions: {later.version} lacks changes, a line on what is new")
        for version in self.versions:
            unknown = set(version.touches) - self.asked - _named_by(self.versions)
            if unknown:
                raise ValueError(f"versions: {version.version} touches {sorted(unknown)[0]}, which rests on no consent")
        size = len(":".join(sorted(self.asked))) + max(map(len, names))
        if size > _COOKIE_ROOM:
            raise ValueError(
                f"purposes: the names of those on consent and of a version have {size} characters together; "
                f"allowed are {_COOKIE_ROOM}, or the choice would not fit its cookie"
            )
        for place in (self.storage, *self.recipients, *(s for purpose in self.purposes for s in purpose.services)):
            if place.country and place.country not in EEA and not place.safeguard:
                raise ValueError(
                    f"{place.country} is outside the EEA: allowed with a safeguard that names what allows it"
                )
        return self

    @cached_property
    def asked(self) -> frozenset[str]:
        """The purposes that a banner asks for."""
        return frozenset(purpose.id for purpose in self.purposes if purpose.basis is LegalBasis.CONSENT)

    @cached_property
    def bases(self) -> Mapping[str, LegalBasis]:
        return {purpose.id: purpose.basis for purpose in self.purposes}

    def basis_of(self, purpose: str) -> LegalBasis | None:
        return self.bases.get(purpose)

    def purpose(self, name: str) -> PolicyPurpose:
        return next(purpose for purpose in self.purposes if purpose.id == name)

    def retention_days(self, purpose: str) -> int:
        """How long data of a purpose is kept. What is in `events` goes with its row, when `measurement` ends."""
        days = self.purpose(purpose).retention_days
        return min(days, self.purpose(MEASUREMENT).retention_days) if purpose in RETENTION_DAYS else days

    def column_days(self, column: Column) -> int:
        """How long a column is kept: never over what the register allows."""
        own = self.address_days if column.days else column.kept_days
        return min(own, column.kept_days, self.retention_days(column.purpose))

    def in_force(self, now: int) -> Version:
        """The version in force at a moment (milliseconds, UTC); before the first one that one."""
        due = [version for version in self.versions if version.effective_ms <= now]
        return due[-1] if due else self.versions[0]

    def as_of(self, now: int) -> Policy:
        """The policy with what the version in force at a moment, and those before it, have changed."""
        return self.under(self.in_force(now))

    def under(self, version: Version) -> Policy:
        """The policy as it is under one of its versions."""
        return self._as_of.get(version.version, self)

    def with_versions(self, made: Mapping[str, Policy]) -> Self:
        """This, knowing what it is under each version that changes something."""
        self._as_of.update(made)
        return self

    def announced(self, now: int) -> Version | None:
        """The next version, once it is announced."""
        coming = (version for version in self.versions if version.announced_ms <= now < version.effective_ms)
        return next((version for version in coming if version is not self.in_force(now)), None)

    def changes_at(self, now: int) -> int:
        """Until when (milliseconds) what these methods say of now stays true."""
        moments = (moment for version in self.versions for moment in (version.announced_ms, version.effective_ms))
        return min((moment for moment in moments if moment > now), default=1 << 62)

    def touched_since(self, version: str, now: int) -> frozenset[str]:
        """The purposes on consent that material changes have touched since a version; all, when we don't know it."""
        names = [one.version for one in self.versions]
        current = names.index(self.in_force(now).version)
        if version not in names:
            return self.as_of(now).asked
        touched: set[str] = set()
        for later in self.versions[names.index(version) + 1 : current + 1]:
            if later.material:
                touched |= set(later.touches) or self.under(later).asked
        return frozenset(touched)


class InForce:
    """What a policy says at a moment (milliseconds, UTC), worked out once for each stretch in which nothing changes."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._known: tuple[int, int, Terms, Policy] = (0, 0, Terms("", frozenset()), policy)  # never half of it

    def __call__(self, now: int) -> Terms:
        known = self._known
        return (known if known[0] <= now < known[1] else self._at(now))[2]

    def version(self, now: int) -> str:
        """The name of the version in force then."""
        return self(now).version

    def policy(self, now: int) -> Policy:
        """The policy as it is in force then."""
        known = self._known
        return (known if known[0] <= now < known[1] else self._at(now))[3]

    def _at(self, now: int) -> tuple[int, int, Terms, Policy]:
        policy = self._policy
        version, now_so = policy.in_force(now), policy.as_of(now)
        touched = {one.version: policy.touched_since(one.version, now) for one in policy.versions}
        terms = Terms(version.version, now_so.asked, touched)
        known = self._known = (version.effective_ms, policy.changes_at(now), terms, now_so)
        return known


def _named_by(versions: tuple[Version, ...]) -> set[str]:
    """The purposes that versions bring or change."""
    return {str(one.get("id")) for version in versions for one in version.policy.get("purposes", [])}


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
