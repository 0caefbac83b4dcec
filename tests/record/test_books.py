"""The books: each count once, whoever died when."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from consent_gateway.record.books import Books, Tally

from .processes import end, kill_9, run, run_killed, start

EXPECTED = Counter({("shop", "received"): 50, ("shop", "accepted"): 40, ("-", "received"): 5, ("-", "dropped.x"): 5})


def count_some(folder: Path) -> Books:
    books = Books(folder)
    for (site, term), number in EXPECTED.items():
        for _ in range(number):
            books.count(site, term)
    return books


def counted(counts: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Without what the back office adds about events in flight."""
    return Counter({key: count for key, count in counts.items() if key[1] != "unanswered" and count})


def test_counts_of_the_living_are_seen(tmp_path: Path) -> None:
    books = count_some(tmp_path)
    tally = Tally(tmp_path)
    assert counted(tally.total()) == EXPECTED
    books.count("shop", "accepted", 7)
    assert tally.total()["shop", "accepted"] == 47
    tally.fold()  # it lives: nothing to take over
    assert not tally.counts and tally.total()["shop", "accepted"] == 47
    books.close()


def test_kill_9_loses_no_count(tmp_path: Path) -> None:
    for _ in range(3):
        run_killed(lambda: count_some(tmp_path))
    tally = Tally(tmp_path)
    expected = Counter({key: 3 * count for key, count in EXPECTED.items()})
    assert counted(tally.total()) == expected
    tally.fold()
    assert counted(tally.total()) == counted(tally.counts) == expected
    assert list((tmp_path / "books").glob("*.book")) == []
    assert counted(Tally(tmp_path).total()) == expected


@pytest.mark.parametrize("turned", [False, True])
def test_a_book_is_folded_once_even_when_we_die_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turned: bool
) -> None:
    """In whatever order the folder lists the books the next time."""
    for _ in range(5):
        run_killed(lambda: count_some(tmp_path))
    expected = Counter({key: 5 * count for key, count in EXPECTED.items()})

    def doomed() -> None:
        Path.unlink = lambda *_, **__: kill_9()  # type: ignore[method-assign]
        Tally(tmp_path).fold()

    assert end(start(doomed)) == -9
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, pattern: sorted(glob(self, pattern), reverse=turned))
    tally = Tally(tmp_path)
    assert tally.counts and len(list((tmp_path / "books").glob("*.book"))) == 5
    assert counted(tally.total()) == expected
    tally.fold()
    assert counted(tally.total()) == counted(Tally(tmp_path).total()) == expected


def test_a_batch_counts_once(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    for name in ("b1", "b2", "b1", "b2", "b3", "b1"):
        tally.add("forward", name, Counter({("shop", "confirmed"): 10}))
        tally = Tally(tmp_path)  # as after a restart
    tally.add("other lane", "b1", Counter({("shop", "erased"): 1}))
    assert tally.counts == {("shop", "confirmed"): 30, ("shop", "erased"): 1}


def test_the_tally_is_replaced_whole_and_stays_small(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    for number in range(300):
        tally.add("forward", f"202611-abcdefabcdef-{number:06d}", Counter({("shop", "confirmed"): 1}))
    path = tmp_path / "books" / "tally.json"
    assert json.loads(path.read_text())["counts"] == [["shop", "confirmed", 300]]
    assert path.stat().st_size < 8192
    assert [path.name for path in path.parent.iterdir()] == ["tally.json"]


def test_a_forked_child_keeps_a_book_of_its_own(tmp_path: Path) -> None:
    books = count_some(tmp_path)
    run(*[lambda: books.count("shop", "received", 100)] * 3)
    books.count("shop", "received")
    assert Tally(tmp_path).total()["shop", "received"] == 351
    books.close()
    tally = Tally(tmp_path)
    tally.fold()
    assert tally.total()["shop", "received"] == 351


def test_sites_and_terms_do_not_mix(tmp_path: Path) -> None:
    books = Books(tmp_path)
    long = "s" * 64
    for key in [("a", "bc"), ("ab", "c"), (long, "dropped.unknown_site"), ("münchen", "received")]:
        books.count(*key)
    books.count("a", "bc", 2**40)
    assert Tally(tmp_path).total() == Counter(
        {("a", "bc"): 2**40 + 1, ("ab", "c"): 1, (long, "dropped.unknown_site"): 1, ("münchen", "received"): 1}
    )
    books.close()
