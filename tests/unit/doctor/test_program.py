"""The program's options and exit codes, and the page that documents them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import docpages
from tfwheel.config.paths import ROOT
from tfwheel.doctor import environment, explain, facts, program

PAGE = ROOT / "index" / "docs" / "doctor.md"
LISTING = str(ROOT / "tests" / "data" / "selector_wheels.json")
LOGS = ROOT / "tests" / "data" / "logs"
PLACES = {"{index}": "URL/", "{wanted}": "a symbol version", "{library}": "a library"}


def plain(text: str) -> str:
    for place, words in PLACES.items():
        text = text.replace(place, words)
    return docpages.plain(text)


def test_the_page_has_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = docpages.table(PAGE, "## Exit codes")
    assert {int(code): docpages.plain(text) for code, text in rows} == {
        code: docpages.plain(meaning) for code, meaning in program.EXIT_CODES.items()
    }
    with pytest.raises(SystemExit):
        program.main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"  {code}  {meaning}\n" in shown for code, meaning in program.EXIT_CODES.items())


def test_the_page_has_every_signature_in_the_order_of_blame() -> None:
    rows = docpages.table(PAGE, "## Explain a log")
    shown = [tuple(docpages.plain(cell) for cell in row) for row in rows]
    assert shown == [(one.name, plain(one.cause), plain(one.remedy)) for one in explain.SIGNATURES]


@pytest.mark.parametrize(
    ("words", "mode"),
    [([], "choose"), (["inspect"], "inspect"), (["--log", "x"], "explain"), (["explain", "--log", "-"], "explain")],
)
def test_the_mode_is_what_was_asked_for(words: list[str], mode: str) -> None:
    assert program.parse_words(words).mode == mode


@pytest.mark.parametrize("name", ["tfwheel-ops", "tfwheel_ops", "TFWheel.Ops"])
def test_a_package_may_be_named_in_any_spelling(capsys: pytest.CaptureFixture[str], name: str) -> None:
    for option in ("--json", "--report"):
        program.main(["--index", LISTING, "--no-probes", "--project", name, option])
        assert "This index has no wheel of" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [["explain"], ["unknown"], ["--what"]])
def test_a_wrong_command_line_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        program.main(words)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_choosing_without_probes_starts_no_program(capsys: pytest.CaptureFixture[str]) -> None:
    code = program.main(["--index", LISTING, "--no-probes", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if found["choice"]["command"] else 1)
    assert found["gpu"] is None
    program.main(["--index", LISTING, "--no-probes"])
    assert "GPU: not asked" in capsys.readouterr().out


def test_what_stands_in_the_way_of_any_wheel_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "collect_facts", lambda: facts.collect_facts() | {"managed": True})
    program.main(["--index", LISTING, "--no-probes"])
    assert "This Python belongs to the system" in capsys.readouterr().out
    colab = {"colab": True, "managed": True, "python": "3.12.13", "distributions": {"tf-keras": "2.20.0"}}
    colab["distributions"] |= {"tensorflow-text": "2.20.1"}  # type: ignore[operator]
    monkeypatch.setattr(program, "collect_facts", lambda: facts.collect_facts() | colab | {"venv": False})
    program.main(["--index", LISTING, "--no-probes"])
    shown = capsys.readouterr().out
    assert "Runtime 2026.07 has a fault of its own: tensorflow-metadata 1.21.0" in shown
    assert "belongs to the system" not in shown


@pytest.fixture
def _p100(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that the official wheel alone has code for."""
    gpu = {"name": "P100", "capability": "6.0", "memory_gb": 16.0}
    probe = {"gpus": [gpu], "cuda_driver": "12.8", "driver": "580.1", "cudnn": None, "error": None}
    monkeypatch.setattr(program, "probe_gpu", lambda _: probe)


@pytest.mark.usefixtures("_p100")
def test_the_official_wheel_is_installed_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "collect_facts", lambda: facts.collect_facts() | {"pip": "25.0"})
    commands = []
    monkeypatch.setattr(program, "run_install", lambda argv, _: (commands.append(argv), (1, "log"))[1])
    assert program.main(["--index", LISTING, "--install"]) == 6
    assert commands[0][-1] in ("tensorflow==2.20.0", "tensorflow[and-cuda]==2.20.0")
    assert "Take the official TensorFlow 2.20.0" in capsys.readouterr().out


@pytest.mark.usefixtures("_p100")
@pytest.mark.parametrize(("notebook", "said"), [(True, "Restart the session now."), (False, "No restart is needed.")])
def test_a_notebook_is_restarted_after_the_official_wheel_as_well(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, said: str, *, notebook: bool
) -> None:
    known = {"notebook": notebook, "colab": False, "distributions": {}, "pip": "25.0"}
    monkeypatch.setattr(program, "collect_facts", lambda: facts.collect_facts() | known)
    monkeypatch.setattr(program, "run_install", lambda *_: (0, "log"))
    found = {"gpus": 1, "label": "", "version": "2.20.0", "import_s": 3.1}
    monkeypatch.setattr(program, "prove", lambda _: found)
    assert program.main(["--index", LISTING, "--install"]) == 0
    assert said in capsys.readouterr().out


