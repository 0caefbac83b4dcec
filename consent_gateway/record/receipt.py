"""Records of choices as others read them: JSON-LD after ISO/IEC TS 27560, in the words of the Data Privacy Vocabulary.

A receipt is one such document, signed (`signature`); the ledger's export is one a record. What the policy says of a
purpose is taken from the notice that was shown, so an old record still says what was shown then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]

_CONTEXT = {
    "@vocab": "https://w3id.org/dpv#",
    "dct": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_STATES = {
    "given": "ConsentGiven",
    "refused": "ConsentRefused",
    "withdrawn": "ConsentWithdrawn",
    "unknown": "ConsentUnknown",
}
_BASES = {
    "consent": "Consent",
    "contract": "Contract",
    "legal_obligation": "LegalObligation",
    "vital_interest": "VitalInterest",
    "public_task": "PublicInterest",
    "legitimate_interest": "LegitimateInterest",
}
RIGHTS = (
    "GDPR 7(3) withdrawal", "GDPR 15 access", "GDPR 16 rectification", "GDPR 17 erasure", "GDPR 18 restriction",
    "GDPR 20 portability", "GDPR 21 objection", "GDPR 77 complaint",
)  # fmt: skip


def document(record: Mapping[str, Any], notice: Mapping[str, Any], prefix: str, *, receipt: bool) -> Document:
    """A ledger's record with what its notice said. `notice` is empty when that is not known any more."""
    told = {purpose["id"]: purpose for purpose in notice.get("purposes", ())}
    controller = notice.get("controller", {})
    return {
        "@context": _CONTEXT,
        "@type": "ConsentReceipt" if receipt else "ConsentRecord",
        "schema_version": "ISO/IEC TS 27560:2023",
        "record_id": record["id"],
        "pii_principal_id": record.get("consent_id") or record.get("supersedes", ""),
        "site": record["site"],
        "pii_processing": {
            "privacy_notice": f"{prefix}/notices/{record['notice']}" if record.get("notice") else "",
            "notice_sha256": record.get("notice", ""),
            "policy_version": record.get("policy_version", ""),
            "language": record.get("language", ""),
            "purposes": [
                _purpose(name, about, told.get(name, {})) for name, about in sorted(record.get("purposes", {}).items())
            ],
            "objection_to_legitimate_interest": bool(record.get("objection")),
            "pii_controllers": [controller] if controller else [],
            "recipients": notice.get("recipients", []),
            "storage_locations": [notice["storage"]] if notice.get("storage") else [],
            "jurisdiction": controller.get("country", ""),
            "withdrawal_method": f"{prefix}/privacy",
            "privacy_rights": list(RIGHTS),
        },
        "events": [
            {
                "event_time": record["at"],
                "validity_until": record.get("valid_until", ""),
                "entity_id": record.get("consent_id", ""),
                "event_type": record.get("action", ""),
                "event_state": _STATES.get(record["status"], record["status"]),
                "event_place": record.get("where", ""),
                "script_sha256": record.get("script", ""),
                "signals": record.get("signals", {}),
                "supersedes": record.get("supersedes", ""),
            }
        ],
    }


def _purpose(name: str, about: Mapping[str, Any], told: Mapping[str, Any]) -> Document:
    return {
        "purpose": name,
        "dct:title": told.get("name", name),
        "dct:description": told.get("text", ""),
        "lawful_basis": _BASES.get(about.get("basis", ""), ""),
        "granted": bool(about.get("granted")),
        "pii_information": told.get("data", []),
        "retention_period": told.get("retention", ""),
        "services": told.get("services", []),
    }


def consent_id(document: Mapping[str, Any]) -> str:
    """The consent that a receipt is about; empty for a refusal's."""
    return str(document.get("pii_principal_id", ""))
