"""How processes of a host find each other: the locks, and the back office's socket."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consent_gateway.record.office import Lock, call, listen
from consent_gateway.rule.errors import OfficeError

from .processes import end, kill_9, run, start

ANSWER = (
    b"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nSet-Cookie: a=b\r\nServer: secret\r\nX-Inner: secret\r\n"
    b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"
)


@contextmanager
def answering(data_dir: Path, answer: bytes, asked: list[bytes]) -> Iterator[None]:
    """A back office that answers once, with these bytes."""
    server = listen(data_dir)
    server.settimeout(30)

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            data = connection.recv(65536)
            head = data.partition(b"\r\n\r\n")[0]
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
            while len(data) < len(head) + 4 + length:  # a body may come in a piece of its own
                data += connection.recv(65536)
            asked.append(data)
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        server.close()


@pytest.mark.parametrize("depth", [0, 1, 8])
def test_a_question_and_its_answer_below_any_path(tmp_path: Path, depth: int) -> None:
    """The kernel takes 108 bytes as a socket's path; a data directory may be longer."""
    data_dir = tmp_path.joinpath(*["a-folder-with-a-name-of-some-length"] * depth)
    data_dir.mkdir(parents=True, exist_ok=True)
    asked: list[bytes] = []
    with answering(data_dir, ANSWER, asked):
        status, headers, body = call(data_dir, "GET", "/stats", {"site": "a b"}, headers={"Cookie": "c=d"})
    assert (status, headers, body) == (201, {"Content-Type": "text/plain", "Set-Cookie": "a=b"}, b"hello")
    assert asked[0].startswith(b"GET /stats?site=a+b HTTP/1.1\r\n") and b"Cookie: c=d\r\n" in asked[0]
    assert os.listdir(data_dir) == ["office.sock"]


def test_a_form_reaches_the_back_office_whole(tmp_path: Path) -> None:
    asked: list[bytes] = []
    with answering(tmp_path, ANSWER, asked):
        call(tmp_path, "POST", "/sign-in", body=b"name=a&b=c", headers={"Content-Type": "text/x-form"})
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert body == b"name=a&b=c" and b"Content-Length: 10" in head and b"text/x-form" in head


def test_the_socket_is_this_users_alone_and_replaces_a_dead_ones(tmp_path: Path) -> None:
    for _ in range(2):
        before = os.umask(0)
        try:
            server = listen(tmp_path)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "office.sock").stat().st_mode) == 0o600
        assert isinstance(server, socket.socket)
        server.close()  # as by kill -9: the file stays


@pytest.mark.parametrize(
    "answer", [b"", b"rubbish\r\n\r\n", ANSWER[:-2], b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
def test_half_an_answer_is_none(tmp_path: Path, answer: bytes) -> None:
    with answering(tmp_path, answer, []), pytest.raises(OfficeError, match="does not answer"):
        call(tmp_path, "GET", "/health")


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(OfficeError, match="does not answer"):
        call(tmp_path, "GET", "/health")
    listen(tmp_path).close()  # dead, its file is left
    with pytest.raises(OfficeError, match="does not answer"):
        call(tmp_path, "GET", "/health")
    with pytest.raises(OfficeError, match="does not answer"):
        call(tmp_path / "nowhere", "GET", "/health")
    server = listen(tmp_path)  # alive, and silent
    with pytest.raises(OfficeError, match="does not answer"):
        call(tmp_path, "GET", "/health", timeout=0.05)
    server.close()


def test_no_handle_is_left_behind(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        with pytest.raises(OfficeError):
            call(tmp_path, "GET", "/health")
    assert len(os.listdir("/proc/self/fd")) == len(before)


def others_can(folder: Path, *, shared: bool) -> bool:
    return end(start(lambda: os._exit(0 if Lock(folder, "office").take(shared=shared) else 7))) == 0


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "data", "office")
    assert lock.take()
    assert not others_can(tmp_path / "data", shared=False) and not others_can(tmp_path / "data", shared=True)
    lock.free()
    assert others_can(tmp_path / "data", shared=False)
    lock.free()  # again: nothing happens
    assert stat.S_IMODE((tmp_path / "data" / "office.lock").stat().st_mode) == 0o600


def test_a_shared_lock_is_held_by_many(tmp_path: Path) -> None:
    one, other = Lock(tmp_path, "office"), Lock(tmp_path, "office")
    assert one.take(shared=True) and other.take(shared=True)
    assert others_can(tmp_path, shared=True) and not others_can(tmp_path, shared=False)
    one.free()
    assert not others_can(tmp_path, shared=False)
    other.free()
    assert others_can(tmp_path, shared=False)


def test_a_lock_ends_with_its_holder_however_it_dies(tmp_path: Path) -> None:
    (read, write), (go, let_go) = os.pipe(), os.pipe()

    def hold() -> None:
        assert Lock(tmp_path, "office").take()
        os.write(write, b"!")
        os.read(go, 1)
        kill_9()

    child = start(hold)
    assert os.read(read, 1) == b"!"
    lock = Lock(tmp_path, "office")
    assert not lock.take()
    threading.Timer(0.2, os.write, (let_go, b"!")).start()
    assert lock.take(wait=True)
    assert end(child) == -9
    lock.free()
    run(lambda: None)
    for handle in (read, write, go, let_go):
        os.close(handle)
