"""The served doctor.py as users run it: `curl … | python3 -` on each Python that is here, against a served index."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fakewheels
import needs
import pagedata
from tfwheel.config import build_config
from tfwheel.config.paths import ROOT
from tfwheel.doctor import installing, listing, probes
from tfwheel.doctor.listing import ListingError
from tfwheel.index import atomic_tree, doctor_file, ledger, manifest, server, site
from tfwheel.index.site import SiteContent
from tfwheel.system import interpreters
from tfwheel.system.errors import InterpreterMissingError
from tfwheel.system.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOGS = ROOT / "tests" / "data" / "logs"
THIS = f"{sys.version_info[0]}.{sys.version_info[1]}"
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def python_of(version: str) -> Path:
    try:
        return interpreters.find(version)
    except InterpreterMissingError:
        pytest.skip(f"there is no Python {version} here: run `uv python install {version}`")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index as `nox -s serve` has it: no base URL, pages and wheels below one address."""
    entries = sorted(pagedata.release(), key=lambda entry: entry.place)
    known = ledger.parse(b"".join(ledger.encode(entry) + b"\n" for entry in entries), name="x")
    settings = build_config.load()
    nowhere = settings.index.model_copy(update={"base_url": ""})
    content = SiteContent(settings=replace(settings, index=nowhere), documents=ROOT / "none")
    folder = tmp_path_factory.mktemp("index") / "site"
    atomic_tree.update(folder, site.parts(known, content), seal=manifest.seal)
    with server.serve(folder) as url:
        yield url


def piped(address: str, python: Path | str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a user types: fetch and run, in a shell that fails if either does."""
    curl = needs.programs("curl")[0]
    line = f'set -o pipefail; {curl} -fsSL "$0" | "$1" - "${{@:2}}"'
    argv = ["bash", "-c", line, f"{address}doctor.py", str(python), *words]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("COLAB", "JPY", "COVERAGE"))}
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120, env=kept | variables)


@pytest.mark.parametrize("version", PYTHONS)
def test_it_runs_on_every_python_and_says_one_command_or_what_to_do(address: str, version: str) -> None:
    done = piped(address, python_of(version), "--index", address, "--no-probes")
    served = version in ("3.11", "3.12", "3.13")
    assert (done.returncode, done.stderr) == (0 if served else 1, "")
    assert done.stdout.count(f'    pip install --extra-index-url {address}cpu/ "tensorflow==2.20.0+cpu.1"') == served
    assert (f"No wheel here is for Python {version}" in done.stdout) is not served
    assert f"Python {version}." in done.stdout


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8"])
def test_an_older_python_is_told_so_with_a_code_of_its_own(address: str, version: str) -> None:
    done = piped(address, python_of(version))
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr == (
        f"doctor: this program needs Python 3.9 or newer, and this is Python {version}: "
        "run it with a newer one, such as python3.12\n"
    )


CASES = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("doctor", sys.argv[1])
doctor = importlib.util.module_from_spec(spec)
sys.modules["doctor"] = doctor
spec.loader.exec_module(doctor)
listing, cases = (json.load(open(name)) for name in sys.argv[2:])
for case in cases:
    options = {key: case[key] for key in ("project", "installer") if key in case}
    choice, expect = doctor.select(case["environment"], listing, **options), case["expect"]
    assert (choice.wheel or {}).get("file") == expect["file"], case["name"]
    assert (choice.command, choice.official) == (expect["command"], expect["official"]), case["name"]
    assert (expect["advice"] or "") in (choice.advice or ""), case["name"]
    assert all(words in dict(choice.rejected)[file] for file, words in expect["reasons"].items()), case["name"]
print(len(cases))
"""


@pytest.mark.parametrize("version", PYTHONS)
def test_the_one_file_chooses_as_the_table_of_cases_has_it(version: str, tmp_path: Path) -> None:
    file = tmp_path / "doctor.py"
    file.write_bytes(bytes(doctor_file.render("")["doctor.py"]))
    data = [str(ROOT / "tests" / "data" / name) for name in ("selector_wheels.json", "selector_cases.json")]
    argv = [str(python_of(version)), "-c", CASES, str(file), *data]
    assert int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout) >= 40


