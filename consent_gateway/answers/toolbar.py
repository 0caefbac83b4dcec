"""What stands above the reports: site, tabs, period, comparison, filters; all of it links and plain forms."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from urllib.parse import parse_qsl, quote

from .dimensions import DIMENSIONS
from .language import LANGUAGES, load
from .names import named
from .question import COMPARISONS, INTERVALS, Filter
from .reports import ALL
from .view import PERIODS, PRIVACY, View, is_of_rows

_KEYS = {"today": "d", "week": "w", "month": "m", "quarter": "q", "year": "y"}
_LANGUAGE_NAMES = {"nl": "Nederlands", "fr": "Français", "de": "Deutsch", "en": "English"}
_EXAMPLES = ("/", "/blog*", "/cart", "event:order", "", "", "", "")
_OPERATORS = (("=", "is"), ("!=", "is_not"), ("~", "contains"), ("^", "begins"), ("!~", "contains_not"))


def header(view: View, sites: frozenset[str], form_token: str, *, is_out: bool) -> str:
    """The top line: the site, who is there now, and the menu of who is signed in."""
    words, person = view.words, view.person
    site = escape(view.question.site)
    if len(sites) > 1:
        links = "".join(
            f'<a href="{view.asking(site=name, filters=()).href()}"'
            f"{_current(name == view.question.site)}>{escape(name)}</a>"
            for name in sorted(sites)
        )
        name = escape(words["site"])
        choice = (
            f'<details class="menu"><summary><h1>{site}</h1></summary><nav aria-label="{name}">{links}</nav></details>'
        )
    else:
        choice = f"<h1>{site}</h1>"
    languages = "".join(
        f'<a href="{view.at(words=load(language), language_asked=True).href()}" lang="{language}" hreflang="{language}"'
        f"{_current(language == words.language)}>{_LANGUAGE_NAMES[language]}</a>"
        for language in LANGUAGES
    )
    who = escape(person.name or words["by_link"])
    hidden = f'<input type="hidden" name="form" value="{form_token}">'
    here = escape(view.path().partition("?")[2])
    out, own_words = ("no", words["own_in"]) if is_out else ("yes", words["own_out"])
    target = f"{view.prefix}/own?next={escape(quote(view.path(), safe=''))}"
    own = (
        f'<form method="post" action="{target}">{hidden}<input type="hidden" name="out" value="{out}">'
        f"<button>{escape(own_words)}</button></form>"
    )
    leave = (
        f'<form method="post" action="{view.prefix}/sign-out">{hidden}'
        f"<button>{escape(words['sign_out'])}</button></form>"
        if person.how in ("session", "link")
        else ""
    )
    return f"""<header class="top" data-query="{here}">
{choice}
<p class="live" data-live="{escape(view.prefix)}/stats/live?site={site}"
 data-one="{escape(words["live_one"])}" data-other="{escape(words["live_other"])}" aria-live="off"></p>
<details class="menu right"><summary>{who}</summary><div>
<p>{escape(words[f"role_{person.role}"])}</p>{own}{leave}
<nav aria-label="{escape(words["language"])}">{languages}</nav>
<p class="keys">{escape(words["keys"])}</p></div></details>
</header>"""


def _current(true: bool, what: str = "true") -> str:
    return f' aria-current="{what}"' if true else ""


def tabs(view: View) -> str:
    """The tabs, of which the open one is marked."""
    links = "".join(
        f'<a href="{view.at(tab=tab, report="").href()}"{_current(tab == view.tab, "page")}>'
        f"{escape(view.words[f'tab_{tab}'])}</a>"
        for tab in view.tabs
    )
    return f'<nav class="tabs" aria-label="{escape(view.words["reports"])}">{links}</nav>'


def tools(view: View) -> str:
    """Period, comparison, filters. The privacy tab is about now, so it has none."""
    if view.tab == PRIVACY:
        return ""
    return f'<div class="tools">{_period(view)}{_compare(view)}{_filters(view)}</div>'


def _period(view: View) -> str:
    words, question = view.words, view.question
    length = timedelta(days=question.days)
    earlier = view.days(question.first - length, question.last - length)
    later = view.days(question.first + length, question.last + length)
    links = [
        f'<a class="step" href="{earlier.href()}" data-key="ArrowLeft" aria-keyshortcuts="ArrowLeft" '
        f'aria-label="{escape(words["earlier"])}" title="{escape(words["earlier"])}">‹</a>'
    ]
    if question.last < view.today:
        links.append(
            f'<a class="step" href="{later.href()}" data-key="ArrowRight" aria-keyshortcuts="ArrowRight" '
            f'aria-label="{escape(words["later"])}" title="{escape(words["later"])}">›</a>'
        )
    for name, days in PERIODS:
        first = view.today - timedelta(days=days - 1)
        chosen = _current((question.first, question.last) == (first, view.today))
        links.append(
            f'<a href="{view.days(first, view.today).href()}" data-key="{_KEYS[name]}" '
            f'aria-keyshortcuts="{_KEYS[name]}"{chosen}>{escape(words[f"period_{name}"])}</a>'
        )
    kept = _hidden(view, "from", "to", "interval")
    options = "".join(
        f'<option value="{interval}"{" selected" if interval == question.interval else ""}>'
        f"{escape(words[f'by_{interval}'])}</option>"
        for interval in INTERVALS
        if interval != "minute" or question.days == 1
        if interval != "hour" or question.days <= 31
    )
    form = f"""<details class="menu"><summary>{escape(words.days(question.first, question.last))}</summary>
