"""Every report once more, in plain Python over plain dicts: what the queries' answers are compared with.

Written from the reports' definitions, not from their SQL. Slow, and meant to be read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from consent_gateway.answers.question import Filter, Question
from tests.answers import traffic

Row = dict[str, Any]
Answer = list[dict[str, Any]]

HALF_AN_HOUR = 1_800_000
OF_VISITOR = {
    "country": "country", "region": "region", "browser": "browser", "browser_version": "browser_version",
    "system": "os", "system_version": "os_version", "device": "device", "language": "language",
}  # fmt: skip
OF_EVENT = {"path": "path", "route": "route", "city": "city", "consent": "consent", "screen": "screen"}
OF_ENTRY = {
    "referrer": "referrer_host", "channel": "channel", "source": "source", "campaign": "utm_campaign",
    "campaign_source": "utm_source", "campaign_medium": "utm_medium",
}  # fmt: skip


@dataclass
class Visit:
    day: date
    visitor: int
    rows: list[Row]

    @property
    def views(self) -> list[Row]:
        return [row for row in self.rows if row["type"] == "page_view"]

    @property
    def paths(self) -> list[str]:
        return [row["path"] for row in self.views]

    @property
    def bounced(self) -> bool:
        return len(self.views) == 1 and all(row["type"] != "custom" for row in self.rows)

    @property
    def duration(self) -> int:
        return int(self.rows[-1]["ms"] - self.rows[0]["ms"])


def visits_of(rows: Iterable[Row], day_of: Callable[[int], date]) -> list[Visit]:
    """What each visitor did on each day, cut at silences of half an hour; without a page view it is none."""
    by_visitor: defaultdict[tuple[date, int], list[Row]] = defaultdict(list)
    for row in rows:
        if row.get("visitor"):
            by_visitor[day_of(row["ms"]), row["visitor"]].append(row)
    kinds = {"page_view": 1, "custom": 2}
    found = []
    for (day, visitor), own in by_visitor.items():
        own.sort(key=lambda row: (row["ms"], row.get("view_id", 0), kinds.get(row["type"], 0), row["path"]))
        visit = Visit(day, visitor, [])
        for row in own:
            if visit.rows and row["ms"] - visit.rows[-1]["ms"] >= HALF_AN_HOUR:
                found.append(visit)
                visit = Visit(day, visitor, [])
            visit.rows.append(row)
        found.append(visit)
    return [visit for visit in found if visit.views]


def says(value: str, one: Filter) -> bool:
    if one.operator == "=":
        return value == one.value
    return value.startswith(one.value) if one.operator == "^" else one.value.lower() in value.lower()


class Plain:
    """The events that a question is about, and the visits made from them."""

    def __init__(self, rows: Sequence[Row], question: Question, *, programs: bool = False, live: bool = False) -> None:
        self.q = question
        start, end = (question.now - HALF_AN_HOUR, question.now + 1) if live else (question.start, question.end)
        groups: defaultdict[tuple[str, bool], list[Filter]] = defaultdict(list)
        for one in question.filters:
            groups[one.dimension, one.negated].append(one)
        self.groups = dict(groups)
        every = [
            row
            for row in rows
            if row["site"] == question.site
            and start <= row["ms"] < end
            and (row["bot"] if programs else (question.bots or not row["bot"]))
            and self._holds(OF_VISITOR, [row])
        ]
        self.records = [row for row in traffic.records() if row["site"] == question.site and start <= row["ms"] < end]
        all_visits = visits_of(every, self.day)
        chosen = [visit for visit in all_visits if self._fits(visit)]
        event = self._row_fits
        if any(
            name in OF_ENTRY or name in ("entry_page", "exit_page", "event") or "prop." in name for name, _ in groups
        ):
            self.rows = [row for visit in chosen for row in visit.rows if event(row)]
        else:
            self.rows = [row for row in every if event(row)]
        self.visits = [visit for visit in chosen if self._holds(OF_EVENT, visit.rows)]

    def day(self, ms: int) -> date:
        return datetime.fromtimestamp(ms / 1000, UTC).astimezone(self.q.zone).date()

    def period(self, ms: int) -> str:
        at, day = datetime.fromtimestamp(ms // 1000, UTC).astimezone(self.q.zone), self.day(ms)
        return {
            "minute": f"{at:%Y-%m-%dT%H:%M}", "hour": f"{at:%Y-%m-%dT%H:00}", "day": str(day),
            "week": str(day - timedelta(days=day.weekday())), "month": str(day.replace(day=1)),
        }[self.q.interval]  # fmt: skip

    def _holds(self, columns: dict[str, str], rows: Sequence[Row]) -> bool:
        """Does any of the rows say what each filter of these dimensions asks for?"""
        return all(
            any(says(row.get(columns[name], ""), one) for row in rows for one in filters) != negated
            for (name, negated), filters in self.groups.items()
            if name in columns
        )

    def _row_fits(self, row: Row) -> bool:
        return self._holds(OF_EVENT, [row])

    def _fits(self, visit: Visit) -> bool:
        """Its entry, its ends, and what happened in it."""
        first, customs = visit.views[0], [row for row in visit.rows if row["type"] == "custom"]
        if not self._holds(OF_ENTRY, [first]):
            return False
        for (name, negated), filters in self.groups.items():
            if name in ("entry_page", "exit_page"):
                values = [visit.paths[0 if name == "entry_page" else -1]]
            elif name == "event":
                values = [row["name"] for row in customs]
            elif name.startswith("prop."):
                values = [row["props"][name[5:]] for row in customs if name[5:] in row["props"]]
            else:
                continue
            if any(says(value, one) for value in values for one in filters) == negated:
                return False
        return True

    def views(self) -> list[Row]:
        return [row for row in self.rows if row["type"] == "page_view"]

    def daily(self, rows: Iterable[Row]) -> int:
        return len({(self.day(row["ms"]), row["visitor"]) for row in rows if row.get("visitor")})

    def engagement(self) -> list[tuple[Row, int, int]]:
        """Of each view that told something: one of its rows, the most engaged, the furthest scrolled."""
        told: defaultdict[Any, list[Row]] = defaultdict(list)
        for row in self.rows:
            if row["type"] == "engagement":
                told[self.day(row["ms"]), row["visitor"], row["view_id"]].append(row)
        return [
            (
                min(rows, key=lambda row: row["ms"]),
                max(r["engaged_ms"] for r in rows),
                max(r["scroll_pct"] for r in rows),
            )
            for rows in told.values()
        ]


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def median_like(values: list[float], level: float) -> float:
    return sorted(values)[int(level * len(values))]


def grouped(things: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for thing in things:
        found[key(thing)].append(thing)
    return dict(found)


def ranked(answer: Answer, *by: str) -> Answer:
    """By figures from the most, then by keys."""
    return sorted(answer, key=lambda row: tuple(-row[name[1:]] if name[0] == "-" else row[name] for name in by))


def main_figures(
    plain: Plain, rows: list[Row], visits: list[Visit], told: list[tuple[Row, int, int]]
) -> dict[str, Any]:
    number = len(visits)
    return {
        "visitors": plain.daily(rows), "visits": number, "page_views": len(rows),
        "views_per_visit": share(sum(len(visit.views) for visit in visits), number),
        "bounce_rate": share(sum(visit.bounced for visit in visits), number),
        "duration": share(sum(visit.duration for visit in visits), number),
        "engaged": share(sum(engaged for _, engaged, _ in told), len(told)),
    }  # fmt: skip


def overview(plain: Plain) -> Answer:
    rows = grouped(plain.views(), lambda row: plain.period(row["ms"]))
    visits = grouped(plain.visits, lambda visit: plain.period(visit.rows[0]["ms"]))
    told = grouped(plain.engagement(), lambda one: plain.period(one[0]["ms"]))
    return [
        {"period": period} | main_figures(plain, rows.get(period, []), visits.get(period, []), told.get(period, []))
        for period in sorted(rows.keys() | visits.keys() | told.keys())
    ]


def totals(plain: Plain) -> Answer:
    return [main_figures(plain, plain.views(), plain.visits, plain.engagement())]


def by_page(column: str, plain: Plain) -> Answer:
    rows = grouped(
        (row for row in plain.views() if column == "path" or row.get(column)), lambda row: row.get(column, "")
    )
    told: defaultdict[str, dict[Any, list[Row]]] = defaultdict(dict)
    for row in plain.rows:
        if row["type"] == "engagement" and (column == "path" or row.get(column)):
            own = told[row.get(column, "")]
            own.setdefault((plain.day(row["ms"]), row["visitor"], row["view_id"]), []).append(row)
    answer = []
    for page in rows.keys() | told.keys():
        most = [max(row["engaged_ms"] for row in group) for group in told[page].values()]
        far = [max(row["scroll_pct"] for row in group) for group in told[page].values()]
        answer.append({
            column: page, "visitors": plain.daily(rows.get(page, [])), "page_views": len(rows.get(page, [])),
            "engaged": share(sum(most), len(most)), "scroll": share(sum(far), len(far) * 100),
        })  # fmt: skip
    return ranked(answer, "-page_views", column)


def by_entry(names: Sequence[str], columns: Sequence[str], keep: Callable[[Row], bool], plain: Plain) -> Answer:
    visits = [visit for visit in plain.visits if keep(visit.views[0])]
    answer = []
    for key, own in grouped(visits, lambda visit: tuple(visit.views[0].get(column, "") for column in columns)).items():
        answer.append(dict(zip(names, key, strict=True)) | {
            "visitors": len({(visit.day, visit.visitor) for visit in own}), "visits": len(own),
            "page_views": sum(len(visit.views) for visit in own),
            "bounce_rate": share(sum(visit.bounced for visit in own), len(own)),
            "duration": share(sum(visit.duration for visit in own), len(own)),
        })  # fmt: skip
    return ranked(answer, "-visits", *names)


def by_visitor(
    names: Sequence[str], columns: Sequence[str], plain: Plain, order: str = "-visitors", *, known: bool = False
) -> Answer:
    def key(row: Row) -> tuple[str, ...]:
        return tuple(row.get(column, "") for column in columns)

    rows, visits = grouped(plain.views(), key), grouped(plain.visits, lambda visit: key(visit.views[0]))
    answer = []
    for one in rows.keys() | visits.keys():
        if known and not any(one):
            continue
        own, begun = rows.get(one, []), visits.get(one, [])
        answer.append(dict(zip(names, one, strict=True)) | {
            "visitors": plain.daily(own), "visits": len(begun), "page_views": len(own),
            "bounce_rate": share(sum(visit.bounced for visit in begun), len(begun)),
            "duration": share(sum(visit.duration for visit in begun), len(begun)),
        })  # fmt: skip
    return ranked(answer, order, *names)


def entry_pages(plain: Plain) -> Answer:
    return ranked([
        {
            "entry_page": page, "visitors": len({(visit.day, visit.visitor) for visit in own}), "visits": len(own),
            "bounce_rate": share(sum(visit.bounced for visit in own), len(own)),
            "duration": share(sum(visit.duration for visit in own), len(own)),
        }
        for page, own in grouped(plain.visits, lambda visit: visit.paths[0]).items()
    ], "-visits", "entry_page")  # fmt: skip


def exit_pages(plain: Plain) -> Answer:
    exits = grouped(plain.visits, lambda visit: visit.paths[-1])
    seen = Counter(path for visit in plain.visits for path in visit.paths)
    return ranked([
        {
            "exit_page": page, "visitors": len({(visit.day, visit.visitor) for visit in exits.get(page, [])}),
            "exits": len(exits.get(page, [])), "exit_rate": share(len(exits.get(page, [])), number),
        }
        for page, number in seen.items()
    ], "-exits", "exit_page")  # fmt: skip


def counted(
    plain: Plain,
    rows: Iterable[Row],
    names: Sequence[str],
    key: Callable[[Row], Iterable[tuple[str, ...]]],
    figure: str,
    *order: str,
) -> Answer:
    found: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        for one in key(row):
            found[one].append(row)
    return ranked([
        dict(zip(names, one, strict=True)) | {"visitors": plain.daily(own), figure: len(own)}
        for one, own in found.items()
    ], *(order or (f"-{figure}",)), *names)  # fmt: skip


def of_type(plain: Plain, kind: str) -> list[Row]:
    return [row for row in plain.rows if row["type"] == kind]


def hours(plain: Plain) -> Answer:
    def key(row: Row) -> list[tuple[str, ...]]:
        at = datetime.fromtimestamp(row["ms"] // 1000, UTC).astimezone(plain.q.zone)
        return [(str(at.isoweekday()), f"{at:%H}")]

    return counted(plain, plain.views(), ("weekday", "hour"), key, "page_views", "weekday", "hour")


def live(plain: Plain) -> Answer:
    answer = []
    for minutes in (5, 30):
        rows = [row for row in plain.rows if row["ms"] >= plain.q.now - minutes * 60_000]
        views = [row for row in rows if row["type"] == "page_view"]
        events = sum(row["type"] == "custom" for row in rows)
        answer.append({"minutes": minutes, "visitors": plain.daily(views), "page_views": len(views), "events": events})
    return answer


def reaches(row: Row, step: str) -> bool:
    if step.startswith("event:"):
        return bool(row["type"] == "custom" and row["name"] == step[6:])
    path = str(row.get("path", ""))
    return row["type"] == "page_view" and (path.startswith(step[:-1]) if step.endswith("*") else path == step)


def goals(plain: Plain) -> Answer:
    everyone = plain.daily(plain.views())
    steps = plain.q.steps or sorted({f"event:{row['name']}" for row in of_type(plain, "custom")})
    answer = []
    for step in steps:
        rows = [row for row in plain.rows if reaches(row, step)]
        if rows:
            goal = step if plain.q.steps else step[6:]
            number = plain.daily(rows)
            answer.append({"goal": goal, "visitors": number, "events": len(rows),
                           "conversion_rate": share(number, everyone)})  # fmt: skip
    return ranked(answer, "-visitors", "goal")


def paths(plain: Plain) -> Answer:
    steps = [(visit, step) for visit in plain.visits for step in zip(visit.paths, visit.paths[1:], strict=False)]
    return ranked([
        {"from": step[0], "to": step[1], "visitors": len({(visit.day, visit.visitor) for visit, _ in own}),
         "transitions": len(own)}
        for step, own in grouped(steps, lambda one: one[1]).items()
    ], "-transitions", "from", "to")  # fmt: skip


def journeys(plain: Plain) -> Answer:
    return ranked([
        {"journey": journey, "visitors": len({(visit.day, visit.visitor) for visit in own}), "visits": len(own)}
        for journey, own in grouped(plain.visits, lambda visit: " → ".join(visit.paths[:4])).items()
    ], "-visits", "journey")  # fmt: skip


def funnel(plain: Plain) -> Answer:
    """Each step as early as it can be after the one before."""
    rows = [row for row in plain.rows if row.get("visitor") and row["type"] in ("page_view", "custom")]
    ways: list[list[int]] = []
    for own in grouped(rows, lambda row: (plain.day(row["ms"]), row["visitor"])).values():
        way: list[int] = []
        for step in plain.q.steps:
            later = [row["ms"] for row in own if reaches(row, step) and (not way or row["ms"] > way[-1])]
            if not later:
                break
            way.append(min(later))
        ways.append(way)
    answer: Answer = []
    for number, step in enumerate(plain.q.steps, 1):
        came = [way for way in ways if len(way) >= number]
        before = sum(len(way) >= number - 1 for way in ways)
        took = [float(way[number - 1] - way[number - 2]) for way in came] if number > 1 else []
        answer.append({
            "number": number, "step": step, "visitors": len(came),
            "from_first": share(len(came), sum(bool(way) for way in ways)),
            "from_before": share(len(came), before) if number > 1 else None,
            "between": median_like(took, 0.5) if took else None,
        })  # fmt: skip
    return answer


def returning(plain: Plain) -> Answer:
    weeks: defaultdict[int, set[date]] = defaultdict(set)
    for row in plain.views():
        if row["person"]:
            day = plain.day(row["ms"])
            weeks[row["person"]].add(day - timedelta(days=day.weekday()))
    firsts = Counter(min(seen) for seen in weeks.values())
    found = Counter((min(seen), (week - min(seen)).days // 7) for seen in weeks.values() for week in seen)
    return [
        {"week": str(first), "weeks": later, "persons": number, "returned": number / firsts[first]}
        for (first, later), number in sorted(found.items())
    ]


def frequency(plain: Plain) -> Answer:
    persons = grouped((row for row in plain.views() if row["person"]), lambda row: row["person"])
    days = Counter(len({plain.day(row["ms"]) for row in own}) for own in persons.values())
    return [{"days": number, "persons": count} for number, count in sorted(days.items())]


OPEN = ("unknown", "expired", "invalidated")


def choices(name: str, key: Callable[[Plain, Row], str], plain: Plain) -> Answer:
    figures: defaultdict[str, Counter[str]] = defaultdict(Counter)
    every = [row for row in plain.rows if row.get("visitor")]
    for own in grouped(every, lambda row: (plain.day(row["ms"]), row["visitor"])).values():
        own.sort(key=lambda row: (row["ms"], row.get("view_id", 0), row["type"]))
        views = [row for row in own if row["type"] == "page_view"]
        if not views:
            continue
        count = figures[key(plain, views[0])]
        given = [row["ms"] for row in own if row["consent"] == "given"]
        withdrawn = [row["ms"] for row in own if row["consent"] == "withdrawn"]
        count["withdrew"] += bool(given and withdrawn and min(given) < max(withdrawn))
        if any(row["consent"] in OPEN for row in views):
            last = own[-1]["consent"]
            count["asked"] += 1
            count["accepted" if last == "given" else "ignored" if last in OPEN else "refused"] += 1
    answer: Answer = [
        {name: one} | {figure: count[figure] for figure in ("asked", "accepted", "refused", "ignored", "withdrew")} | {
            "accept_rate": share(count["accepted"], count["asked"]),
            "refuse_rate": share(count["refused"], count["asked"]),
            "ignore_rate": share(count["ignored"], count["asked"]),
        }
        for one, count in figures.items()
    ]  # fmt: skip
    return ranked(answer, *([name] if name == "period" else ["-asked", name]))


def decided(records: Sequence[Row]) -> dict[str, Any]:
    """What the ledger's figures are of some choices on record."""
    actions = Counter(row["action"] for row in records)
    answered = actions["accept_all"] + actions["reject_all"] + actions["save"]
    granted = sum(row["status"] == "given" and row["action"] in ("accept_all", "save") for row in records)
    return {
        "answered": answered, "grant_rate": share(granted, answered), "all_accepted": actions["accept_all"],
        "all_refused": actions["reject_all"], "chosen": actions["save"],
        "withdrawals": sum(row["status"] == "withdrawn" and row["supersedes"] != "" for row in records),
        "objections_made": actions["object"],
    }  # fmt: skip