def test_a_pasted_cell_is_told_what_to_do_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "in_kernel", lambda: True)
    assert program.main([]) == 5
    assert "In a cell: `%run doctor.py --index URL`" in capsys.readouterr().err


def test_explaining_has_three_endings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert program.main(["--log", str(LOGS / "cell-bare-uv.txt")]) == 0
    assert "Told by line" in capsys.readouterr().out
    assert program.main(["--log", str(LOGS / "npm-error.txt"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out) == {"explanation": None}
    assert program.main(["--log", str(tmp_path / "none")]) == 5
    said = capsys.readouterr().err
    assert "cannot be read" in said
    assert "2>&1 | tee install.log" in said


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_an_empty_log_is_said_to_be_empty_and_a_report_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    (tmp_path / "log").write_text(text)
    assert program.main(["--log", str(tmp_path / "log")]) == 5
    assert capsys.readouterr().err.startswith(f"doctor: the log is empty: {tmp_path / 'log'} has no text.")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert program.main(["explain", "--log", "-"]) == 5
    assert "the log is empty: standard input has no text" in capsys.readouterr().err
    assert program.main(["--index", LISTING, "--no-probes", "--report", "--log", str(tmp_path / "log")]) == 0
    assert "the log is empty" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "site"),
    [
        ([], "URL/"),
        (["--index", "https://example.org/index/index.html"], "https://example.org/index/"),
        (["--index", LISTING], "URL/"),
    ],
)
def test_a_remedy_that_names_a_version_is_a_whole_command(
    capsys: pytest.CaptureFixture[str], words: list[str], site: str
) -> None:
    assert program.main([*words, "--log", str(LOGS / "pip-already-there.txt")]) == 0
    command = f'pip install --extra-index-url {site}cu12/ "tensorflow==2.20.0+cu125.3"'
    assert f"`{command}`" in capsys.readouterr().out
    named = [one.remedy for one in explain.SIGNATURES if "+cu" in one.remedy]
    assert len(named) == 3
    assert all("--extra-index-url {index}cu12/" in remedy for remedy in named)


def test_a_list_that_cannot_be_read_is_exit_code_5_and_a_report_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    (tmp_path / "wheels.json").write_text("{}")
    assert program.main(["--index", str(tmp_path), "--no-probes"]) == 5
    assert "is not a list of wheels" in capsys.readouterr().err
    assert program.main(["--index", str(tmp_path), "--no-probes", "--report"]) == 0
    assert "is not a list of wheels" in capsys.readouterr().out


def test_a_list_that_knows_no_url_gives_no_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    listing = json.loads(Path(LISTING).read_bytes())
    (tmp_path / "wheels.json").write_text(json.dumps(listing | {"base_url": ""}))
    words = ["--index", str(tmp_path), "--no-probes"]
    assert program.main(words) == 5
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "doctor: this list does not say where the index is: give `--index URL`\n"
    assert program.main([*words, "--report"]) == 0
    report = capsys.readouterr().out
    assert "this list does not say where the index is" in report
    assert "--extra-index-url" not in report


@pytest.mark.parametrize(
    ("here", "words", "command"),
    [
        ({"pip": None, "uv": "/opt/uv"}, [], "uv pip install"),
        ({"pip": "25.0", "uv": "/opt/uv"}, [], "pip install"),
        ({"pip": "25.0", "uv": "/opt/uv"}, ["--uv"], "uv pip install"),
        ({"pip": "25.0", "uv": None}, [], "pip install"),
    ],
)
def test_the_command_is_for_an_installer_that_is_here(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    here: dict[str, str | None],
    words: list[str],
    command: str,
) -> None:
    known = here | {"venv": True, "colab": False, "notebook": False}
    monkeypatch.setattr(program, "collect_facts", lambda: facts.collect_facts() | known)
    monkeypatch.setattr(environment, "python_words", lambda: "3.12")
    for option in ([], ["--report"]):
        program.main(["--index", LISTING, "--no-probes", *words, *option])
        shown = capsys.readouterr().out
        assert f"\n    {command} --extra-index-url" in shown
        assert "ensurepip" not in shown


def test_where_nothing_can_install_it_says_what_to_do_and_starts_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "collect_facts", lambda: facts.collect_facts() | {"pip": None, "uv": None})
    monkeypatch.setattr(environment, "python_words", lambda: "3.12")
    said = (
        "This Python has no pip, and uv is not here: run `python -m ensurepip` with this Python, "
        "or make the environment with `uv venv --seed`."
    )
    for option in ([], ["--report"]):
        assert program.main(["--index", LISTING, "--no-probes", *option]) == 0
        assert said in capsys.readouterr().out
    assert program.main(["--index", LISTING, "--no-probes", "--install"]) == 6
    shown = capsys.readouterr().out
    assert shown.endswith(f"\n{said}\n")
    assert "Running:" not in shown
