"""Uploading to a private index: a real pypiserver that asks for a password, real twine, pip that installs from it."""

from __future__ import annotations

import base64
import hashlib
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import requests

import fakewheels
from tfwheel.config.paths import ROOT
from tfwheel.errors import PublishError
from tfwheel.index.errors import NameTakenError
from tfwheel.publish import twine_upload
from tfwheel.publish.errors import CredentialsMissingError, CredentialsRefusedError
from tfwheel.system import files
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from tfwheel.wheel import records
from tfwheel.wheel.errors import IndexEntryError
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = "2.20.0+cu125.1"
USER, SECRET, WRONG = "uploader", "s3cr3t-of-the-index", "not-the-password"
IN_HEADER = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running pypiserver, and the folder that it keeps packages in."""

    address: str
    folder: Path

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(folder: Path, *options: str) -> Iterator[Server]:
    packages, htpasswd, port = folder / "packages", folder / "htpasswd", free_port()
    packages.mkdir(parents=True)
    digest = base64.b64encode(hashlib.sha1(SECRET.encode(), usedforsecurity=False).digest()).decode()
    htpasswd.write_text(f"{USER}:{{SHA}}{digest}\n")
    argv = [sys.executable, "-m", "pypiserver", "run", "--interface", "127.0.0.1", "--port", str(port)]
    argv += ["--passwords", str(htpasswd), "--disable-fallback", "--server", "wsgiref", *options, str(packages)]
    with (folder / "server.log").open("w") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        address = f"http://127.0.0.1:{port}/"
        try:
            while True:
                assert process.poll() is None, (folder / "server.log").read_text()
                with suppress(requests.ConnectionError):
                    requests.get(address, timeout=30)
                    break
                time.sleep(0.1)
            yield Server(address=address, folder=packages)
        finally:
            process.terminate()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Server]:
    """An index that asks for a password whatever one does there."""
    yield from serve(tmp_path / "index", "--authenticate", "update,list,download")


@pytest.fixture
def open_index(tmp_path: Path) -> Iterator[Server]:
    """An index that everybody may read."""
    yield from serve(tmp_path / "open", "--authenticate", "update")


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever this machine knows of passwords is out of reach."""
    for name in ("TWINE_USERNAME", "TWINE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINE_USERNAME", USER)
    monkeypatch.setenv("TWINE_PASSWORD", SECRET)


@pytest.fixture
def door(tmp_path: Path) -> Path:
    """The program, in a checkout of its own."""
    for name in ("scripts", "build_config"):
        shutil.copytree(ROOT / name, tmp_path / "checkout" / name)
    return tmp_path / "checkout" / "scripts" / "upload_wheels.py"


def wheel_of(folder: Path, *, body: bytes = b"VALUE = 1\n", project: str = "tensorflow", passed: bool = True) -> Path:
    """A small finished wheel that any Python installs, with its record."""
    wheel = fakewheels.write_wheel(
        folder, {f"{project}/__init__.py": body}, name=project, version=VERSION, tag="py3-none-any"
    )
    sha256 = files.sha256_of(wheel)
    record = Record(
        target="tf2.20.0-cp312-cu12",
        project=project.replace("_", "-"),
        version=VERSION,
        line="cu12",
        python="3.12",
        file=wheel.name,
        sha256=sha256,
        size=wheel.stat().st_size,
        key="k",
        smoke={"passed": passed, "wheel_sha256": sha256, "gpu": "absent", "reason": "it is wrong"},
    )
    records.save(record, wheel)
    return wheel


def upload(server: Server, *wheels: Path, log: Path) -> list[str]:
    return twine_upload.upload(wheels, address=server.address, log=log)


# --- with the right password -----------------------------------------------------------------------------


@pytest.mark.usefixtures("account")
def test_wheels_are_uploaded_once_and_pip_installs_them(index: Server, tmp_path: Path) -> None:
    wheels = [wheel_of(tmp_path / "a"), wheel_of(tmp_path / "b", project="tfwheel_ops")]
    log = tmp_path / "dist" / "logs" / "upload.log"
    assert upload(index, *wheels, log=log) == [f"{wheel.name} uploaded" for wheel in wheels]
    assert index.files == sorted(wheel.name for wheel in wheels)
    assert files.sha256_of(index.folder / wheels[0].name) == files.sha256_of(wheels[0])
    assert "twine upload" in log.read_text()

    again = upload(index, *wheels, log=log)
    assert again == [f"{wheel.name} is there already, with the same bytes" for wheel in wheels]
    assert not log.exists()  # twine was not even started

    target = tmp_path / "installed"
    where = index.address.replace("//", f"//{USER}:{SECRET}@") + "simple/"
    argv = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"]
    run([*argv, "--index-url", where, "--target", target, f"tensorflow=={VERSION}"])
    assert (target / "tensorflow" / "__init__.py").read_text() == "VALUE = 1\n"


@pytest.mark.usefixtures("account")
def test_other_bytes_under_the_same_name_are_refused_before_anything_is_sent(index: Server, tmp_path: Path) -> None:
    first = wheel_of(tmp_path / "a")
    upload(index, first, log=tmp_path / "log")
    with pytest.raises(NameTakenError, match=r"is there already with sha256 .*; it cannot become") as caught:
        upload(index, wheel_of(tmp_path / "b", body=b"VALUE = 2\n"), log=tmp_path / "log")
    assert "Raise `build`" in caught.value.remedy
    assert files.sha256_of(index.folder / first.name) == files.sha256_of(first)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(("algorithm", "digests"), [("md5", True), ("sha512", True), ("off", False)])