def decisions(plain: Plain) -> Answer:
    by_period = grouped(plain.records, lambda row: plain.period(row["ms"]))
    return [{"period": period} | decided(own) for period, own in sorted(by_period.items())]


def decisions_by_language(plain: Plain) -> Answer:
    by_language = grouped(plain.records, lambda row: row["language"])
    return ranked([{"notice_language": one} | decided(own) for one, own in by_language.items()],
                  "-answered", "notice_language")  # fmt: skip


def decisions_by_purpose(plain: Plain) -> Answer:
    answered = [row for row in plain.records if row["action"] in ("accept_all", "reject_all", "save")]
    found: Answer = []
    for purpose in sorted({purpose for row in plain.records for purpose in row["granted"]}):
        for language, own in grouped(answered, lambda row: row["language"]).items():
            granted = sum(purpose in row["granted"] for row in own)
            found.append({"purpose": purpose, "notice_language": language, "answered": len(own), "granted": granted,
                          "grant_rate": share(granted, len(own))})  # fmt: skip
    return ranked(found, "-granted", "purpose", "notice_language")


def purposes(plain: Plain) -> Answer:
    answer: Answer = []
    views = [row for row in plain.views() if row.get("visitor")]
    for period, own in sorted(grouped(views, lambda row: plain.period(row["ms"])).items()):
        some = {
            purpose: plain.daily(row for row in own if purpose in row["purposes"])
            for purpose in ("measurement", "analytics")
        }
        rows = [{"period": period, "purpose": purpose, "visitors": number, "purpose_share": number / plain.daily(own)}
                for purpose, number in some.items() if number]  # fmt: skip
        answer += ranked(rows, "-visitors", "purpose")
    return answer


