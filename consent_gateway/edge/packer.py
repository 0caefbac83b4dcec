"""Packs native modules into one classic script: no node, no bundler, and the same bytes from the same sources.

The modules that an entry imports, each once and after those that it imports itself, stand in one function scope.
Comments and needless white space go; an imported style sheet becomes a `CSSStyleSheet`, or its text; and every name
that we declare gets a short one, the same everywhere. Such a renaming can't change what a program means, as long as two
names stay two.

It reads the JavaScript that we write, not all that there is: `static/README.md` lists the conventions, and what
breaks one is refused with the file and the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, cycle, product
from pathlib import Path
from string import ascii_letters

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?P<template>`(?:\\.|[^`\\])*`)
    |(?P<name>[A-Za-z_$][\w$]*)|(?P<number>\d[\w.]*)|(?P<mark>=>|\.\.\.|\?\.|\?\?|&&|\|\||[-+*]{2}|[^\w\s])""",
    re.VERBOSE | re.DOTALL,
)
_PATTERN = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]*")
_IMPORT = re.compile(
    r'^import\s+(?:\{(?P<names>[^}]*)\}\s+from\s+|(?P<sheet>\w+)\s+from\s+)?"(?P<path>[^"]+)"'
    r'(?:\s+with\s*\{\s*type:\s*"(?P<type>css|text)"\s*\})?;[^\S\n]*$',
    re.MULTILINE,
)
_HOLE = re.compile(r"\$\{([^{}`]*)\}")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_KEYWORDS = _set(
    "arguments async await break case catch class const continue default delete do else export extends false finally "
    "for function get if import in instanceof let new null of return set static super switch this throw true try "
    "typeof undefined var void while with yield"
)
_BEFORE_PATTERN = _set("( , = : [ ! & | ? { } ; && || => return")  # a slash behind these begins a regular expression
_BEFORE_OBJECT = _set("( , = [ : return const let ... && || ?? ?")  # and a brace an object, not a block
_OPEN_END = _set("; { , ( [ = => && || ?? ? : . ?. + - * ! < > | &")  # after these a line break means nothing
_OPEN_START = _set("; } , ) ] = => && || ?? ? : . ?. * < > | &")  # and before these
_GOES_ON = _set("else catch finally . , ) ; (")  # behind a brace these belong to the same statement
_PAIRS = {"(": ")", "[": "]", "{": "}"}


# one word for both `const` and `let` compresses better
_SHORTER = {"const": "let", "true": "!0", "false": "!1"}

_TOP = -1
_Places = set[tuple[int, str]]  # the statement in which a name is declared, and the name
_Names = dict[tuple[int, str], str]  # the short one, by the statement in which it is declared (or _TOP) and the name


# Chromium then compiles the functions beside the main thread while the script arrives, not on it one by one as they are
# called: a third less script time on load.
_HINT = "//# allFunctionsCalledOnLoad\n"


class PackError(Exception):
    """A source breaks one of the conventions."""


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    breaks: bool = False  # a line break stood before it
    short_form: bool = False  # the name of a property and of a variable at once: `{ name }`
    statement: int = 0  # which one at the top it belongs to


def pack(entry: Path) -> bytes:
    """The classic script of one entry module and all that it imports."""
    sources: dict[Path, str] = {}  # in their order; of a style sheet, the statements that make it
    _gather(entry.resolve(), sources, ())
    tokens = [token for text in sources.values() for token in _tokens(text)]
    top, local = _read_names(tokens)
    return f'{_HINT}(()=>{{"use strict";{_write(tokens, _short_names(tokens, top, local))}}})();\n'.encode()


def _gather(path: Path, sources: dict[Path, str], above: tuple[Path, ...]) -> None:
    """Read a module after those that it imports; a circle, or a name that two modules declare, is refused."""
    if path in sources:
        return
    if path in above:
        raise PackError(f"{path.name}: it imports itself by way of {', '.join(step.name for step in above)}")
    try:
        text = path.read_text()
    except OSError as error:
        raise PackError(f"{path}: {error.strerror}") from None
    for found in _IMPORT.finditer(text):
        target = (path.parent / found["path"]).resolve()
        if target.suffix == ".css":
            sources.setdefault(target, _sheet(found["sheet"], target, parsed=found["type"] == "css"))
        else:
            _gather(target, sources, (*above, path))
    body = re.sub(
        r"^export (?=(?:const|let|function|async function|class) )", "", _IMPORT.sub("", text), flags=re.MULTILINE
    )
    left = re.search(r"^(?:import|export)\b.*", body, re.MULTILINE)
    if left:
        raise PackError(f"{path.name}: this form is not packed: {left[0]}")
    own = set(_top_names(body))
    for other, known in sources.items():
        if both := own & set(_top_names(known)):
            raise PackError(f"{path.name}: {', '.join(sorted(both))} is also declared in {other.name}")
    sources[path] = body


