"""What the script costs a page, in Debian's Chromium with its processor slowed down four times, beside others'.

    python load/browser.py                                  # a table on the screen, some minutes
    python load/browser.py --report docs/comparison.md      # and into that document
    python load/browser.py --file umami=script.js           # a script that npm does not have, from a file

One server gives the same page with one subject in its head: nothing, ours, another. Others are fetched with `npm pack`
into a temporary folder, which goes at the end, and set up as their documentation does (`load/others/`). Each load is a
first visit in a profile of its own; subjects take turns, so that a slow moment of the machine falls on all alike.
Measured are, per load:

- the bytes of its scripts and style sheets, each compressed by gzip -9;
- script time: CPU time of the page's main thread in evaluating, compiling and running scripts (also what they make the
  browser do at once: building elements, parsing a style sheet, layout that they ask for, garbage collection), from
  Chromium's own trace, up to a second after the network is idle, without what the same page without a subject takes.
  Not in it: style, layout and paint afterwards, and what other threads compile. Slowed down four times, and as it is: a
  slowed thread is kept busy for three times as long as it ran, by the clock, so waiting for another process counts four
  times, and on a machine that has more to do, so does what else it did. The latter is the steadier figure;
- long tasks (over 50 ms), layout shift (the sum over the page), and requests beyond the page itself.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402

from load import figures  # noqa: E402
from load.devtools import Chromium  # noqa: E402
from load.subjects import SUBJECTS, Subject, with_file  # noqa: E402
from tests.running import Site  # noqa: E402

SLOWDOWN = 4
QUIET_SECONDS = 1.0
_CATEGORIES = ["devtools.timeline", "v8.execute"]  # the promises' callbacks are in the latter
_SCRIPT = {
    "EvaluateScript", "v8.compile", "v8.compileModule", "v8.evaluateModule", "FunctionCall", "RunMicrotasks",
    "EventDispatch", "TimerFire", "FireAnimationFrame",
}  # fmt: skip
# asked when the trace has ended
_SEEN = """(async () => {
  const buffered = (type) => new Promise((resolve) => {
    new PerformanceObserver((list) => resolve(list.getEntries())).observe({ type, buffered: true });
    setTimeout(resolve, 500, []);
  });
  return {
    long: (await buffered("longtask")).length,
    shift: (await buffered("layout-shift")).reduce((sum, { value }) => sum + value, 0),
    requests: performance.getEntriesByType("resource").map(({ name }) => name),
  };
})()"""
HEAD = (
    "",
    "version",
    "gzip, kB",
    "files",
    "script, ms",
    "least",
    "not slowed",
    "long tasks",
    "layout shift",
    "requests",
)


@dataclass(slots=True)
class Load:
    """What one load showed."""

    script_ms: float
    unslowed_ms: float
    long_tasks: int
    shift: float
    requests: list[str]


def script_ms(events: Iterable[Mapping[str, Any]], url: str) -> float:
    """CPU time in scripts on the main thread of the page's process (the browser has pages of its own in others):
    outermost events only, so that nothing counts twice."""
    events = list(events)
    names = {(event["pid"], event["tid"]) for event in events if _names_main(event)}
    pids = {event["pid"] for event in events if event.get("name") == "ParseHTML" and url in json.dumps(event["args"])}
    mains = {thread for thread in names if thread[0] in pids}
    ran = [
        event
        for event in events
        if event.get("ph") == "X" and event.get("name") in _SCRIPT and (event["pid"], event["tid"]) in mains
    ]
    total, until = 0.0, dict[tuple[int, int], float]()
    for event in sorted(ran, key=lambda event: (float(event["ts"]), -float(event.get("dur", 0)))):
        thread = event["pid"], event["tid"]
        if event["ts"] >= until.get(thread, 0):
            until[thread] = event["ts"] + event.get("dur", 0)
            total += event.get("tdur", event.get("dur", 0))
    return total / 1000


def _names_main(event: Mapping[str, Any]) -> bool:
    return event.get("name") == "thread_name" and event["args"]["name"] == "CrRendererMain"


def visit(chromium: Chromium, url: str, slowdown: float = SLOWDOWN) -> tuple[float, Any]:
    """One first visit: its script time, and what the page saw of it."""
    context = chromium.call("Target.createBrowserContext")["browserContextId"]
    target = chromium.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
    session = chromium.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    chromium.call("Emulation.setCPUThrottlingRate", session, rate=slowdown)
    chromium.call("Page.enable", session)
    chromium.call("Page.setLifecycleEventsEnabled", session, enabled=True)
    chromium.trace(_CATEGORIES)
    loader = chromium.call("Page.navigate", session, url=url)["loaderId"]
    chromium.wait_for("Page.lifecycleEvent", name="networkIdle", loaderId=loader)
    time.sleep(QUIET_SECONDS)
    spent = script_ms(chromium.traced(), url)
    seen = chromium.evaluate(session, _SEEN)
    chromium.call("Target.disposeBrowserContext", browserContextId=context)
    return spent, seen


def compressed(url: str) -> int:
    """The bytes of a script or a style sheet as gzip -9 sends it."""
    with urlopen(url) as answer:
        return len(gzip.compress(answer.read(), 9, mtime=0))


def unpack(package: str, folder: Path) -> str:
    """Fetch a package with npm and unpack it; its version, or why it can't be had after a leading `!`."""
    folder.mkdir(parents=True)
    try:
        done = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, capture_output=True, timeout=180)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"!{error}"
    if done.returncode:
        return f"!npm has no {package} for us"
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return str(json.loads((folder / "package" / "package.json").read_text())["version"])


