"""Reports are pasted in public: no name of a person, no password, no token."""

from __future__ import annotations

import json

import pytest

from tfwheel.config.paths import ROOT
from tfwheel.doctor import report
from tfwheel.doctor.selector import select

LISTING = json.loads((ROOT / "tests" / "data" / "selector_wheels.json").read_bytes())
CASES = {case["name"]: case for case in json.loads((ROOT / "tests" / "data" / "selector_cases.json").read_bytes())}


def lines_of(name: str) -> list[str]:
    return report.choice_lines(select(CASES[name]["environment"], LISTING), "https://example.org/index/")


def test_a_choice_begins_with_the_command_and_has_a_line_for_each_reason() -> None:
    lines = lines_of("task: Colab as it comes, T4")
    assert lines[0] == "Install tensorflow 2.20.0+cu125.3 (616 MB):"
    assert lines[2].strip().startswith("%pip install ")
    assert "Or (T4 only, 358 MB instead of 616 MB):" in lines
    assert "  - 2.20.0+cu125.2 cp313: older than 2.20.0+cu125.3" in lines
    assert not any("another package" in line for line in lines)
    assert lines[-2:] == ["Restart: restart the session after it.", "Index: https://example.org/index/"]


def test_where_no_wheel_fits_the_first_line_says_what_to_do() -> None:
    lines = lines_of("task: P100, Python 3.10")
    assert lines[0].startswith("Take the official TensorFlow 2.20.0")
    assert "Restart: no restart is needed." in lines
    assert "Restart: restart the session after it." in lines_of("P100, Python 3.12 (Kaggle)")
    lines = lines_of("GTX 970")
    assert not any(line.startswith("Restart:") for line in lines)
    assert lines[0] == "No wheel of this index fits here."
    assert "runs on the CPU of this machine" in lines[1]
    assert "Or (runs on the CPU):" in lines


def test_facts_name_gpu_cudnn_and_what_is_loaded() -> None:
    known = {
        "python": "3.12.13",
        "executable": "/usr/bin/python3",
        "venv": True,
        "system": "Linux 6",
        "glibc": "2.35",
        "cpu": {"model": "x", "cores": 2, "flags": []},
        "memory_gb": {"available": 1, "total": 2},
        "driver": None,
        "disk_free_gb": {"packages": 3},
        "libraries": {"libcudnn.so.9": ["/a", "/b"]},
        "notebook": True,
        "distributions": {"tensorflow": "2.20.0"},
        "twice": ["x 1 hides 2"],
        "loaded": [{"module": "numpy", "loaded": "1", "installed": "2"}],
    }
    gpus = [{"name": "Tesla T4", "capability": "7.5", "memory_gb": 15.8}]
    probe = {"gpus": gpus, "driver": "580.1", "cuda_driver": "12.8", "cudnn": "9.8.0"}
    text = "\n".join(report.fact_lines(known, probe))
    assert "GPU: Tesla T4, compute capability 7.5, 15.8 GB; driver 580.1, up to CUDA 12.8" in text
    assert "cuDNN 9.8.0 from /a, before /b" in text
    assert "numpy 1 is loaded, not 2, which is installed: restart the session\nx 1 hides 2" in text
    text = "\n".join(report.fact_lines(known | {"loaded": None, "distributions": {}}, {"gpus": [], "error": None}))
    assert "GPU: none (no device)" in text
    assert "TensorFlow is not installed" in text
    assert "cannot be seen from here" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at /home/maria/tf/bin/python", "at /home/USER/tf/bin/python"),
        ("at /Users/maria/tf", "at /Users/USER/tf"),
        ("PIP_INDEX_URL=https://maria:s3cret@pypi.example.org/simple", "PIP_INDEX_URL=https://pypi.example.org/..."),
        ("UV_INDEX=https://x.example/simple?token=abc", "UV_INDEX=https://x.example/..."),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "(hidden)"),
        ("hf_abcdefghijklmnop in a line", "(hidden) in a line"),
        ("AIzaSyA0123456789abcdefghijklmnop", "(hidden)"),
        ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def b", "a (hidden) b"),
        ("key Zk3jX9mPq2LrT7vWb8NcY5aD in a line", "key (hidden) in a line"),
        ("undefined symbol: _ZN10tensorflow8OpKernelC2EPNS_20OpKernelConstructionE", None),
        ("https://al:p@s5SEC@host/", "https://host/"),
        ("through al:SEC@proxy:3128 now", "through (hidden) now"),
        ("undefined symbol: memcpy@GLIBC_2.14", None),
        ("https://al:p/SEC@host/x", "https://(hidden)"),
        ("https://host.example:8443/x#token=SEC", "https://host.example:8443/..."),
        ("https://[::1]:80/", "https://[::1]:80/"),
        ('UV_INDEX="socks5://al:SEC@h:1080/x" b', 'UV_INDEX="socks5://h:1080/... b'),
        ("https://dl.cloudsmith.io/SEC/python/", "https://dl.cloudsmith.io/..."),
        ("/usr/local/lib/python3.12/dist-packages", "/usr/local/lib/python3.12/dist-packages"),
        ("tensorflow==2.20.0+cu125.3", "tensorflow==2.20.0+cu125.3"),
    ],
)
def test_what_is_private_is_left_out_and_the_rest_stays(text: str, shown: str | None) -> None:
    assert report.without_secrets(text) == (shown or text)


def test_the_home_and_the_name_of_the_user_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/data/people/maria")
    monkeypatch.setenv("USER", "maria")
    assert report.without_secrets("/data/people/maria/x of maria, not of mariana") == "~/x of USER, not of mariana"


@pytest.mark.parametrize(("name", "text"), [("bob", "/mnt/people/bob/x"), ("jos\u00e9", "/srv/jos\u00e9")])
def test_short_names_and_such_with_accents_are_left_out_of_paths(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv("USER", name)
    found = report.without_any_secrets({"a": [text, {text: 1}], "b": None, "c": 'https://h/?a="x"'})
    assert name not in str(found)
    assert found["c"] == "https://h/..."
    assert report.without_secrets("bobbing for a bobsled") == "bobbing for a bobsled"


def test_no_text_ends_its_block_and_only_packages_that_matter_are_named() -> None:
    text = report.markdown_report({"Log": ["a", "```", "<script>"]}, {"tensorflow": "2.20.0", "secret-project": "1.0"})
    assert text.count("```") == 4
    assert "tensorflow==2.20.0" in text
    assert "secret-project" not in text
