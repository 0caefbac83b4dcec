"""Does this text give a person away? The one judge for path segments, properties, campaign values and host names.

Judged is what the text *means*: percent-encoding is undone until nothing is left to undo, invisible characters go,
and look-alikes (full-width digits, other scripts' digits, circled ones, ideographic full stops, long dashes) become
what they look like. Then three questions:

- an address? IPv4 with dots, dashes or underscores (each number decimal, octal or hexadecimal), as one hexadecimal
  number (`0x…`, or 8 digits that are the whole text) or one decimal (10 digits that are the whole text); IPv6 in any
  form, which covers mapped, 6to4, Teredo and NAT64, also with dashes for colons;
- an e-mail address?
- a token: 20 or more characters of `A-Z a-z 0-9 - _ + / = . ~` that don't read like words?

In doubt the answer is yes: a report that says `*` costs little. Nothing here raises, whatever the text.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

LIMIT = 300  # characters of a value that are kept
_JUDGED = 2000  # characters that are looked at; what is longer is nobody's campaign name and becomes `*`
_MOST_GROWTH = 4  # times; ordinary scripts grow to three at most

# What most texts are, told in one match: short and without digits, a small number, or a slug of lower-case words.
ORDINARY = (
    r"(?:[A-Za-z][A-Za-z ._-]{0,18}|[0-9]{1,7}"
    r"|[A-Za-z]?[a-z]{0,18}(?:[-_][a-z]{1,19}){0,15}(?:-[0-9]{1,4})?(?:\.[a-z]{2,5})?)"
)
_ORDINARY = re.compile(ORDINARY)
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")

_NUMBER = r"(?:0x[0-9a-f]{1,2}|0{0,3}[0-9]{1,3})"
_IPV4 = re.compile(
    # Dots alone make it an address, whatever stands before or after. Dashes also join dates and slugs, so there the
    # numbers must end where the address ends.
    rf"{_NUMBER}(?:\.{_NUMBER}){{3}}|(?<![0-9]){_NUMBER}(?:[-_]{_NUMBER}){{3}}(?![0-9])"
    r"|0x[0-9a-f]{8}"
)
_WHOLE_IPV4 = re.compile(r"(?:(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8}|[1-4][0-9]{9})(?:\.[a-z]{2,5})?")
_COLONS = re.compile(r"[0-9a-f:]*:[0-9a-f:]*")
_DASHED_IPV6 = re.compile(r"[0-9a-f]{1,4}(?:[-_][0-9a-f]{1,4}){7}|[23][0-9a-f]{3}(?:[-_][0-9a-f]{1,4}){1,6}(?:--|__)")
_EMAIL = re.compile(r"[^\s@/](?:@|\(at\)|\[at\])(?:[\w-]+\.)+(?:[^\W\d_]{2,}|xn--[\w-]+)", re.IGNORECASE)

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_RUN = re.compile(r"[A-Za-z0-9_+/=.~-]{20,}")
_JOINT = re.compile(r"[_+/=.~-]+")
_WORD = re.compile(r"(?=.*[aeiouyAEIOUY]|.{2,4}$)(?:[A-Z]?[a-z]{2,}(?:[A-Z][a-z]{2,}){0,4}|[a-z]{4,}[0-9]{1,3})")
_PART = re.compile(
    r"[0-9]{0,4}[A-Za-z]?[a-z]{0,18}[0-9]{0,4}|[A-Z]{1,12}[0-9]{0,4}|[A-Z]?[a-z]+[A-Z]{1,4}"  # 2nd, KPC650
    r"|[a-z]{1,12}[0-9]{1,3}[a-z]{1,8}|[0-9]{1,8}|[A-Za-z0-9]{1,3}"  # scale11x, 20240115, k8n
)


def is_address(text: str) -> bool:
    """Whether an IP address is in a text that was made `plain`."""
    text = text.lower()
    if _IPV4.search(text) or _WHOLE_IPV4.fullmatch(text) or _DASHED_IPV6.search(text):
        return True
    if ":" not in text:
        return False
    # `12:30:45` and `std::vector` are no addresses; every one in use in the internet has a digit in its first group.
    return any(run.count(":") > 2 or ("::" in run and any(map(str.isdigit, run))) for run in _COLONS.findall(text))


def is_email(text: str) -> bool:
    """Whether an e-mail address is in a text that was made `plain`."""
    return ("@" in text or "at)" in text or "at]" in text) and _EMAIL.search(text) is not None


def is_token(text: str) -> bool:
    """Whether a run of 20 or more characters of a token's alphabet is in the text and doesn't read like words."""
    if len(text) < 20:
        return False
    return _UUID.search(text) is not None or not all(map(_reads_like_words, _RUN.findall(text)))


def _reads_like_words(run: str) -> bool:
    """A slug: parts shorter than 20, each of a form that people write, and at least a third of it plain words.

    Of random 22-character base64url tokens about 1 in 10 000 passes for a slug; of uuids and digests none.
    """
    words = total = 0
    for part in _JOINT.split(run):
        total += len(part)
        if len(part) >= 20:
            return False
        if _WORD.fullmatch(part):
            words += len(part)
        elif part and not _PART.fullmatch(part):
            return False
    return 3 * words >= total


def plain(text: str) -> str | None:
    """What the text means, in ASCII where it has such a meaning. None when it hides behind too many encodings, or grows
    to more than is worth judging (one character can stand for eighteen)."""
    for _ in range(5):
        if "%" not in text or not _ESCAPE.search(text):
            break
        text = unquote(text, errors="replace")
    else:
        return None
    if text.isascii() and text.isprintable():
        return text
    meant = unicodedata.normalize("NFKD", text)
    return "".join(map(_look, meant)) if len(meant) <= _MOST_GROWTH * len(text) else None


def _look(char: str) -> str:
    if char.isascii():
        return char if char.isprintable() else ""
    category = unicodedata.category(char)
    if category[0] in "MC":  # accents, key caps, zero-width characters, controls
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category == "Pd":
        return "-"
    return "." if char in "\u3002\u00b7\u30fb\u06d4" else ":" if char in "\ua789\u05c3\u2236" else char


def gives_away(text: str) -> bool:
    """Whether the text holds something that looks like an address, an e-mail address or a token."""
    if _ORDINARY.fullmatch(text):
        return False
    meant = plain(text)
    return meant is None or is_token(meant) or is_address(meant) or is_email(meant)


def printable(text: str) -> str:
    """The text without control characters, line ends, invisible characters and halves of surrogate pairs."""
    return text if text.isprintable() else "".join(filter(str.isprintable, text))


def scrub_text(value: str, limit: int = LIMIT) -> str:
    """A value as it may be kept, at most `limit` characters, or `*` when it gives a person away."""
    if len(value) > _JUDGED:
        return "*"
    value = printable(value).strip()
    if gives_away(value):
        return "*"
    if len(value) <= limit:
        return value
    value = value[:limit].rstrip()
    return "*" if gives_away(value) else value  # what is left may read differently: `1-2-3-4444` cut to `1-2-3-4`
