"""The privacy page: the notice in force, every choice and every right, as forms that need no script.

Everything on it comes from the policy's notice, the column register behind it, and the words of its language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .html import Html, day, document, hidden, join, languages, table, tag

Words = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """What one visitor's page is made of. `state` is what `GET state` says; `base` is where the routes hang; `known`:
    the browser carries a consent of ours; `told` is what just happened, and `well` whether it did."""

    language: str
    notice: Words
    say: Words
    state: Words
    base: str
    known: bool = False
    restricted: bool = False
    told: str = ""
    well: bool = True


def privacy(page: Shown) -> str:
    """The privacy page."""
    say, notice = page.say, page.notice
    sections = [
        ("choices", say["choices"], _choices(page)),
        ("purposes", say["purposes"], _purposes(page)),
        ("cookies", say["cookies"], _cookies(page)),
        ("recipients", say["recipients"], _recipients(page)),
        ("rights", say["rights"], _rights(page)),
        ("contact", say["contact"], _contact(page)),
    ]
    path = f"{page.base}/privacy"
    intro = tag(
        "div",
        _told(page),
        tag("h1", notice["title"]),
        tag("p", say["lead"].format(name=notice["controller"]["name"]), class_="lead"),
        tag("p", notice["text"], class_="soft") if notice["text"] else "",
        class_="intro",
    )
    contents = tag(
        "nav",
        tag("h2", say["contents"], id="contents"),
        tag("ul", *(tag("li", tag("a", name, href=f"#{key}")) for key, name, _ in sections)),
        class_="contents",
        aria_labelledby="contents",
    )
    sections_shown = tag(
        "div",
        *(tag("section", tag("h2", name, id=f"{key}-title"), body, id=key, aria_labelledby=f"{key}-title")
          for key, name, body in sections),
        _end(page),
        class_="sections",
    )  # fmt: skip
    top = tag(
        "header",
        tag("a", f"← {say['back']}", href="/"),
        languages(page.language, say["language"], path),
        class_="top",
    )
    skip = tag("a", say["choices"], href="#choices", class_="skip")
    return document(
        page.language, f"{say['title']} · {notice['controller']['name']}", page.base,
        skip, top, tag("main", intro, contents, sections_shown, class_="body"),
    )  # fmt: skip


def _told(page: Shown) -> Html:
    """What just happened, and what is about to."""
    say, coming = page.say, page.state["announced"]
    parts = []
    if page.told:
        parts.append(
            tag("div", tag("p", page.told), class_=f"told{'' if page.well else ' warn'}", role="status", id="done")
        )
    if coming:
        words = say["announced"].format(date=day(coming["effective"], page.language), changes=coming["changes"])
        parts.append(tag("div", tag("p", words), class_="told warn"))
    return join(parts)


def _choice_form(page: Shown, *inside: object) -> Html:
    """A form that makes a choice, proves which notice was shown with it, and comes back here."""
    state = page.state
    carried = hidden(notice=state["notice"], nonce=state["nonce"], language=page.language, where="page")
    return tag("form", carried, *inside, method="post", action=f"{page.base}/choice")


def _button(words: str, name: str, value: str, *, plain: bool = False) -> Html:
    return tag("button", words, name=name, value=value, class_="plain" if plain else None)


def _choices(page: Shown) -> Html:
    say, state, banner = page.say, page.state, page.notice["words"]
    given = state["status"] == "given"
    asked = [purpose for purpose in page.notice["purposes"] if purpose["asked"]]
    parts = [tag("p", banner[state["status"]])]
    if state["signals"]["gpc"] or state["signals"]["dnt"]:
        parts.append(tag("p", say["signal"]))
    if asked:
        accept = _button(say["accept"], "action", "accept_all")
        refuse = _button(say["refuse"], "action", "reject_all")
        withdraw = _button(say["withdraw"], "action", "withdraw")
        more = any(not state["purposes"][one["id"]] for one in asked)
        both = ((withdraw, accept) if more else (withdraw,)) if given else (accept, refuse)
        parts.append(tag("div", _choice_form(page, tag("div", *both, class_="buttons two")), class_="card"))
        each = [_purpose_choice(page, purpose) for purpose in asked]
        form = _choice_form(page, *each, _button(say["save"], "action", "save", plain=True))
        parts.append(tag("div", tag("h3", say["each"]), form, class_="card"))
    objects = state["objection"]
    words, action = (say["objects"], "unobject") if objects else (say["may_object"], "object")
    form = _choice_form(page, _button(say[action], "action", action, plain=objects))
    parts.append(tag("div", tag("h3", say["objection"]), tag("p", words), form, class_="card", id="objection"))
    return join(parts)


def _purpose_choice(page: Shown, purpose: Words) -> Html:
    """Yes or no, for one purpose. Nothing is chosen beforehand."""
    decided = not page.state["ask"] and purpose["id"] not in page.state["touches"]
    granted = page.state["purposes"][purpose["id"]]

    def answer(value: str, words: str) -> Html:
        ticked = decided and granted == (value == "true")
        box = Html(
            f'<input type="radio" name="purposes.{purpose["id"]}" value="{value}" required{" checked" * ticked}>'
        )
        return tag("label", box, words)

    return tag(
        "fieldset",
        tag("legend", purpose["name"]),
        tag("p", purpose["text"], class_="soft"),
        tag("div", answer("true", page.say["yes"]), answer("false", page.say["no"]), class_="answers"),
    )


def _purposes(page: Shown) -> Html:
    say, purposes = page.say, page.notice["purposes"]
    heads = (say["purpose"], say["basis"], say["kept"])
    parts = [table(heads, [(one["name"], one["basis_name"], one["retention"]) for one in purposes])]
    for one in purposes:
        facts = [(say["basis"], one["basis_name"]), (say["kept"], one["retention"])]
        if one["data"]:
            facts.append((say["data"], tag("ul", *(tag("li", words) for words in one["data"]))))
        if one["services"]:
            facts.append((say["services"], tag("ul", *(tag("li", _service(service)) for service in one["services"]))))
        listed = (join((tag("dt", name), tag("dd", value))) for name, value in facts)
        about = (tag("p", one["text"]), tag("dl", *listed, class_="facts"))
        parts.append(tag("details", tag("summary", one["name"]), *about, class_="fold"))
    if not page.notice["automated_decisions"]:
        parts.append(tag("p", say["automated"]))
    parts.append(tag("p", say["protected"]))
    return join(parts)


def _service(service: Words) -> Html:
    name = tag("a", service["name"], href=service["url"], rel="noreferrer") if service["url"] else service["name"]
    return join((name, f" ({service['country']})" if service["country"] else ""))


def _cookies(page: Shown) -> Html:
    say = page.say
    rows = [
        (tag("code", cookie["name"]), one["name"], cookie["text"], cookie["duration"])
        for one in page.notice["purposes"]
        for cookie in one["cookies"]
    ]
    return join(
        (
            tag("p", say["no_cookies"]),
            table((say["cookie"], say["purpose"], say["what"], say["duration"]), rows) if rows else "",
            tag("p", say["remembered"].format(duration=page.notice["remembered"])),
        )
    )


def _recipients(page: Shown) -> Html:
    say, notice = page.say, page.notice
    rows = [
        (one["name"], one["text"], say["roles"][one["role"]], one["country"], one["safeguard"])
        for one in notice["recipients"]
    ]
    heads = (say["name"], say["what"], say["role"], say["country"])
    storage = notice["storage"]
    where = say["stored_in"].format(country=storage["country"]) if storage["country"] else say["storage"]
    safeguards = [
        say["safeguard"].format(safeguard=one) for one in (storage["safeguard"], *(row[4] for row in rows)) if one
    ]
    return join(
        (
            table(heads, [row[:4] for row in rows])
            if rows
            else tag("p", say["nobody"].format(name=notice["controller"]["name"])),
            tag("p", " ".join((where, *dict.fromkeys(safeguards)))),
        )
    )


def _right(page: Shown, right: str, title: str, words: str, *inside: object) -> Html:
    """One right as a card with its form."""
    form = tag(
        "form", hidden(right=right, language=page.language), *inside, method="post", action=f"{page.base}/rights"
    )  # fmt: skip
    return tag("div", tag("h3", title), tag("p", words), form, class_="card")


def _note(name: str, label: str) -> Html:
    box = tag("textarea", name="note", id=name, maxlength=2000, required=True)
    return join((tag("label", label, for_=name, class_="above"), box))


def _rights(page: Shown) -> Html:
    say = page.say
    parts = [
        tag("ul", *(tag("li", one) for one in page.notice["rights"])),
        tag("p", say["promise"]),
        tag("p", say["known"] if page.known else say["unknown"]),
    ]
    if page.known:
        parts.append(tag("div", *_of_the_bearer(page), class_="cards"))
    parts.append(_with_receipt(page))
    return join(parts)


def _of_the_bearer(page: Shown) -> list[Html]:
    say = page.say
    me = f"{page.base}/me?language={page.language}&format="
    sure = tag("label", Html('<input type="checkbox" required>'), say["sure"])
    withdraw = _choice_form(page, _button(say["withdraw"], "action", "withdraw"))
    restriction = (
        _right(page, "lift", say["restrict"], say["restricted"], tag("button", say["lift"]))
        if page.restricted
        else _right(page, "restriction", say["restrict"], say["restrict_text"], tag("button", say["restrict"]))
    )
    links = (
        (f"{me}html", say["show"], ""),
        (f"{me}json", say["as_json"], " plain"),
        (f"{me}csv", say["as_csv"], " plain"),
        (f"{page.base}/receipt", say["my_receipt"], " plain"),
    )
    return [
        tag("div", tag("h3", say["access"]), tag("p", say["access_text"]),
            tag("div", *(tag("a", words, href=path, class_=f"button{look}") for path, words, look in links),
                class_="buttons"), class_="card"),
        tag("div", tag("h3", say["withdraw"]), tag("p", say["withdraw_text"]), withdraw, class_="card"),
        restriction,
        _right(page, "erasure", say["erase"], say["erase_text"], tag("p", sure), tag("button", say["erase"])),
        _right(page, "rectification", say["rectify"], say["rectify_text"], _note("wrong", say["note"]),
               tag("button", say["send"])),
        _right(page, "complaint", say["complain"], say["complain_text"], _note("complaint", say["complaint_note"]),
               tag("button", say["send"])),
    ]  # fmt: skip


def _with_receipt(page: Shown) -> Html:
    """What the bearer of a receipt can do, from any browser."""
    say = page.say
    options = (
        ("access", say["access"]), ("json", f"{say['access']}: {say['as_json']}"),
        ("csv", f"{say['access']}: {say['as_csv']}"),
        ("withdrawal", say["withdraw"]), ("object", say["object"]), ("unobject", say["unobject"]),
        ("restriction", say["restrict"]), ("lift", say["lift"]), ("erasure", say["erase"]),
    )  # fmt: skip
    form = tag(
        "form",
        hidden(language=page.language),
        tag("p", say["receipt_text"]),
        tag("label", say["receipt_label"], for_="receipt", class_="above"),
        tag("textarea", name="receipt", id="receipt", class_="code", required=True, spellcheck="false",
            autocomplete="off"),
        tag("label", say["right_label"], for_="right", class_="above"),
        tag("select", *(tag("option", words, value=value) for value, words in options), name="right", id="right"),
        tag("button", say["send"]),
        method="post",
        action=f"{page.base}/rights",
    )  # fmt: skip
    return tag("details", tag("summary", say["receipt"]), form, class_="card wide", open=not page.known)


def _contact(page: Shown) -> Html:
    say, notice = page.say, page.notice
    controller, authority = notice["controller"], notice["authority"]
    parts = [tag("h3", say["controller"]), _address(controller)]
    if controller["role"] == "processor":
        parts.append(tag("p", say["acts_for"].format(name=controller["name"], controller=controller["acts_for"])))
    if notice["dpo"]["name"] or notice["dpo"]["email"]:
        parts += [tag("h3", say["dpo"]), _address(notice["dpo"])]
    parts.append(tag("h3", say["authority"]))
    if authority["name"]:
        parts.append(_address(authority))
    else:
        parts.append(tag("p", f"{say['authority_any'][0].upper()}{say['authority_any'][1:]}."))
    if authority["complaint_url"]:
        parts.append(tag("p", tag("a", say["complaint_link"], href=authority["complaint_url"], rel="noreferrer")))
    return join(parts)


def _address(body: Words) -> Html:
    lines = [body["name"], body["address"]]
    if body["email"]:
        lines.append(tag("a", body["email"], href=f"mailto:{body['email']}"))
    if body["url"]:
        lines.append(tag("a", body["url"], href=body["url"], rel="noreferrer"))
    return tag("address", join(tag("div", line) for line in lines if line))


def _end(page: Shown) -> Html:
    say, notice = page.say, page.notice
    version = say["version"].format(version=notice["version"], date=day(notice["effective"], page.language))
    exact = tag("a", say["exact"], href=f"{page.base}/notices/{page.state['notice']}")
    changes = f"{notice['changes']} " if notice["changes"] else ""
    return tag("p", f"{version} {changes}", exact, class_="end")