def test_the_manifest_that_is_signed_covers_it_and_its_list(address: str) -> None:
    with urllib.request.urlopen(f"{address}manifest.json") as answer:  # noqa: S310 -- our own server
        listed = json.load(answer)["files"]
    for name in ("doctor.py", "wheels.json"):
        with urllib.request.urlopen(f"{address}{name}") as answer:  # noqa: S310 -- our own server
            assert hashlib.sha256(answer.read()).hexdigest() == listed[name]["sha256"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_it_asks_for_the_index_where_it_came_with_none(address: str) -> None:
    done = piped(address, sys.executable)
    assert done.returncode == 5
    assert done.stderr == (
        "doctor: which index? Run again with --index URL, the address of the page with the wheels.\n"
    )
    assert piped(address, sys.executable, "--index", f"{address}none/").returncode == 5
    assert piped(address, sys.executable, "--nonsense").returncode == 2


def test_logs_are_explained_from_a_file_and_from_standard_input(address: str, tmp_path: Path) -> None:
    done = piped(address, sys.executable, "--log", str(LOGS / "glibc-too-old.txt"))
    assert done.returncode == 0
    assert done.stdout.startswith("Cause:  A library was built on a newer Linux: it needs GLIBC_2.41")
    assert "Told by line" in done.stdout
    done = piped(address, sys.executable, "explain", "--log", str(LOGS / "pytest-failure.txt"))
    assert (done.returncode, done.stdout[:19]) == (3, "Nothing known found")
    done = piped(address, sys.executable, "explain", "--log", "-")
    assert (done.returncode, done.stdout) == (5, "")
    assert "the log is empty: this program itself came by standard input" in done.stderr
    doctor = tmp_path / "doctor.py"
    doctor.write_text(doctor_file.render("")["doctor.py"].decode())
    log = (LOGS / "gpu-cannot-dlopen.txt").read_bytes()
    words = [sys.executable, str(doctor), "explain", "--log", "-", "--json"]
    found = subprocess.run(words, input=log, capture_output=True, check=True).stdout
    assert json.loads(found)["explanation"]["name"] == "cuda-libraries"


def test_as_json_it_is_all_there_and_as_a_report_nothing_private(address: str) -> None:
    words = ("--index", address, "--no-probes")
    private = {"PIP_INDEX_URL": "https://maria:s3cret@example.org/simple", "UV_PUBLISH_TOKEN": "abcdefghij"}
    text = piped(address, sys.executable, *words, "--json", **private).stdout
    assert "s3cret" not in text
    assert "abcdefghij" not in text
    found = json.loads(text)
    assert set(found) == {"choice", "environment", "facts", "gpu"}
    assert found["environment"]["python"] == THIS
    report = piped(address, sys.executable, *words, "--report", "--log", str(LOGS / "killed-import.txt"), **private)
    assert report.returncode == 0
    for title in ("Machine", "Settings", "Choice", "Installed", "Log", "Packages"):
        assert f"\n### {title}\n" in report.stdout
    assert "s3cret" not in report.stdout
    assert "abcdefghij" not in report.stdout


def test_a_cell_of_colab_gets_a_command_for_a_cell(address: str) -> None:
    variables = {"COLAB_RELEASE_TAG": "release-colab_20260819", "JPY_PARENT_PID": "1"}
    done = piped(address, python_of("3.13"), "--index", address, "--no-probes", **variables)
    assert f'    %pip install --extra-index-url {address}cpu/ "tensorflow==2.20.0+cpu.1"' in done.stdout
    assert "Restart: restart the session after it." in done.stdout
    done = piped(address, python_of("3.13"), "--index", address, "--no-probes", "--uv", **variables)
    assert "    !uv pip install --system --extra-index-url" in done.stdout


# --- GPUs ------------------------------------------------------------------------------------------------

CUDA = r"""
int cuInit(unsigned f) { return %(init)s; }
int cuDriverGetVersion(int *v) { *v = 12080; return 0; }
int cuDeviceGetCount(int *n) { *n = 1; return 0; }
int cuDeviceGet(int *d, int n) { *d = n; return 0; }
int cuDeviceGetName(char *t, int n, int d) { const char *s = "Tesla T4"; while ((*t++ = *s++)); return 0; }
int cuDeviceGetAttribute(int *v, int which, int d) { *v = which == 75 ? 7 : 5; return 0; }
int cuDeviceTotalMem_v2(unsigned long *s, int d) { *s = 15828320256UL; return 0; }
int nvmlInit_v2(void) { return 0; }
int nvmlSystemGetDriverVersion(char *t, unsigned n) { const char *s = "580.82.07"; while ((*t++ = *s++)); return 0; }
unsigned long cudnnGetVersion(void) { return 91900; }
"""


def cuda(folder: Path, init: str = "0") -> str:
    """A folder with a driver for a T4, a driver's library and a cuDNN."""
    folder.mkdir()
    (folder / "cuda.c").write_text(CUDA % {"init": init})
    for name in ("libcuda.so.1", "libnvidia-ml.so.1", "libcudnn.so.9", "libcudart.so.12"):
        subprocess.run(
            [needs.programs("gcc")[0], "-shared", "-fPIC", "-o", folder / name, folder / "cuda.c"], check=True
        )
    return str(folder)


def test_a_gpu_its_driver_and_its_cudnn_are_asked_through_their_libraries(address: str, tmp_path: Path) -> None:
    folder = cuda(tmp_path / "cuda")
    done = piped(address, python_of("3.12"), "--index", address, LD_LIBRARY_PATH=folder)
    assert "GPU: Tesla T4, compute capability 7.5, 15.8 GB; driver 580.82.07, up to CUDA 12.8" in done.stdout
    assert f"cuDNN 9.19.0 from {folder}/libcudnn.so.9" in done.stdout
    assert f'    pip install --extra-index-url {address}cu12/ "tensorflow==2.21.0+cu125.1"' in done.stdout


@pytest.mark.parametrize(
    ("init", "said"), [("999", "cuInit returned 999"), ("*(int *)0", "Segmentation fault (exit code 139)")]
)
def test_a_driver_that_fails_or_crashes_is_an_answer(address: str, tmp_path: Path, init: str, said: str) -> None:
    done = piped(address, python_of("3.12"), "--index", address, LD_LIBRARY_PATH=cuda(tmp_path / "cuda", init))
    assert done.returncode == 0
    assert f"GPU: none ({said})" in done.stdout


# --- install, prove, inspect -----------------------------------------------------------------------------

STAND_IN = '''
"""A stand-in for TensorFlow: what the proof asks for."""
import contextlib, types
__version__ = "2.20.0"
version = types.SimpleNamespace(BUILD_LABEL="2.20.0+cpu.1")
config = types.SimpleNamespace(list_physical_devices=lambda kind: [])
device = lambda name: contextlib.nullcontext()
class constant(list):
    def __matmul__(self, other):
        return [sum(a * b[0] for a, b in zip(row, other)) for row in self]
reduce_sum = sum
'''


def index_of(folder: Path, text: str) -> Path:
    """The site of an index with one wheel of TensorFlow for this Python, whose only module has that text."""
    tag, version = f"cp{THIS.replace('.', '')}", "2.20.0+cpu.1"
    info = f"tensorflow-{version}.dist-info"
    members = {
        "tensorflow/__init__.py": text.encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tensorflow\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}-{tag}-linux_x86_64\n".encode(),
    }
    file = folder / f"tensorflow-{version}-{tag}-{tag}-{pagedata.MANYLINUX}.whl"
    fakewheels.write_zip(file, members | {f"{info}/RECORD": fakewheels.record_of(members, info)})
    metadata = members[f"{info}/METADATA"]
    digests = {"sha256": sha256_of(file), "metadata_sha256": hashlib.sha256(metadata).hexdigest()}
    facts = {**digests, "size": file.stat().st_size, "file": file.name}
    known = ledger.parse(ledger.encode(pagedata.entry(version, tag[2:], "cpu", **facts)) + b"\n", name="x")
    settings = build_config.load()
    nowhere = settings.index.model_copy(update={"base_url": ""})
    content = SiteContent(settings=replace(settings, index=nowhere), documents=ROOT / "none")
    place = f"cpu/tensorflow/{file.name}"
    part = atomic_tree.Part(key="wheel", make=lambda: {place: file, f"{place}.metadata": metadata})
    atomic_tree.update(folder / "site", site.parts(known, content) | {"wheel": part})
    return folder / "site"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment with pip."""
    folder = tmp_path_factory.mktemp("environment") / "tf"
    subprocess.run([sys.executable, "-m", "virtualenv", "--quiet", "--no-download", str(folder)], check=True)
    return folder / "bin" / "python"


def test_it_installs_proves_and_then_inspects_what_it_installed(environment: Path, tmp_path: Path) -> None:
    with server.serve(index_of(tmp_path, STAND_IN)) as url:
        done = piped(url, environment, "--index", url, "--install", PIP_NO_CACHE_DIR="1")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Successfully installed tensorflow-2.20.0+cpu.1" in done.stdout
        assert "Proven: TensorFlow 2.20.0+cpu.1 imports in" in done.stdout
        assert "on the CPU; no GPU was found" in done.stdout
        again = piped(url, environment, "--index", url, "--no-probes")
        assert "tensorflow 2.20.0+cpu.1 is installed already." in again.stdout
        found = piped(url, environment, "inspect", "--index", url)
        assert found.returncode == 0, found.stdout
        assert "No problem found." in found.stdout
        assert f"is tensorflow-2.20.0+cpu.1-cp{THIS.replace('.', '')}-" in found.stdout
        module = next((environment.parents[1] / "lib").glob("python*/site-packages/tensorflow/__init__.py"))
        module.write_text(STAND_IN + "# changed\n")
        found = piped(url, environment, "inspect", "--index", url, "--json")
        assert found.returncode == 4
        assert "1 files are not as the wheel brought them" in json.loads(found.stdout)["installed"]["problems"][0]
    subprocess.run([environment, "-m", "pip", "uninstall", "-qy", "tensorflow"], check=True)


def test_what_cannot_be_imported_fails_its_proof_with_a_cause(environment: Path, tmp_path: Path) -> None:
    text = "raise ImportError('numpy.dtype size changed, may indicate binary incompatibility. Expected 96')"
    with server.serve(index_of(tmp_path, text)) as url:
        done = piped(url, environment, "--index", url, "--install", PIP_NO_CACHE_DIR="1")
    subprocess.run([environment, "-m", "pip", "uninstall", "-qy", "tensorflow"], check=True)
    assert done.returncode == 6
    assert "The proof failed: exit code 1" in done.stdout
    assert "(numpy-size)" in done.stdout


def test_an_installation_that_fails_says_why(environment: Path, tmp_path: Path) -> None:
    folder = index_of(tmp_path, STAND_IN)
    with server.serve(folder) as url:
        (next((folder / "cpu" / "tensorflow").glob("*.whl"))).unlink()
        done = piped(url, environment, "--index", url, "--install", PIP_NO_CACHE_DIR="1")
    assert done.returncode == 6
    assert "The installation ended with exit code 1." in done.stdout
    assert "(file-gone)" in done.stdout


def test_ptxas_is_found_beside_the_packages_and_says_its_version(tmp_path: Path) -> None:
    tool = tmp_path / "nvidia" / "cuda_nvcc" / "bin" / "ptxas"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 12.5, V12.5.82'\n")
    tool.chmod(0o755)
    assert probes.find_ptxas(tmp_path) == {"path": str(tool), "version": "12.5.82"}
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert probes.find_ptxas(tmp_path)["version"] is None


def test_an_installers_lines_are_handed_on_as_they_come_with_its_exit_code() -> None:
    said: list[str] = []
    program = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    code, log = installing.run_install([sys.executable, "-u", "-c", program], said.append)
    assert (code, sorted(said), sorted(log.split())) == (3, ["one", "two"], ["one", "two"])
    code, log = installing.run_install(["/no/such/installer"], said.append)
    assert code == 127
    assert "/no/such/installer" in log


def test_the_list_is_fetched_from_any_page_of_the_site_and_its_absence_is_one_error(address: str) -> None:
    found, root = listing.fetch_listing(f"{address}index.html")
    assert root == address
    assert len(found["wheels"]) == len(pagedata.release())
    with pytest.raises(ListingError, match="cannot be fetched"):
        listing.fetch_listing(f"{address}none/")


def test_the_gpu_of_this_machine_is_asked() -> None:
    found = probes.probe_gpu()
    assert found["gpus"] or found["error"]


def test_a_probe_that_hangs_or_says_nonsense_is_an_answer() -> None:
    assert probes.run_program("import time; time.sleep(60)", seconds=1)["error"] == "no answer in 1 s"
    assert probes.run_program("print('x')", seconds=20)["error"] == "no answer that can be read"
    assert probes.run_program("raise SystemExit(3)", seconds=20)["error"] == "exit code 3"
    assert "does not start" in probes.run_program("", seconds=20, python="/no/such/python")["error"]