def test_the_digest_that_the_index_gives_is_the_one_compared(tmp_path: Path, algorithm: str, digests: bool) -> None:  # noqa: FBT001
    wheel = wheel_of(tmp_path / "a")
    servers = serve(tmp_path / "other", "--authenticate", "update", "--hash-algo", algorithm)
    server = next(servers)
    upload(server, wheel, log=tmp_path / "log")
    if digests:
        assert "is there already" in upload(server, wheel, log=tmp_path / "log")[0]
    else:
        with pytest.raises(NameTakenError, match="gives no digest to compare"):
            upload(server, wheel, log=tmp_path / "log")
    assert next(servers, None) is None


@pytest.mark.usefixtures("account")
def test_the_upload_goes_on_where_it_broke_off(index: Server, tmp_path: Path) -> None:
    good, bad = wheel_of(tmp_path / "a"), wheel_of(tmp_path / "b", project="tfwheel_ops")
    upload(index, good, log=tmp_path / "log")
    assert [line.rpartition(" ")[2] for line in upload(index, good, bad, log=tmp_path / "log")] == ["bytes", "uploaded"]


@pytest.mark.usefixtures("account")
def test_a_wheel_that_did_not_pass_keeps_all_of_them_here(index: Server, tmp_path: Path) -> None:
    good, bad = wheel_of(tmp_path / "a"), wheel_of(tmp_path / "b", project="tfwheel_ops", passed=False)
    with pytest.raises(IndexEntryError, match="its smoke test failed: it is wrong"):
        upload(index, good, bad, log=tmp_path / "log")
    altered = wheel_of(tmp_path / "c", project="tfwheel_ops")
    altered.write_bytes(altered.read_bytes() + b"\0")
    with pytest.raises(IndexEntryError, match="does not have the recorded"):
        upload(index, good, altered, log=tmp_path / "log")
    assert index.files == []


# --- without, and with a wrong one -----------------------------------------------------------------------


def test_without_an_account_nothing_is_sent(index: Server, tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissingError, match="Credential not found for username"):
        upload(index, wheel_of(tmp_path / "a"), log=tmp_path / "log")
    assert "POST" not in (tmp_path / "index" / "server.log").read_text()
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("password", [None, ""])
def test_a_name_alone_is_not_enough(
    index: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str | None
) -> None:
    monkeypatch.setenv("TWINE_USERNAME", USER)
    if password is not None:
        monkeypatch.setenv("TWINE_PASSWORD", password)
    with pytest.raises(CredentialsMissingError, match="Credential not found for password"):
        upload(index, wheel_of(tmp_path / "a"), log=tmp_path / "log")


@pytest.mark.parametrize("kind", ["index", "open_index"])
def test_a_wrong_password_is_said_to_be_wrong(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Server = request.getfixturevalue(kind)
    monkeypatch.setenv("TWINE_USERNAME", USER)
    monkeypatch.setenv("TWINE_PASSWORD", WRONG)
    with pytest.raises(CredentialsRefusedError, match="answers 403: it rejects this name and password"):
        upload(server, wheel_of(tmp_path / "a"), log=tmp_path / "log")
    assert server.files == []


def test_a_keyring_may_have_the_password(
    index: Server, door: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "keys"))
    keep = "import keyring, sys; keyring.set_password(sys.argv[1], sys.argv[2], sys.argv[3])"
    run([sys.executable, "-c", keep, index.address, USER, SECRET])
    wheel = wheel_of(tmp_path / "a")
    words = [sys.executable, door, "--repository-url", index.address, wheel]
    run(words, env={"TWINE_USERNAME": USER})
    assert index.files == [wheel.name]


# --- what is said ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [SECRET, WRONG])
def test_no_output_and_no_log_has_the_password(index: Server, door: Path, tmp_path: Path, password: str) -> None:
    wheel = wheel_of(tmp_path / "a")
    log = door.parents[1] / "dist" / "logs" / "upload.log"
    env = {"TWINE_USERNAME": USER, "TWINE_PASSWORD": password}
    argv = [sys.executable, door, "--verbose", "--repository-url", index.address, wheel]
    if password == SECRET:
        said = run(argv, env=env)
    else:
        with pytest.raises(CommandError) as caught:
            run(argv, env=env)
        said = caught.value.output
        assert caught.value.returncode == CredentialsRefusedError.exit_code
    said += log.read_text()
    assert "twine upload" in said
    for secret in (password, base64.b64encode(f"{USER}:{password}".encode()).decode()):
        assert secret not in said
        assert secret not in (tmp_path / "index" / "server.log").read_text()
        assert secret not in str(twine_upload.Account(name=USER, password=password))


# --- other indexes ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("account")
def test_an_index_that_shows_no_pages_has_the_last_word(
    open_index: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wheel = wheel_of(tmp_path / "a")
    elsewhere = f"http://127.0.0.1:{free_port()}/simple/"

    def send() -> list[str]:
        return twine_upload.upload([wheel], address=open_index.address, pages=elsewhere, log=tmp_path / "log")

    assert send() == [f"{wheel.name} uploaded"]
    assert "uploading without checking the existing files" in capfd.readouterr().err
    with pytest.raises(
        PublishError, match=r"400 Bad Request .* an index may also answer this if it already has a file of that name"
    ):
        send()


@pytest.mark.usefixtures("account")
def test_an_index_that_is_not_there_is_named(tmp_path: Path) -> None:
    nowhere = Server(address=f"http://127.0.0.1:{free_port()}/", folder=tmp_path)
    with pytest.raises(PublishError, match=r"did not accept tensorflow-.*Connection refused.*log: "):
        upload(nowhere, wheel_of(tmp_path / "a"), log=tmp_path / "log")
