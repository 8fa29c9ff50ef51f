"""Reports are pasted in public: no name of a person, no password, no token."""

from __future__ import annotations

import pytest

from tfwheel.doctor import report


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at /home/maria/tf/bin/python", "at /home/USER/tf/bin/python"),
        ("at /Users/maria/tf", "at /Users/USER/tf"),
        ("PIP_INDEX_URL=https://maria:s3cret@pypi.example.org/simple", "PIP_INDEX_URL=https://pypi.example.org/simple"),
        ("UV_INDEX=https://x.example/simple?token=abc", "UV_INDEX=https://x.example/simple?(hidden)"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "(hidden)"),
        ("hf_abcdefghijklmnop in a line", "(hidden) in a line"),
        ("/usr/local/lib/python3.12/dist-packages", "/usr/local/lib/python3.12/dist-packages"),
        ("tensorflow==2.20.0+cu125.3", "tensorflow==2.20.0+cu125.3"),
    ],
)
def test_what_is_private_is_left_out_and_the_rest_stays(text: str, shown: str) -> None:
    assert report.without_secrets(text) == shown


def test_the_home_and_the_name_of_the_user_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/data/people/maria")
    monkeypatch.setenv("USER", "maria")
    assert report.without_secrets("/data/people/maria/x of maria, not of mariana") == "~/x of USER, not of mariana"


def test_no_text_ends_its_block_and_only_packages_that_matter_are_named() -> None:
    text = report.markdown_report({"Log": ["a", "```", "<script>"]}, {"tensorflow": "2.20.0", "secret-project": "1.0"})
    assert text.count("```") == 4
    assert "tensorflow==2.20.0" in text
    assert "secret-project" not in text
