"""The record of processing activities (GDPR Art. 30), made from the policy and the column register.

Nothing in it is typed twice: what a purpose uses is what the register keeps under it and what the policy says besides.
"""

from __future__ import annotations

from typing import Any

from ..rule.columns import BY_NAME, COLUMNS
from ..rule.purposes import ACCOUNTABILITY, ANALYTICS
from .notices import make
from .policy import Policy

SECURITY = (
    "Addresses are encrypted with AES-256-GCM before they are written; the keys, one a month, lie apart from the data.",
    "Pseudonyms are keyed hashes (BLAKE2b, keys of 256 bits); the visitor's key lives one day, in memory where it can.",
    "Choices are kept in a ledger; receipts are signed (Ed25519), cookies too (HMAC-SHA-256).",
    "Without consent the address is shortened in the server before any other code sees it.",
)


def record(policy: Policy, now: int, language: str = "en") -> dict[str, Any]:
    """What Art. 30(1) asks for; (2) where the role is that of a processor. `now` in milliseconds, UTC."""
    version, policy = policy.in_force(now), policy.as_of(now)
    notice = make(policy, version, language)
    activities = [
        {
            "purpose": told["name"],
            "id": told["id"],
            "description": told["text"],
            "basis": told["basis"],
            "role": told["role"],
            "acts_for": told["acts_for"],
            "data_subjects": purpose.subjects.get(language) or "visitors of the site",
            "data": told["data"],
            "columns": [column.name for column in COLUMNS if column.purpose == purpose.id],
            "recipients": [*purpose.recipients, *(service.name for service in purpose.services)],
            "transfers": [
                {"to": service.name, "country": service.country, "safeguard": service.safeguard}
                for service in purpose.services
                if service.safeguard
            ],
            "kept_days": policy.retention_days(purpose.id),
            "besides": _besides(policy, purpose.id),
        }
        for purpose, told in zip(policy.purposes, notice["purposes"], strict=True)
    ]
    return {
        "title": "Record of processing activities (GDPR Art. 30)",
        "policy_version": version.version,
        "effective": str(version.effective),
        "role": policy.controller.role,
        "controller": policy.controller.model_dump(exclude={"role"}, exclude_defaults=True),
        "data_protection_officer": policy.dpo.model_dump(exclude_defaults=True),
        "activities": activities,
        "recipients": notice["recipients"],
        "storage": notice["storage"],
        "automated_decisions": policy.automated_decisions,
        "security": list(SECURITY),
    }


def _besides(policy: Policy, purpose: str) -> dict[str, int]:
    """What of a purpose has days of its own."""
    if purpose == ANALYTICS:
        return {"address": policy.column_days(BY_NAME["address"])}
    return {"the record of a choice, from its end": policy.ledger_days} if purpose == ACCOUNTABILITY else {}


def markdown(record: dict[str, Any]) -> str:
    """The same for people."""
    about = record["controller"]
    lines = [f"# {record['title']}", ""]
    lines += [f"Policy version {record['policy_version']}, in force since {record['effective']}.", ""]
    role = "Processor" if record["role"] == "processor" else "Controller"
    lines += _list([f"{role}: {_body(about)}", f"Data protection officer: {_body(record['data_protection_officer'])}"])
    where = record["storage"]
    lines += _list(
        [
            f"Data is kept in: {where['country'] or 'not said'}{_under(where['safeguard'])}",
            f"Automated decisions (Art. 22): {'yes' if record['automated_decisions'] else 'none'}",
        ]
    )
    for one in record["activities"]:
        lines += ["", f"## {one['purpose']} (`{one['id']}`)", "", one["description"], ""]
        kept = f"{one['kept_days']} days" + "".join(f"; {what} {days} days" for what, days in one["besides"].items())
        transfers = [f"{to['to']} ({to['country']}){_under(to['safeguard'])}" for to in one["transfers"]]
        lines += _list(
            [
                f"Legal basis: {one['basis'].replace('_', ' ')}",
                f"Role: {one['role']}" + (f" for {one['acts_for']} (Art. 30(2))" if one["acts_for"] else ""),
                f"Whose data: {one['data_subjects']}",
                f"Recipients: {', '.join(one['recipients']) or 'none'}",
                f"Transfers outside the EEA: {'; '.join(transfers) or 'none'}",
                f"Kept: {kept}",
                f"Data: {'; '.join(one['data']) or 'none'}",
                f"Columns: {', '.join(f'`{name}`' for name in one['columns']) or 'none in the store of this product'}",
            ]
        )
    lines += ["", "## Recipients", ""]
    lines += _list(
        f"{one['name']} ({one['role'].replace('_', ' ')}, {one['country'] or 'no country said'}): {one['text']}"
        f"{_under(one['safeguard'])}"
        for one in record["recipients"]
    ) or ["None."]
    lines += ["", "## Security (Art. 32)", "", *_list(record["security"])]
    return "\n".join(lines) + "\n"


def _list(entries: Any) -> list[str]:
    return [f"- {entry}" for entry in entries]


def _body(about: dict[str, str]) -> str:
    told = [about[key] for key in ("name", "address", "email", "url", "acts_for") if about.get(key)]
    return ", ".join(told) or "not said"


def _under(safeguard: str) -> str:
    return f", under {safeguard}" if safeguard else ""