def basis(plain: Plain) -> Answer:
    def one(figure: str, total: int, consent: int) -> dict[str, Any]:
        return {"figure": figure, "total": total, "interest": total - consent, "consent": consent,
                "consent_share": share(consent, total)}  # fmt: skip

    answer = [one("visitors", plain.daily(plain.views()), 0)]
    for figure, kind in (("page_views", "page_view"), ("engagement", "engagement"), ("events", "custom")):
        rows = of_type(plain, kind)
        answer.append(one(figure, len(rows), sum("measurement" not in row["purposes"] for row in rows)))
    cities = sum(bool(row["city"]) for row in plain.views())
    persons = len({row["person"] for row in plain.rows if row["person"]})
    return [*answer, one("cities", cities, cities), one("persons", persons, persons)]


def objections(plain: Plain) -> Answer:
    return [
        {"period": period, "page_views": len(own), "objected": sum("measurement" not in row["purposes"] for row in own)}
        for period, own in sorted(grouped(plain.views(), lambda row: plain.period(row["ms"])).items())
    ]


def silence(plain: Plain) -> Answer:
    told = {row["view_id"] for row in of_type(plain, "engagement")}
    answer = []
    for browser, own in grouped(
        (row for row in plain.views() if row.get("http_status")), lambda r: r["browser"]
    ).items():
        silent = sum(row["view_id"] not in told for row in own)
        answer.append({"browser": browser, "page_views": len(own), "silent": silent,
                       "silent_rate": share(silent, len(own))})  # fmt: skip
    return ranked(answer, "-page_views", "browser")


def percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{int(level * 100)}": median_like(values, level) for level in (0.5, 0.75, 0.95, 0.99)}


def server_times(plain: Plain) -> Answer:
    return ranked([
        {"path": path, "page_views": len(own)} | percentiles([row["server_ms"] for row in own])
        for path, own in grouped((r for r in plain.views() if r.get("http_status")), lambda row: row["path"]).items()
    ], "-page_views", "path")  # fmt: skip


def timings(plain: Plain) -> Answer:
    found: defaultdict[str, list[float]] = defaultdict(list)
    told = (row for row in plain.rows if row.get("timings"))
    for own in grouped(told, lambda row: (row.get("visitor", 0), row.get("view_id", 0))).values():
        for name, value in max(own, key=lambda row: row.get("engaged_ms", 0))["timings"].items():
            found[name].append(value)
    return ranked([{"timing": name, "samples": len(values)} | percentiles(values) for name, values in found.items()],
                  "-samples", "timing")  # fmt: skip


def programs(plain: Plain) -> Answer:
    found = Counter(row["browser"] for row in plain.views())
    return ranked([{"browser": name, "page_views": number} for name, number in found.items()], "-page_views", "browser")


def anything(row: Row) -> bool:
    return True


REPORTS: dict[str, Callable[[Plain], Answer]] = {
    "overview": overview,
    "totals": totals,
    "live": live,
    "live_pages": lambda plain: counted(
        plain, plain.views(), ["path"], lambda row: [(row.get("path", ""),)], "page_views"
    ),
    "hours": hours,
    "pages": lambda plain: by_page("path", plain),
    "routes": lambda plain: by_page("route", plain),
    "entry_pages": entry_pages,
    "exit_pages": exit_pages,
    "referrers": lambda plain: by_visitor(["referrer"], ["referrer_host"], plain, "-visits", known=True),
    "channels": lambda plain: by_entry(["channel"], ["channel"], anything, plain),
    "sources": lambda plain: by_entry(["source"], ["source"], lambda row: bool(row["source"]), plain),
    "campaigns": lambda plain: by_entry(
        ["campaign", "campaign_source", "campaign_medium"], ["utm_campaign", "utm_source", "utm_medium"],
        lambda row: bool(row["utm_campaign"] or row["utm_source"] or row["utm_medium"]), plain,
    ),
    "assistants": lambda plain: by_entry(["source"], ["source"], lambda row: row["channel"] == "ai", plain),
    "countries": lambda plain: by_visitor(["country"], ["country"], plain),
    "regions": lambda plain: by_visitor(["country", "region"], ["country", "region"], plain),
    "cities": lambda plain: counted(
        plain, [row for row in plain.views() if row["city"]], ["country", "city"],
        lambda row: [(row.get("country", ""), row["city"])], "page_views",
    ),
    "browsers": lambda plain: by_visitor(["browser"], ["browser"], plain),
    "systems": lambda plain: by_visitor(["system"], ["os"], plain),
    "devices": lambda plain: by_visitor(["device"], ["device"], plain),
    "languages": lambda plain: by_visitor(["language"], ["language"], plain),
    "events": lambda plain: counted(plain, of_type(plain, "custom"), ["event"], lambda row: [(row["name"],)], "events"),
    "properties": lambda plain: counted(
        plain, of_type(plain, "custom"), ["event", "property", "value"],
        lambda row: [(row["name"], key, value) for key, value in row["props"].items()], "events",
    ),
    "goals": goals,
    "paths": paths,
    "journeys": journeys,
    "funnel": funnel,
    "returning": returning,
    "frequency": frequency,
    "choices": lambda plain: choices("period", lambda plain, row: plain.period(row["ms"]), plain),
    "choices_by_language": lambda plain: choices("language", lambda _, row: str(row["language"]), plain),
    "decisions": decisions,
    "decisions_by_language": decisions_by_language,
    "decisions_by_purpose": decisions_by_purpose,
    "purposes": purposes,
    "basis": basis,
    "objections": objections,
    "silence": silence,
    "server_times": server_times,
    "timings": timings,
    "errors": lambda plain: counted(
        plain, of_type(plain, "page_error"), ["path", "status"],
        lambda row: [(row.get("path", ""), str(row["http_status"]))], "page_errors",
    ),
    "programs": programs,
}  # fmt: skip


OWN = (
    "entry_page",
    "exit_page",
    "event",
    "from",
    "to",
    "purpose",
    "notice_language",
    *OF_ENTRY,
)  # filters that choose among a report's own keys


def answer(name: str, rows: Sequence[Row], question: Question, keys: Sequence[str] = ()) -> Answer:
    """What a report with these keys should answer."""
    own = [one for one in question.filters if one.dimension in keys and one.dimension in OWN]
    other = replace(question, filters=tuple(one for one in question.filters if one not in own))
    plain = Plain(rows, other, programs=name == "programs", live=name in ("live", "live_pages"))
    found = REPORTS[name](plain)
    for (key, negated), filters in grouped(own, lambda one: (one.dimension, one.negated)).items():
        found = [row for row in found if any(says(row[key], one) for one in filters) != negated]
    return found[: question.limit]