<form method="get" action="{view.prefix}/dashboard">{kept}
<label>{escape(words["from"])}<input type="date" name="from" value="{question.first}" required></label>
<label>{escape(words["to"])}<input type="date" name="to" value="{question.last}" required></label>
<label>{escape(words["interval"])}<select name="interval">{options}</select></label>
<button>{escape(words["show"])}</button></form></details>"""
    return f'<nav class="period" aria-label="{escape(words["period"])}">{form}{"".join(links)}</nav>'


def _compare(view: View) -> str:
    words, chosen = view.words, view.question.compare
    links = []
    for name in ("", *COMPARISONS):
        key = ' data-key="c" aria-keyshortcuts="c"' if name == ("" if chosen else COMPARISONS[0]) else ""
        current = _current(name == chosen)
        text = escape(words[f"compare_{name or 'none'}"])
        links.append(f'<a href="{view.asking(compare=name).href()}"{key}{current}>{text}</a>')
    return f'<nav class="compare" aria-label="{escape(words["compare"])}">{"".join(links)}</nav>'


def _filters(view: View) -> str:
    words = view.words
    chips = "".join(
        f'<li>{escape(says(view, one))}<a href="{view.without(number).href()}" '
        f'aria-label="{escape(words.say("remove_filter", filter=says(view, one)))}">×</a></li>'
        for number, one in enumerate(view.question.filters)
    )
    own = {key.dimension for key in ALL[view.report].keys} if view.report else set()
    listed = f'<ul class="chips" aria-label="{escape(words["filters"])}">{chips}</ul>' if chips else ""
    options = "".join(
        f'<option value="{name}">{escape(words.of(one.label))}</option>'
        for name, one in DIMENSIONS.items()
        if not is_of_rows(name) or name in own
    )
    operators = "".join(f'<option value="{sign}">{escape(words[name])}</option>' for sign, name in _OPERATORS)
    return f"""{listed}<details class="menu">
<summary data-key="f" aria-keyshortcuts="f">{escape(words["add_filter"])}</summary>
<form method="get" action="{view.prefix}/dashboard">{_hidden(view)}
<label>{escape(words["dimension"])}<select name="dimension">{options}</select></label>
<label>{escape(words["condition"])}<select name="operator">{operators}</select></label>
<label>{escape(words["value"])}<input name="value" maxlength="300" autocapitalize="none" spellcheck="false"></label>
<button>{escape(words["add"])}</button></form></details>"""


def says(view: View, one: Filter) -> str:
    """A filter in words: `Country is BE`."""
    words = view.words
    dimension = DIMENSIONS.get(one.dimension)
    name = words.of(dimension.label) if dimension else one.dimension
    sign = dict(_OPERATORS).get(f"{'!' if one.negated else ''}{one.operator}")
    verb = words[sign] if sign else f"{words['not']} {words['begins']}"
    return f"{name} {verb} {named(words, one.dimension, one.value) if one.operator == '=' else one.value}"


def _hidden(view: View, *without: str) -> str:
    """What a form keeps of the view."""
    pairs = parse_qsl(view.path().partition("?")[2], keep_blank_values=True)
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in pairs
        if name not in without
    )


def steps_form(view: View) -> str:
    """The steps of a funnel, or the goals: two to eight paths or events."""
    words = view.words
    kept = _hidden(view, "step")
    given = [*view.question.steps, "", ""][: max(4, len(view.question.steps) + 1)][:8]
    given += [""] * (4 - len(given))
    fields = "".join(
        f'<label>{escape(words.say("step_number", number=number))}<input name="step" value="{escape(step)}" '
        f'placeholder="{_EXAMPLES[number - 1]}"></label>'
        for number, step in enumerate(given, 1)
    )
    return (
        f'<form class="steps" method="get" action="{view.prefix}/dashboard">{kept}{fields}'
        f"<button>{escape(words['show'])}</button><p>{escape(words['steps_words'])}</p></form>"
    )
