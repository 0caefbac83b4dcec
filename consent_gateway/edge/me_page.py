"""What is held about a person, as a page in words: the answer of the back office, laid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .html import Html, day, document, hidden, join, languages, table, tag
from .pages import Words

_RIGHTS = {
    "access": "access", "portability": "access", "rectification": "rectify", "erasure": "erase",
    "restriction": "restrict", "objection": "objection", "withdrawal": "withdraw", "complaint": "complain",
}  # fmt: skip
_SHOWN = 50  # entries on the page; the exports have all


def me(about: Mapping[str, Any], language: str, say: Words, base: str, *, receipt: str = "") -> str:
    """`receipt` is what proved who asks, when it was not the browser's own consent."""
    words = say["me"]
    sections = [
        (words["latest"], _latest(about, language, words)),
        (words["choices"], _choices(about, language, say)),
        (words["requests"], _requests(about, language, say)),
        (words["columns"], _columns(about, say)),
    ]
    intro = tag(
        "div",
        tag("h1", words["title"]),
        *(tag("p", line, class_="lead") for line in _summary(about, language, words)),
        tag("div", tag("p", say["claim"].format(reason=about["claim"])), class_="told warn") if about["claim"] else "",
        tag("div", tag("p", say["restricted"]), class_="told warn") if about["restricted"] else "",
        _exports(say, language, base, receipt),
        class_="intro",
    )
    main = tag(
        "div", *(tag("section", tag("h2", name), body) for name, body in sections if body), class_="sections alone"
    )
    top = tag(
        "header",
        tag("a", f"← {say['to_page']}", href=f"{base}/privacy?language={language}"),
        "" if receipt else languages(language, say["language"], f"{base}/me"),
        class_="top",
    )
    return document(language, words["title"], base, top, tag("main", intro, main, class_="body"))


def _summary(about: Mapping[str, Any], language: str, words: Words) -> list[str]:
    rows = about["rows"]
    if not rows:
        lines = [words["none"]]
    else:
        lines = [words["some"].format(rows=len(rows))]
        days = sorted(row["at"] for row in rows)
        lines.append(words["span"].format(first=day(days[0], language), last=day(days[-1], language)))
        if not about["complete"]:
            lines.append(words["more"].format(rows=len(rows)))
    if about["on_the_way"]:
        lines.append(words["coming"].format(rows=len(about["on_the_way"])))
    return lines


def _exports(say: Words, language: str, base: str, receipt: str) -> Html:
    kinds = (("json", say["as_json"]), ("csv", say["as_csv"]))
    if not receipt:
        link = f"{base}/me?language={language}&format="
        return tag("p", *(tag("a", name, href=f"{link}{kind}", class_="button plain") for kind, name in kinds),
                   class_="buttons")  # fmt: skip
    carried = hidden(receipt=receipt, language=language)
    buttons = (tag("button", name, name="right", value=kind, class_="plain") for kind, name in kinds)
    return tag("form", carried, tag("p", *buttons, class_="buttons"), method="post", action=f"{base}/rights")


def _latest(about: Mapping[str, Any], language: str, words: Words) -> Html | str:
    rows = sorted([*about["on_the_way"], *about["rows"]], key=lambda row: str(row["at"]), reverse=True)[:_SHOWN]
    if not rows:
        return ""
    heads = [words[name] for name in ("when", "page", "from", "with", "where", "address")]
    return table(
        heads,
        [
            (
                tag("span", f"{day(row['at'], language)} {row['at'][11:16]}", class_="number"),
                join((row.get("path") or row["type"],)),
                row.get("referrer_host") or row.get("channel", ""),
                " ".join(part for part in (row.get("browser", ""), row.get("os", "")) if part),
                ", ".join(part for part in (row.get("city", ""), row.get("country", "")) if part),
                row.get("address") or row.get("network", ""),
            )
            for row in rows
        ],
    )


def _choices(about: Mapping[str, Any], language: str, say: Words) -> Html | str:
    words = say["me"]
    rows = [
        (
            tag("span", f"{day(one['at'], language)} {one['at'][11:16]}", class_="number"),
            words["actions"].get(one["action"], one["action"]),
            day(one["valid_until"], language) if one.get("valid_until") else "",
        )
        for one in about["choices"]
    ]
    return table((words["when"], words["action"], words["valid"]), rows) if rows else ""


def _requests(about: Mapping[str, Any], language: str, say: Words) -> Html | str:
    words = say["me"]
    rows = [
        (one["number"], say[_RIGHTS[one["right"]]], words["states"][one["state"]], day(one["due"], language),
         next((entry["words"] for entry in reversed(one["entries"]) if entry["words"]), one["note"]))
        for one in about["requests"]
    ]  # fmt: skip
    heads = [words["number"], words["action"], words["state"], words["answered"], ""]
    return table(heads, rows) if rows else ""


def _columns(about: Mapping[str, Any], say: Words) -> Html:
    """The fields that hold the same kind of data stand together."""
    words = say["me"]
    groups: dict[tuple[str, ...], list[str]] = {}
    for one in about["columns"]:
        key = (one["words"], one["purpose"], one["basis"], str(one["kept_days"]))
        groups.setdefault(key, []).append(one["name"])
    heads = (say["data"], say["purpose"], say["basis"], words["days"], words["field"])
    return table(
        heads, [(*key, join(join((tag("code", name), " ")) for name in names)) for key, names in groups.items()]
    )
