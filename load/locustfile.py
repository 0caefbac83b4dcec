"""The load of a real site on the event path: what it can take, and whether it keeps every event.

    make load                                       a bounded run against a site that it starts itself
    locust -f load/locustfile.py --headless --host http://127.0.0.1:8000 --data-dir DATA_DIR [--processes 2]

Arrivals are open-loop: each user has a timetable of its own, and an answer's time counts from when its request was due,
so a slow site can't slow its own test down. The ramp grows until the 99th percentile passes its limit. At the end what
was sent is compared with the books of the back office, and those with the rows that are stored.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if __name__ != "__main__":  # the program below needs neither locust nor gevent in its own process
    import gevent
    from locust import LoadTestShape, User, events
    from locust.runners import MasterRunner, WorkerRunner

from load import traffic  # noqa: E402
from load.balance import compare, percentile, show  # noqa: E402
from load.drive import answer_size  # noqa: E402

PER_USER = 25.0  # requests a second of one user, which has one connection
FIRST_USERS = 16
GROWTH = 1.6
MOST_USERS = 2000
_LAST_REPORTS_SECONDS = 7.0  # two reports of a worker, and some
_PREFIX = "/_cg"


def people(count: int = 2000) -> list[traffic.Visitor]:
    """Visitors who have not chosen yet; the cookies they get are real answers of the site."""
    made = traffic.visitors("0" * 43, count, int(time.time() * 1000))
    return [
        traffic.Visitor(one.address, one.agent, one.language, one.cookies.partition("; __Host-cg")[0], one.signal)
        for one in made
    ]


class Answer:
    """Status, headers (lower case) and body of one answer."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ", 2)[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


class Line:
    """One connection that is kept, on a raw socket: a fifth of the price of a full HTTP client."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def ask(self, data: bytes) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, 30)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket.sendall(data)
            got = b""
            while not (size := answer_size(got)):
                part = self._socket.recv(65536)
                if not part:
                    raise ConnectionError("the site closed the connection")
                got += part
            return Answer(got[:size])
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


if __name__ != "__main__":
    counts: Counter[str] = Counter()  # of this process
    gathered: Counter[str] = Counter()  # of all workers, at the master
    at_start: Counter[str] = Counter()
    steps: list[tuple[float, float, float, int, bool]] = []

    def _arguments(parser: Any) -> None:
        group = parser.add_argument_group("Consent Gateway")
        data_dir = os.environ.get("CONSENT_GATEWAY_DATA_DIR", "")
        group.add_argument("--data-dir", default=data_dir, help="of the site, for the check at the end")
        group.add_argument("--step-seconds", type=float, default=5.0, help="of one step of the ramp")
        group.add_argument("--most-seconds", type=float, default=300.0, help="of the whole ramp")
        group.add_argument("--limit-ms", type=float, default=50.0, help="of the 99th percentile")

    class Visit(User):  # type: ignore[misc]
        """A connection with a timetable. Each request comes from some visitor, who may have chosen by now."""

        def on_start(self) -> None:
            target = urlsplit(self.host or "http://127.0.0.1:8000")
            self.line = Line(target.hostname or "127.0.0.1", target.port or 80)
            self.chance = random.Random()
            self.people = people(200)
            self.due = time.perf_counter()  # by the timetable; the first at once

        def on_stop(self) -> None:
            self.line.close()

        def wait_time(self) -> float:
            self.due += self.chance.expovariate(PER_USER)
            return max(0.0, self.due - time.perf_counter())

        def event(self) -> dict[str, Any]:
            return traffic.event(self.chance, event_id=f"{self.chance.getrandbits(64):016x}")

        def ask(self, name: str, data: bytes, sent: int = 0, views: int = 0, due: float = 0) -> Answer | None:
            """Send, and tell locust how long it took since it was due. `sent` events, or `views` of the site's own."""
            counts["events"] += sent
            error: Exception | None = None
            answer = None
            try:
                answer = self.line.ask(data)
            except OSError as fault:
                error = fault
            finally:  # also when this user is ended while it waits
                counts["views"] += views
                counts["unanswered"] += 0 if answer else sent + views
            took = (time.perf_counter() - (due or self.due)) * 1000
            self.environment.events.request.fire(
                request_type="", name=name, response_time=took, exception=error, context={},
                response_length=len(answer.body) if answer else 0,
            )  # fmt: skip
            return answer

        def post(self, name: str, body: Any, expected: int, sent: int, invalid: int = 0) -> None:
            answer = self.ask(name, traffic.posted(self.chance.choice(self.people), body), sent)
            if answer is None:
                return
            if answer.status in (429, 503):
                counts["overload"] += sent
            elif answer.status == expected:
                counts["invalid"] += invalid
            else:
                counts["odd"] += 1
                counts[f"odd answer {answer.status} to {name}"] += 1

        def one(self) -> None:
            made = self.event()
            self.post(made["type"], made, 204, 1)

        def batch(self) -> None:
            many = [self.event() for _ in range(self.chance.randint(2, 20))]
            self.post("batch", many, 204, len(many))

        def page(self) -> None:
            visitor = self.chance.choice(self.people)
            self.ask("page", traffic.got(visitor, self.chance.choice(traffic.PAGES)), views=1)

        def choice(self) -> None:
            """What the banner does: ask for the state and its nonce, choose, keep the cookie."""
            index = self.chance.randrange(len(self.people))
            visitor = self.people[index]
            state = self.ask("state", traffic.got(visitor, f"{_PREFIX}/state?language=nl"))
            if state is None or state.status != 200:
                counts["odd"] += 1
                return
            shown = json.loads(state.body)
            actions = ("accept_all", "reject_all", "withdraw", "object")
            action = self.chance.choices(actions, (55, 35, 6, 4))[0]
            body = {"action": action, "notice": shown["notice"], "language": shown["language"], "nonce": shown["nonce"]}
            now = time.perf_counter()  # it is due when the state has come
            answer = self.ask("choice", traffic.posted(visitor, body, path=f"{_PREFIX}/choice"), due=now)
            if answer is None or answer.status != 200:
                counts["odd"] += 1
                return
            cookie = answer.headers["set-cookie"].partition(";")[0]
            rest = visitor.cookies.partition("; __Host-cg")[0]
            self.people[index] = traffic.Visitor(
                visitor.address, visitor.agent, visitor.language, f"{rest}; {cookie}", visitor.signal
            )

        def bad(self) -> None:
            kind = self.chance.randrange(3)
            if kind == 0:
                self.post("bad: unknown key", self.event() | {"ip": "203.0.113.7"}, 422, 1, invalid=1)
            elif kind == 1:
                wrong = [self.event() for _ in range(4)] + [{"type": "page_view"}]
                self.post("bad: one of five", wrong, 200, 5, invalid=1)
            else:
                self.post("bad: no events", [], 422, 1, invalid=1)  # the books have it as one that was invalid

        tasks = {one: 60, batch: 15, page: 8, choice: 3, bad: 2}  # noqa: RUF012 so locust wants it

    class Ramp(LoadTestShape):  # type: ignore[misc]
        """More users at each step, until the 99th percentile of a step passes the limit."""

        def __init__(self) -> None:
            super().__init__()
            self.users, self.began, self.before = FIRST_USERS, 0.0, Counter[Any]()
            self.stop_at = 0.0

        def tick(self) -> tuple[int, float] | None:
            wanted = self._tick()
            if wanted is None and isinstance(self.runner, MasterRunner):
                self.runner.stop()  # and only then quit, or the workers' last counts would come too late
                gevent.sleep(_LAST_REPORTS_SECONDS)
            return wanted

        def _tick(self) -> tuple[int, float] | None:
            assert self.runner is not None
            options = self.runner.environment.parsed_options
            now = self.get_run_time()
            if self.get_current_user_count() < self.users:  # they are still being started: the step has not begun
                self.began, self.before = now, self._times()
                return (self.users, 100.0) if now < options.most_seconds else None
            if now - self.began >= options.step_seconds:
                seen = self._times() - self.before
                p99 = percentile(seen, 0.99)
                rate = sum(seen.values()) / (now - self.began)
                fine = 0 < p99 <= options.limit_ms and rate > 0.9 * self.users * PER_USER
                steps.append((rate, percentile(seen, 0.5), p99, self.users, fine))
                print(
                    f"{self.users:5} users {rate:9,.0f} requests/s   p50 {steps[-1][1]:.0f} ms   p99 {p99:.0f} ms",
                    flush=True,
                )
                if not fine or now + options.step_seconds > options.most_seconds:
                    return None
                self.users = min(MOST_USERS, round(self.users * GROWTH))
                self.began, self.before = now, self._times()
            return self.users, 100.0

        def _times(self) -> Counter[Any]:
            assert self.runner is not None
            return Counter(self.runner.stats.total.response_times)

    def _prepare(environment: Any, **_: Any) -> None:
        environment.stop_timeout = 5  # a request that is under way is finished: its answer counts
        if isinstance(environment.runner, WorkerRunner) or not environment.parsed_options.data_dir:
            return
        at_start.update(_books(Path(environment.parsed_options.data_dir)))

    def _report(client_id: str, data: dict[str, Any]) -> None:
        data["consent_gateway"] = dict(counts)
        counts.clear()

    def _gather(client_id: str, data: dict[str, Any]) -> None:
        gathered.update(data.get("consent_gateway", {}))

    def _check(environment: Any, **_: Any) -> None:
        if isinstance(environment.runner, WorkerRunner) or environment.runner is None:
            return
        sent = gathered + counts
        data_dir = environment.parsed_options.data_dir
        checks = {f"answers that were not expected: {sent['odd']}": not sent["odd"]}
        if data_dir:
            checks |= compare(sent, _drained(Path(data_dir)) - at_start)
        else:
            print("No --data-dir: the books are not compared.")
        good = [step for step in steps if step[4]]
        report = {"sent": dict(sent), "steps": steps, "checks": checks, "best": good[-1] if good else None}
        if out := os.environ.get("LOAD_RESULT"):
            Path(out).write_text(json.dumps(report))
        else:
            show(report)
        if not all(checks.values()):
            environment.process_exit_code = 1
        else:
            environment.process_exit_code = 0  # bad requests are part of the mix, and not failures of the run

    def _books(data_dir: Path) -> Counter[str]:
        from consent_gateway.record.office import call

        found: Counter[str] = Counter()
        for _, term, count in json.loads(call(data_dir, "GET", "/books")[2]):
            found[term] += count
        return found

    def _drained(data_dir: Path) -> Counter[str]:
        """The books once the spool is empty."""
        from consent_gateway.record.office import call

        until = time.monotonic() + 120
        while time.monotonic() < until:
            left = json.loads(call(data_dir, "POST", "/forward")[2])["pending"]
            if not left and not any((data_dir / "spool" / "open").iterdir()):
                break
            gevent.sleep(0.3)
        return _books(data_dir)

    for hook, does in (
        (events.init_command_line_parser, _arguments), (events.init, _prepare), (events.report_to_master, _report),
        (events.worker_report, _gather), (events.quitting, _check),
    ):  # fmt: skip
        hook.add_listener(does)


def run_bounded(*, seconds: float, processes: int) -> int:
    """Start a site, load it from here for at most so long, and count the rows that it stored."""
    import secrets
    import shutil
    import tempfile

    from load.running import Installation, Server, Trouble, app_line, cores

    home = Path(tempfile.mkdtemp(prefix="load-"))
    installation = Installation(home / "site", secrets.token_urlsafe(32))
    server_cpu, client_cpu = cores()
    cleanups: list[Callable[[], None]] = [installation.remove]
    try:
        installation.start_office(cpu=client_cpu)
        server = Server(app_line("gateway"), cpu=server_cpu, log=installation.log, environment=installation.environment)
        cleanups.insert(0, server.stop)
        server.wait_until_ready()
        result = home / "result.json"
        line = [sys.executable, "-m", "locust", "-f", __file__, "--headless", "--only-summary", "--loglevel", "WARNING"]
        line += ["--host", f"http://127.0.0.1:{server.port}", "--data-dir", str(installation.data_dir)]
        line += ["--most-seconds", str(seconds), "--step-seconds", "4"]
        line += ["--processes", str(processes)] if processes > 1 else []
        own = {name: value for name, value in os.environ.items() if not name.startswith("CONSENT_GATEWAY_")}
        os.sched_setaffinity(0, {client_cpu})
        run = subprocess.run(line, env=own | {"LOAD_RESULT": str(result)}, cwd=home)
        if not result.exists():
            print(f"locust ended with {run.returncode} and no result", file=sys.stderr)
            return 1
        report = json.loads(result.read_text())
        server.stop()
        installation.drain()
        books = installation.books()
        installation.stop_office()
        stored = installation.stored()
        report["checks"][f"accepted {books['accepted']:,} = rows in the table {stored:,}"] = books["accepted"] == stored
        show(report)
        return 0 if all(report["checks"].values()) else 1
    except Trouble as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        for cleanup in cleanups:
            cleanup()
        shutil.rmtree(home, ignore_errors=True)


def main() -> int:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=36, help="of the ramp at most")
    parser.add_argument("--processes", type=int, default=1, help="locust workers")
    options = parser.parse_args()
    return run_bounded(seconds=options.seconds, processes=options.processes)


if __name__ == "__main__":
    sys.exit(main())