def measure(chromium: Chromium, url: str, subjects: Sequence[Subject], loads: int) -> dict[str, list[Load]]:
    found: dict[str, list[Load]] = {subject.name: [] for subject in subjects}
    for _ in range(loads):
        for subject in subjects:
            unslowed, _ = visit(chromium, f"{url}/{subject.key}", 1)
            spent, seen = visit(chromium, f"{url}/{subject.key}")
            found[subject.name].append(
                Load(spent, unslowed, seen["long"], seen["shift"], sorted(seen["requests"])),
            )
    return found


def row(subject: Subject, version: str, loads: Sequence[Load], bare: Sequence[Load]) -> tuple[str, ...]:
    """A line of the table; of script time what the subject adds to the bare page."""
    base, unslowed = median(load.script_ms for load in bare), median(load.unslowed_ms for load in bare)
    if loads is bare:
        base = unslowed = 0.0
    spent = figures.Spread.of([load.script_ms - base for load in loads])
    requests = [url for url in loads[-1].requests if "/setup/" not in url]
    sizes = [compressed(url) for url in requests if urlsplit(url).path.endswith((".js", ".css"))]
    return (
        subject.name,
        version,
        f"{sum(sizes) / 1000:.1f}",
        str(len(sizes)),
        spent.text(1),
        f"{min(load.script_ms for load in loads) - base:.1f}",
        figures.Spread.of([load.unslowed_ms - unslowed for load in loads]).text(1),
        f"{median(load.long_tasks for load in loads):g}",
        f"{median(load.shift for load in loads):.3f}",
        str(len(requests)),
    )


def run(options: argparse.Namespace, console: Console) -> int:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        console.print("There is no chromium here: apt install chromium")
        return 1
    subjects = [*SUBJECTS, *(with_file(*text.split("=", 1)) for text in options.file)]
    chosen = [subject for subject in subjects if not options.only or subject.key in ("bare", *options.only)]
    with tempfile.TemporaryDirectory() as folder:
        others, versions = Path(folder) / "others", dict[str, str]()
        for subject in chosen:
            if subject.package:
                console.print(f"Fetching {subject.package} …")
                versions[subject.key] = unpack(subject.package, others / subject.key)
            elif subject.file:
                (others / subject.key).mkdir(parents=True)
                shutil.copy(subject.file, others / subject.key / "script.js")
        missing = {key: why[1:] for key, why in versions.items() if why.startswith("!")}
        chosen = [subject for subject in chosen if subject.key not in missing]
        site = Site(Path(folder) / "site", "load.subjects:site", BACK_OFFICE="external", EXCLUDE_PATHS="/others")
        site.environment["OTHERS"] = str(others)
        with site, Chromium(path) as chromium:
            console.print(f"{options.loads} loads of each of {len(chosen)} subjects …")
            found = measure(chromium, site.url, chosen, options.loads)
            product = chromium.call("Browser.getVersion")["product"].replace("Headless", "").replace("/", " ")
            words = f"{product}, {SLOWDOWN} times slowed down, {options.loads} first visits each"
            rows = [
                row(subject, versions.get(subject.key, ""), found[subject.name], found["bare page"])
                for subject in chosen
            ]
    figures.show(console, words, HEAD, rows)
    notes = [f"{key}: {why}" for key, why in missing.items()]
    for note in notes:
        console.print(note)
    if options.report:
        text = f"{words}; median, and quartiles in brackets.\n\n{figures.markdown(HEAD, rows)}"
        figures.replace_part(options.report, "measured", "\n\n".join([text, *notes]))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=11, help="visits of each page")
    parser.add_argument(
        "--only", nargs="*", default=[], help="subjects, by their key: " + " ".join(s.key for s in SUBJECTS)
    )
    parser.add_argument("--file", action="append", default=[], help="NAME=FILE: one more script, from a file")
    parser.add_argument("--report", type=Path, help="a Markdown file whose part `measured` is made anew")
    return run(parser.parse_args(), Console())


if __name__ == "__main__":
    sys.exit(main())
