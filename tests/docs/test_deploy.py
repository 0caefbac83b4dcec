"""examples/deploy: what can be shown of it without Docker, a ClickHouse server or a running systemd."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from consent_gateway import Settings
from tests.clickhouse_double import ClickHouseDouble
from tests.reference import COMMAND, ROLES, roles
from tests.running import ENV_PREFIX, ROOT, Site

DEPLOY = ROOT / "examples" / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNITS = ("consent-gateway.service", "shop.service")
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `secrets.sh` makes."""
    folder = tmp_path_factory.mktemp("deploy")
    shutil.copy(DEPLOY / "secrets.sh", folder)
    assert subprocess.run(["./secrets.sh"], cwd=folder, capture_output=True).returncode == 0
    assert subprocess.run(["./secrets.sh"], cwd=folder, capture_output=True).returncode == 1, "it makes them once"
    return folder / "secrets"


def env_file(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def settings(values: dict[str, str]) -> Settings:
    return Settings(
        **{name.removeprefix(ENV_PREFIX): value for name, value in values.items() if name.startswith(ENV_PREFIX)}
    )


def test_the_settings_of_the_containers_are_some(secrets: Path) -> None:
    for name in ("shop", "office"):
        found = settings(SERVICES[name]["environment"] | env_file(secrets / "shop.env"))
        assert found.dsn.startswith("clickhouses://consent_gateway:") and "@clickhouse:8443" in found.dsn
        assert found.BACK_OFFICE == "external" and found.site_names == {"shop"}
        assert not found.several_hosts


def test_every_container_is_closed() -> None:
    for name, one in SERVICES.items():
        assert one["read_only"] is True and one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"] and "privileged" not in one, name
        assert "eu.shop.region" in one["labels"], name
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", [])), name
    assert "ports" not in SERVICES["clickhouse"] and SERVICES["clickhouse"]["user"] == "101:101"
    assert all("eu.shop.region" in volume["labels"] for volume in COMPOSE["volumes"].values())


def test_what_is_mounted_is_there(secrets: Path) -> None:
    for name, one in SERVICES.items():
        for source in (volume.partition(":")[0] for volume in one["volumes"]):
            if source.startswith("./secrets/"):
                assert (secrets / source.removeprefix("./secrets/")).exists(), (name, source)
            elif source.startswith("./"):
                assert (DEPLOY / source).exists(), (name, source)
            else:
                assert source in COMPOSE["volumes"], (name, source)


def test_the_image_copies_what_is_there_runs_as_nobody_and_pins_versions() -> None:
    let_in = set(re.findall(r"^!(\S+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE))
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists() and source in let_in, source
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE) and "-c constraints.txt" in DOCKERFILE
    assert DOCKERFILE.index("USER 10001") < DOCKERFILE.index("\nCMD ") and "HEALTHCHECK" in DOCKERFILE


def test_the_roles_are_those_of_the_command_and_the_engine_understands_the_users(secrets: Path, tmp_path: Path) -> None:
    printed = ROLES.read_text()
    assert printed == roles(), f"run: {COMMAND}"
    script = (DEPLOY / "clickhouse" / "users.sh").read_text()
    (sql,) = re.findall(r"<<SQL\n(.*?)^SQL$", script, re.MULTILINE | re.DOTALL)
    for name, value in env_file(secrets / "clickhouse.env").items():
        sql = sql.replace(f"${name}", value)
    assert "$" not in sql and sql.count("sha256_hash BY '") == 2
    parse = (
        "import sys, clickhouse_connect\nclient = clickhouse_connect.get_client(dsn=f'chdb://{sys.argv[1]}')\n"
        "for one in filter(str.strip, sys.stdin.read().split(';')): client.query('EXPLAIN AST ' + one)"
    )
    line = [sys.executable, "-c", parse, str(tmp_path / "engine")]
    done = subprocess.run(line, input=sql, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    granted = set(re.findall(r"^GRANT (\w+) TO", sql, re.MULTILINE))
    assert granted == set(re.findall(r"CREATE ROLE OR REPLACE (\w+)", printed))


class Tls:
    """TLS in front of the double, with the store's certificate: as a server has it at its port 8443."""

    def __init__(self, secrets: Path, behind: tuple[str, int]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(secrets / "server.pem", secrets / "server.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._context, self._behind = context, behind
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            with (
                self._context.wrap_socket(plain, server_side=True) as line,
                socket.create_connection(self._behind) as back,
            ):
                threading.Thread(target=self._pass, args=(back, line), daemon=True).start()
                self._pass(line, back)
        except OSError:  # a client that refused our certificate
            return

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):  # ValueError: the other thread has ended TLS
            return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def tls(secrets: Path, tmp_path: Path) -> Iterator[Tls]:
    with ClickHouseDouble(tmp_path / "double") as double:
        host, port = double.dsn.rpartition("@")[2].removeprefix("clickhouse://").split(":")
        tls = Tls(secrets, (host, int(port.partition("/")[0])))
        yield tls
        tls.close()


def test_events_reach_a_store_behind_tls_with_an_authority_of_ones_own(
    secrets: Path, tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = env_file(secrets / "shop.env")[f"{ENV_PREFIX}DSN"].replace("@clickhouse:8443", f"@127.0.0.1:{tls.port}")
    with Site(tmp_path / "stranger", SITE="shop", DSN=dsn) as site:  # who does not know the authority sends nothing
        site.get("/", BROWSER)
        site.wait_for("the refusal", lambda: "certificate verify failed" in site.log())
        assert any(any((site.data_dir / "spool" / name).iterdir()) for name in ("open", "sealed"))  # the way they go
    monkeypatch.setenv("SSL_CERT_FILE", str(secrets / "authority.pem"))
    with Site(tmp_path / "shop", SITE="shop", DSN=dsn) as site:
        site.get("/", BROWSER)
        site.forwarded()
        assert site.office("GET", "/store")["rows"] == 1
        site.stop()


def test_the_settings_of_the_units_are_some() -> None:
    found = settings(env_file(DEPLOY / "shop.env"))
    assert found.BACK_OFFICE == "external" and found.embedded
    for unit in UNITS:
        text = (DEPLOY / unit).read_text()
        assert "EnvironmentFile=/etc/shop.env" in text and "RemoveIPC=no" in text
        assert str(found.DATA_DIR).startswith("/var/lib/shop/") and "StateDirectory=shop" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_knows_every_line_and_finds_little_exposed(unit: str, tmp_path: Path) -> None:
    there = tmp_path / unit
    there.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={shutil.which('true')}", (DEPLOY / unit).read_text()))
    environment = os.environ | {"SYSTEMD_COLORS": "0"}
    checked = subprocess.run(["systemd-analyze", "verify", str(there)], capture_output=True, text=True, env=environment)
    assert checked.returncode == 0 and unit not in checked.stderr, checked.stderr
    line = ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(there)]
    assert subprocess.run(line, capture_output=True, env=environment).returncode == 0
