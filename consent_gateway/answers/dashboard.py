"""The dashboard: a page of the reports, made in the server, useful without script, everything in the URL."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ..access.guard import Guard, is_secure
from ..access.people import Role
from ..access.sessions import Person
from ..config.policy_file import load
from ..config.settings import Settings
from ..record.own import OwnBrowser
from ..rule.errors import ConfigError, StoreError
from . import boxes, toolbar
from .desk import Desk
from .drawn import drawn, over_time
from .frame import PAGE_HEADERS, document
from .language import Words, choose
from .privacy import PrivacyTab
from .question import Filter, Question
from .reports import ALL, REPORTS, Report
from .view import OWN_NAMES, PRIVACY, TABS, View, is_of_rows, look

_FORM_NAMES = ("dimension", "operator", "value")
_OVERVIEW = ("pages", "sources", "entry_pages", "channels", "countries", "devices", "browsers", "events")
_EMPTY_STEPS = ("funnel", "goals")


class Dashboard:
    """The page and what it needs: who may see it, where its figures come from."""

    def __init__(self, settings: Settings, desk: Desk, guard: Guard, own: OwnBrowser, privacy: PrivacyTab) -> None:
        self._settings, self._desk, self._guard = settings, desk, guard
        self._own, self._privacy = own, privacy
        self._purposes = load(settings.POLICY).purposes

    @property
    def routes(self) -> list[Route]:
        return [Route("/public/dashboard", self._guard.guard(self._page))]

    async def _page(self, request: Request) -> Response:
        person: Person = request.state.person
        query = request.query_params
        words = self._with_purposes(choose(query.get("language", ""), request.headers.get("accept-language", "")))
        pairs = query.multi_items()
        asked = [pair for pair in pairs if pair[0] not in (*OWN_NAMES, *_FORM_NAMES)]
        try:
            question = self._desk.question(asked)
            view = look(pairs, question, words, person, self._settings.PREFIX)
            if "dimension" in query:
                one = Filter.parse(f"{query['dimension']}{query.get('operator', '=')}{query.get('value', '')}")
                wider = view.asking(filters=tuple(dict.fromkeys([*question.filters, one])))
                return RedirectResponse(wider.path(), 303, headers={"Cache-Control": "no-store"})
        except ConfigError as error:
            return self._apology(words, str(error))
        if view.tab == PRIVACY and person.role is not Role.OWNER:
            view = view.at(tab=TABS[0])
        what = view.report or view.tab
        self._guard.audit.note(
            person, "read", f"dashboard {what} of {question.site}, {question.first} to {question.last}"
        )
        form = self._guard.sessions.form_token(person.secret)
        is_out = self._own.is_out(request.headers.get("cookie", ""), secure=is_secure(request))
        main = await run_in_threadpool(self._main, view)
        title = f"{question.site}: {words[f'tab_{view.tab}']}"
        head = toolbar.header(view, self._settings.site_names, form, is_out=is_out)
        body = f'{head}{toolbar.tabs(view)}<main id="main">{toolbar.tools(view)}{main}</main>{self._foot(view)}'
        return HTMLResponse(document(words, title, body, self._settings.PREFIX), headers=PAGE_HEADERS)

    def _with_purposes(self, words: Words) -> Words:
        """The policy's own purposes have its names."""
        named = {f"purpose_{one.id}": one.names.get(words.language, one.id) for one in self._purposes}
        return replace(words, interface=dict(words.interface) | named)

    def _main(self, view: View) -> str:
        if view.tab == PRIVACY:
            return self._privacy.render(view)
        try:
            if view.report:
                return self._report(view, ALL[view.report])
            top = self._top(view)
        except StoreError as error:
            return f'<p class="wrong" role="alert">{escape(view.words["store_away"])} {escape(str(error))}</p>'
        except ConfigError as error:
            return f'<p class="wrong" role="alert">{escape(view.words["wrong_question"])}: {escape(str(error))}</p>'
        if not top:
            return self._new_site(view)
        return f'{top}<div class="boxes">{"".join(self._box(view, report) for report in _reports(view.tab))}</div>'

    def _top(self, view: View) -> str:
        """Totals and time line; empty when the site never measured anything."""
        question = view.question
        now = self._desk.ask("totals", replace(question, compare=""))[0]
        if not now["page_views"] and not now["visitors"] and not question.filters and self._is_new(question):
            return ""
        rows = self._desk.ask("overview", replace(question, compare="", limit=boxes.PAGE_ROWS))
        earlier = question.before()
        before = before_rows = None
        if earlier is not None:
            before = self._desk.ask("totals", earlier)[0]
            before_rows = self._desk.ask("overview", earlier)
        line = over_time(view, REPORTS["overview"], view.figure, rows, before_rows)
        return f"{boxes.totals(view, now, before)}{line}"

    def _is_new(self, question: Question) -> bool:
        """Was nothing ever measured here, as far back as a question may reach?"""
        ever = replace(question, first=question.last.replace(year=question.last.year - 2), compare="")
        found: Any = self._desk.ask("totals", replace(ever, bots=True))[0]["page_views"]
        return not found

    def _box(self, view: View, report: Report) -> str:
        if len(view.question.steps) < report.steps:
            return boxes.bare(view, report, toolbar.steps_form(view))
        if report.ledger and _of_visitors(view):
            return boxes.failed(view, report, view.words["no_visitors_on_record"])
        limit = boxes.DRAWN_ROWS if report.over_time or report.whole or report.name == "hours" else boxes.BOX_ROWS
        try:
            rows = self._desk.ask(report.name, replace(view.question, compare="", limit=limit))
        except (StoreError, ConfigError) as error:
            return boxes.failed(view, report, str(error))
        return boxes.box(view, report, rows)

    def _report(self, view: View, report: Report) -> str:
        """One report whole: every figure, all rows, the sum, and what they are compared with."""
        words = view.words
        if report.ledger and _of_visitors(view):
            return boxes.failed(view, report, words["no_visitors_on_record"])
        question = replace(view.question, limit=boxes.PAGE_ROWS)
        form = toolbar.steps_form(view) if report.name in _EMPTY_STEPS else ""
        body = ""
        if len(question.steps) >= report.steps:
            rows = self._desk.ask(report.name, question)
            body = drawn(view, report, rows)
            body += boxes.table(view, report, rows, figures=report.figures, most=boxes.PAGE_ROWS)
        back = view.at(report="").href()
        return f"""<article class="report"><header><h2>{escape(words.of(report.title))}</h2>
<p>{escape(words.of(report.words))}</p>
<p class="actions"><a href="{back}">{escape(words.say("back_to", tab=words[f"tab_{view.tab}"]))}</a>
{boxes.downloads(view, report)}</p></header>{form}<div class="wide" tabindex="0" role="region"
 aria-label="{escape(words.of(report.title))}">{body}</div></article>"""

    def _new_site(self, view: View) -> str:
        """Nothing was ever measured: what to do next."""
        words = view.words
        steps = "".join(f"<li>{words[f'new_{number}']}</li>" for number in (1, 2, 3))
        return f'<section class="new"><h2>{escape(words["new_title"])}</h2><ol>{steps}</ol></section>'

    def _foot(self, view: View) -> str:
        words = view.words
        days = words.days(view.question.first, view.question.last)
        about = "" if view.tab == PRIVACY else escape(f"{days}, {view.question.zone.key}. ")
        return f'<footer class="foot"><p>{about}{escape(words["foot"])}</p></footer>'

    def _apology(self, words: Words, why: str) -> Response:
        link = f'<a href="{self._settings.PREFIX}/dashboard">{escape(words["start_again"])}</a>'
        body = (
            f'<main class="sign-in"><h1>{escape(words["wrong_question"])}</h1><p>{escape(why)}</p><p>{link}</p></main>'
        )
        return HTMLResponse(document(words, words["wrong_question"], body, self._settings.PREFIX), 422, PAGE_HEADERS)


def _of_visitors(view: View) -> bool:
    """Is something asked that the ledger, which knows of no visitors, can't tell?"""
    return any(not is_of_rows(one.dimension) for one in view.question.filters)


def _reports(tab: str) -> list[Report]:
    if tab == TABS[0]:
        return [REPORTS[name] for name in _OVERVIEW if name in REPORTS]
    return [report for report in boxes.reports_of(tab) if report.name != "overview"]
