"""Seen from outside: health, metrics and doctor."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.cli.test_commands import FIREFOX, run
from tests.running import Site

TOKEN = "a-token-of-some-length"
AGENT = {"User-Agent": FIREFOX}


def samples(text: str) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


def test_metrics_speak_for_all_workers_and_of_no_visitor(run_site: Callable[..., Site]) -> None:
    site = run_site(SITE="shop", METRICS_TOKEN=TOKEN, workers=2)
    event = {"type": "custom", "url": "https://shop.example/secret-page", "name": "order", "id": "0123456789abcdef"}
    began = time.monotonic()
    for _ in range(3):
        assert site.post("/_cg/events", event, AGENT).status == 204
    assert site.post("/_cg/events", {"type": "nonsense"}, AGENT).status == 422
    took = time.monotonic() - began
    site.get("/page/private-thing", AGENT)
    site.forwarded()
    answer = site.get("/_cg/metrics", {"Authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    assert found["consent_gateway_events_received_total", "shop"] == 5
    assert found["consent_gateway_events_accepted_total", "shop"] == 2
    assert found["consent_gateway_events_confirmed_total", "shop"] == 2
    assert found["consent_gateway_events_dropped_total", "duplicate", "shop"] == 2
    assert found["consent_gateway_events_dropped_total", "invalid", "shop"] == 1
    assert found["consent_gateway_event_seconds_count",] == 4
    assert 0 < found["consent_gateway_event_seconds_sum",] < took
    assert found["consent_gateway_spool_segments", "aside"] == 0
    assert found["consent_gateway_store_up",] == 1
    for secret in ("secret-page", "private-thing", "order", "127.0.0", "0123456789abcdef", "Firefox"):
        assert secret not in answer.text


def test_metrics_are_not_for_everybody(run_site: Callable[..., Site]) -> None:
    closed = run_site(SITE="shop", METRICS_TOKEN=TOKEN)
    assert closed.get("/_cg/metrics").status == 403
    assert closed.get("/_cg/metrics", {"Authorization": "Bearer wrong"}).status == 403
    assert closed.get("/_cg/metrics", {"Authorization": "Bearer "}).status == 403
    assert closed.get("/_cg/health").text == "ok"
    opened = run_site(SITE="shop", METRICS_NETWORKS="127.0.0.0/8")
    opened.forwarded()
    assert opened.get("/_cg/metrics").status == 200
    assert opened.get("/_cg/health").json()["pending"] == 0
    nobody = run_site(SITE="shop", BACK_OFFICE="external")
    assert nobody.get("/_cg/metrics", {"Authorization": "Bearer "}).status == 403, "an empty token is none"


def test_doctor_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    with Site(tmp_path / "site", SITE="shop") as site:
        site.get("/", AGENT)
        site.forwarded()
        own = {"DATA_DIR": str(site.data_dir), "KEYS_DIR": str(site.keys_dir)}
        well = run(tmp_path, "doctor", **own)
        assert well.returncode == 0, well.stdout + well.stderr
        found = "an address sent through the gateway was found in no file and not by the site"
        for words in ("the books of shop balance", found, "ClickHouse"):
            assert words in well.stdout
        assert "✗" not in well.stdout
        (site.keys_dir / "receipt").chmod(0o644)
        (site.data_dir / "spool" / "sealed" / "202611-aaaabbbbcccc-000001").write_bytes(b"rubbish\n")
        site.office("POST", "/forward")
        ill = run(tmp_path, "doctor", **own)
        assert ill.returncode == 1
        assert "others may read" in ill.stdout and "chmod" in ill.stdout
        assert "202611-aaaabbbbcccc-000001" in ill.stdout


def test_health_tells_how_long_the_oldest_waits(run_site: Callable[..., Site]) -> None:
    site = run_site(SITE="shop", METRICS_NETWORKS="127.0.0.0/8", DSN="clickhouse://127.0.0.1:1")
    site.get("/", AGENT)
    site.wait_for("the back office", site.office_answers)
    site.wait_for("a failure to be told", lambda: site.get("/_cg/health").json()["last_error"])
    site.wait_for("the event to wait", lambda: site.get("/_cg/health").json()["oldest_seconds"] > 0)
    assert "no connection to the store" in site.get("/_cg/health").json()["last_error"]
    assert samples(site.get("/_cg/metrics").text)["consent_gateway_store_up",] == 0
    assert site.get("/", AGENT).status == 200, "the site does not care"
