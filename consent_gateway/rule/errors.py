"""The errors of the product. Each carries the evidence that its message speaks of."""

from __future__ import annotations


class ConsentGatewayError(Exception):
    """The base of all errors that the product raises on purpose."""


class ConfigError(ConsentGatewayError, ValueError):
    """A setting, or a file that one names, is wrong. The message names the setting, the value, what is allowed."""


class StoreError(ConsentGatewayError):
    """The store refused or did not answer; the same may succeed later."""


class SpoolFull(ConsentGatewayError):
    """The spool can't take more: its limit is reached, or the disk is full or read-only."""


class LedgerError(ConsentGatewayError):
    """A choice could not be recorded, so a grant must not be believed."""


class OfficeError(ConsentGatewayError):
    """The back office did not answer, or answered with an error."""