def _sheet(name: str, path: Path, *, parsed: bool) -> str:
    text = minify_css(path.read_text()).replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${")
    value = f"new CSSStyleSheet();\n{name}.replaceSync(`{text}`)" if parsed else f"`{text}`"
    return f"const {name} = {value};\n"


def minify_css(text: str) -> str:
    """Without comments and the white space that means nothing."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" ?([{};,]) ?", r"\1", text)
    text = re.sub(r"(?<=[\w)-]): ", ":", text)
    return text.replace(";}", "}").strip()


def _top_names(text: str) -> Iterator[str]:
    return (found[1] for found in re.finditer(r"^(?:const|let|class|(?:async )?function) (\w+)", text, re.MULTILINE))


def _tokens(text: str, statement: int = 0) -> list[_Token]:
    tokens: list[_Token] = []
    at, breaks = 0, False
    while at < len(text):
        if (
            text[at] == "/"
            and text[at + 1 : at + 2] not in ("/", "*")
            and (not tokens or tokens[-1].text in _BEFORE_PATTERN)
        ):
            found, kind = _PATTERN.match(text, at), "pattern"
        else:
            found = _TOKEN.match(text, at)
            kind = found.lastgroup or "" if found else ""
        if found is None:
            raise PackError(f"can't read {text[at : at + 40]!r}")
        at = found.end()
        if kind == "space":
            breaks = breaks or "\n" in found[0]
            continue
        if kind == "template" and "${" in _HOLE.sub("", found[0]).replace("\\${", ""):
            raise PackError(f"a template in a template is not packed: {found[0]!r}")
        tokens.append(_Token(kind, found[0], breaks, statement=statement))
        breaks = False
    return tokens


def _read_names(tokens: list[_Token]) -> tuple[set[str], _Places]:
    """The names that we declare, at the top and within statements, but for methods. Marks what each token is."""
    top: set[str] = set()
    local: _Places = set()
    methods: set[str] = set()
    statement = 0
    closes = _closing(tokens)
    opens = {close: start for start, close in closes.items()}
    stack: list[str] = []  # of open brackets; "block" for a brace that holds statements
    for index, token in enumerate(tokens):
        before = tokens[index - 1].text if index else ""
        after = tokens[index + 1].text if index + 1 < len(tokens) else ""
        if token.text in _PAIRS:
            stack.append("block" if token.text == "{" and before not in _BEFORE_OBJECT else token.text)
        elif token.kind == "mark" and token.text in _PAIRS.values():
            stack.pop()
        token.statement = statement
        if not stack and (token.text == ";" or (token.text == "}" and after not in _GOES_ON)):
            statement += 1
        inner: set[str] = set()
        found = inner if stack else top
        if token.text == "=>" and before == ")":
            inner.update(_bound(tokens, closes, opens[index - 1]))
        elif token.text in ("function", "catch") and before not in (".", "?."):
            start = index + 1 + (after != "(")
            if tokens[start].text == "(":
                inner.update(_bound(tokens, closes, start))
        elif token.text in ("const", "let"):
            found.update(_listed(tokens, closes, index + 1))
        if token.kind != "name" or token.text in _KEYWORDS or before in (".", "?."):
            pass
        elif before in ("function", "class"):
            found.add(token.text)
        elif after == "=>":
            inner.add(token.text)
        elif stack[-1:] == ["{"] and before in ("{", ",") and after in (",", "}", "="):
            token.short_form = True
        elif stack and stack[-1] in ("{", "block") and after == "(" and tokens[closes[index + 1] + 1].text == "{":
            methods.add(token.text)
            inner.update(_bound(tokens, closes, index + 1))
        local.update((token.statement, name) for name in inner)
    return top - methods, {place for place in local if place[1] not in methods | top}


def _closing(tokens: list[_Token]) -> dict[int, int]:
    closes: dict[int, int] = {}
    stack: list[int] = []
    for index, token in enumerate(tokens):
        if token.kind != "mark":
            continue
        if token.text in _PAIRS:
            stack.append(index)
        elif token.text in _PAIRS.values():
            if not stack or _PAIRS[tokens[stack[-1]].text] != token.text:
                raise PackError(f"a bracket is not closed before {token.text!r}")
            closes[stack.pop()] = index
    if stack:
        raise PackError("a bracket is not closed")
    return closes


def _bound(tokens: list[_Token], closes: dict[int, int], start: int) -> Iterator[str]:
    """The names that a list of parameters, or a pattern, binds: what stands between a bracket and its end."""
    index, end = start + 1, closes[start]
    while index < end:
        token = tokens[index]
        if token.text in _PAIRS:
            yield from _bound(tokens, closes, index)
            index = closes[index]
        elif token.text == "=":  # a default, up to the next name
            while index + 1 < end and tokens[index + 1].text != ",":
                index = closes.get(index + 1, index + 1)
        elif token.kind == "name" and tokens[index + 1].text != ":":
            yield token.text
        index += 1


def _listed(tokens: list[_Token], closes: dict[int, int], index: int) -> Iterator[str]:
    """The names behind `const` or `let`: `a = 1, b`, `{ a, b } = c`, `[a, b] of c`."""
    while True:
        if tokens[index].text in _PAIRS:
            yield from _bound(tokens, closes, index)
        else:
            yield tokens[index].text
        while tokens[index].text not in (",", ";", "of", "in"):
            index = closes.get(index, index) + 1
        if tokens[index].text != ",":
            return
        index += 1


def _is_reference(tokens: list[_Token], index: int) -> bool:
    """Does this name stand for a variable, and not for a property or a key?"""
    before = tokens[index - 1].text if index else ""
    after = tokens[index + 1].text if index + 1 < len(tokens) else ""
    return before not in (".", "?.") and not (after == ":" and before in ("{", ","))


def _references(tokens: list[_Token]) -> Iterator[_Token]:
    """The tokens that stand for variables, also those in templates."""
    for index, token in enumerate(tokens):
        if token.kind == "template":
            for hole in _HOLE.findall(token.text):
                yield from _references(_tokens(hole, token.statement))
        elif token.kind == "name" and _is_reference(tokens, index):
            yield token


def _short_names(tokens: list[_Token], top: set[str], local: _Places) -> _Names:
    """Short names for ours, none of them a name that the scripts use otherwise.

    What a statement at the top declares within itself is seen by nobody else, so each of them begins again with `a`:
    what repeats compresses. Names of the top get what is left, the shortest for the most used. One that stands in short
    forms as often as elsewhere keeps its own: `{ name: a }` is no shorter than `{ name }`.
    """
    uses: dict[tuple[int, str], list[bool]] = {}
    taken = set(_KEYWORDS)
    for token in _references(tokens):
        if token.text in top or (token.statement, token.text) in local:
            uses.setdefault((_TOP if token.text in top else token.statement, token.text), []).append(token.short_form)
        else:
            taken.add(token.text)
    ours = [key for key, forms in uses.items() if forms.count(False) > forms.count(True)]
    taken.update(name for _, name in uses.keys() - set(ours))
    free = ("".join(letters) for size in count(1) for letters in product(ascii_letters, repeat=size))
    short = (name for name in free if name not in taken)
    inner: list[str] = []
    counts: Counter[int] = Counter()
    names: _Names = {}
    for statement, name in ours:
        if statement != _TOP:
            if counts[statement] == len(inner):
                inner.append(next(short))
            names[statement, name] = inner[counts[statement]]
            counts[statement] += 1
    for key in sorted((key for key in ours if key[0] == _TOP), key=lambda key: (-len(uses[key]), key)):
        names[key] = next(short)
    return names


def _write(tokens: list[_Token], names: _Names) -> str:
    out: list[str] = []
    last = _Token("mark", ";")
    for index, token in enumerate(tokens):
        text = token.text
        if token.text in _SHORTER:
            text = _SHORTER[token.text]
        elif token.kind == "name" and _is_reference(tokens, index):
            text = names.get((_TOP, text)) or names.get((token.statement, text), text)
            if token.short_form and text != token.text:
                text = f"{token.text}:{text}"
        elif token.kind == "template":
            text = "".join(
                f"${{{_write(_tokens(part, token.statement), names)}}}" if odd else part
                for part, odd in zip(_HOLE.split(text), cycle((False, True)), strict=False)
            )
        if (text == "}" and last.text in (";", ",")) or (text == ")" and last.text == ","):
            out.pop()
        elif token.breaks and last.text not in _OPEN_END and text not in _OPEN_START:
            out.append("\n")
        elif (_is_word(last.text[-1]) and _is_word(text[0])) or (last.text[-1] in "+-" and text[0] == last.text[-1]):
            out.append(" ")
        out.append(text)
        last = token
    return "".join(out)


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter in "_$"
