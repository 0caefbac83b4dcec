"""The same traffic on peers that install from the package index, side by side: what a recorded page costs.

A page of a bare ASGI app is the base; the same page is served by asgi-matomo around it (pointed at a sink on this
machine), by a Django site with django-cookie-consent and a row per hit in SQLite, and by the gateway around it. They do
not do the same: the table says what of it each does. A peer that is not installed is left out, with the command that
installs it; `--python` names another environment's interpreter for the peers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402

from load import bench  # noqa: E402
from load.figures import Spread, load, markdown, replace_part, save, show, thousands  # noqa: E402
from load.running import Installation, Server, Trouble  # noqa: E402


@dataclass(frozen=True)
class Peer:
    key: str
    words: str
    modules: tuple[str, ...]
    install: str
    does: str


PEERS = (
    Peer(
        "matomo",
        "asgi-matomo, to a local sink",
        ("asgi_matomo", "uvicorn", "uvloop", "httptools"),
        "pip install asgi-matomo uvicorn uvloop httptools",
        "sends the full address to the analytics server; no consent; lost when that server is away",
    ),
    Peer(
        "django",
        "Django, django-cookie-consent, row in SQLite",
        ("django", "cookie_consent", "uvicorn", "uvloop", "httptools"),
        "pip install django django-cookie-consent uvicorn uvloop httptools",
        "asks the consent cookie, truncates the address, one row in SQLite per hit (WAL, no sync)",
    ),
)
OURS = "consent judged, address dropped, truncated or encrypted, enriched, spooled: survives kill -9"


def lacking(peer: Peer, python: str) -> bool:
    code = "import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, sys.argv[1:])))"
    return subprocess.run([python, "-c", code, *peer.modules], capture_output=True).returncode != 0


def run(options: argparse.Namespace, console: Console) -> int:
    with bench.prepared_bench(options, console) as made, ExitStack() as stack:
        servers: dict[str, Server] = {"bare": made.server("bare")}
        sink = _peer(made, options.python, "sink", stack, cpu=made.client_cpu)
        for peer in PEERS:
            if lacking(peer, options.python):
                console.print(f"left out: {peer.words}; it needs: {peer.install}")
                continue
            folder = made.home / peer.key
            folder.mkdir()
            environment = {"SINK_PORT": str(sink.port), "PEER_DIR": str(folder)}
            servers[peer.key] = _peer(made, options.python, peer.key, stack, cpu=made.server_cpu, more=environment)
            servers[peer.key].wait_until_ready()
        installation: Installation = made.installation()
        installation.start_office(cpu=made.client_cpu)
        servers["gateway"] = made.server("gateway", installation)
        sent = bench.Sent()
        found: dict[str, list[bench.Sample]] = {key: [] for key in servers}
        for key, server in servers.items():
            made.sample(server, "page", 1, seconds=1, sent=sent if key == "gateway" else None)
        for _ in made.rounds():
            for key, server in servers.items():
                with installation.paused():
                    sample = made.sample(server, "page", 1, sent=sent if key == "gateway" else None)
                    found[key].append(sample)
            installation.drain()
        lines = _table(found)
        head = ("", "pages/s", "CPU µs per page", "above the bare page, µs", "times the gateway's", "what it does")
        show(console, "A recorded page", head, lines)
        note = (
            f"Medians of {options.rounds} interleaved rounds, quartiles in brackets, one core each. Left out: the "
            "work of the Matomo server itself, and of our back office (a row of its own above)."
        )
        console.print(note, style="dim")
        servers["gateway"].stop()
        made.settle(installation, sent, "gateway")
        if options.report:
            figures = load(options.report)
            micros = {key: Spread.of([one.micros for one in samples]).middle for key, samples in found.items()}
            figures["compare"] = micros
            save(options.report, figures)
            replace_part(options.report, "compare", f"{markdown(head, lines)}\n\n{note}")
        for text in made.wrong:
            console.print(f"[red]wrong:[/] {text}")
        return 1 if made.wrong else 0


def _table(found: dict[str, list[bench.Sample]]) -> list[tuple[str, ...]]:
    words = {"bare": "bare ASGI app", "gateway": "Consent Gateway"} | {peer.key: peer.words for peer in PEERS}
    does = {"bare": "nothing", "gateway": OURS} | {peer.key: peer.does for peer in PEERS}
    ours = [one.micros - base.micros for one, base in zip(found["gateway"], found["bare"], strict=True)]
    lines: list[tuple[str, ...]] = []
    for key, samples in found.items():
        above = [one.micros - base.micros for one, base in zip(samples, found["bare"], strict=True)]
        times = Spread.of([other / own for other, own in zip(above, ours, strict=True)])
        rate = Spread.of([one.rate for one in samples]).middle
        lines.append(
            (
                words[key],
                thousands(rate),
                Spread.of([one.micros for one in samples]).text(0),
                "" if key == "bare" else Spread.of(above).text(0, "+"),
                "" if key == "bare" else f"{times.middle:.1f}",
                does[key],
            )
        )
    return lines


def _peer(
    made: bench.Bench, python: str, name: str, stack: ExitStack, *, cpu: int, more: dict[str, str] | None = None
) -> Server:
    """A server of `peers.py`, under the interpreter that has the peers."""
    environment = dict(os.environ) | (more or {})
    server = Server(
        [python, str(ROOT / "load" / "peers.py"), name], cpu=cpu, log=made.home / f"{name}.log", environment=environment
    )
    stack.callback(server.stop)
    return server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter of an environment that has the peers")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--own", action="store_true", help="use the generator of our own even where wrk is installed")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write into the marked part of this Markdown file")
    options = parser.parse_args()
    options.quick = False
    console = bench.make_console()
    try:
        return run(options, console)
    except Trouble as error:
        console.print(f"[red]{error}[/]")
        return 1


if __name__ == "__main__":
    sys.exit(main())
