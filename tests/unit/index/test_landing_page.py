from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from functools import cache
from typing import Any

import pytest

import pagedata
from tfwheel.index import install_files, landing_page, wheel_list


def html(entries: list[Any] | None = None, **changes: Any) -> str:  # noqa: ANN401 -- as the parameters
    """The page of some wheels and of one runtime, or as it is usually."""
    if entries is None and not changes:
        return usual()
    ours = {key: changes.pop(key) for key in ("base_url", "fits", "runtimes") if key in changes}
    if entries is not None:
        ours.setdefault("runtimes", pagedata.RUNTIMES[:1])
    entries = pagedata.release() if entries is None else entries
    listing = pagedata.listing(entries, **ours)
    return landing_page.render(entries, listing, gpus=pagedata.GPUS, **changes)["index.html"].decode()


@cache
def usual() -> str:
    return html(pagedata.release(), runtimes=pagedata.RUNTIMES)


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


def rows_of(text: str) -> list[str]:
    return re.findall(r"<tr data-file=.*?</tr>", text, re.DOTALL)


def groups_of(text: str) -> dict[str, str]:
    found = re.findall(r"<article .*?</article>", text, re.DOTALL)
    return {match[1]: group for group in found if (match := re.search(r'id="([^"]*)"', group))}


def test_equal_ledgers_give_equal_bytes_in_any_order() -> None:
    entries = pagedata.release()
    mixed = random.Random(1).sample(entries, len(entries))  # noqa: S311 -- the same order each time
    assert html(mixed) == html(entries)


def test_the_page_asks_for_nothing_but_itself() -> None:
    text = html()
    assert not re.search(r"<(link|img|iframe)[^>]*(href|src)=\"(?!data:)", text)
    assert not re.search(r"<script[^>]*\bsrc=|@import|url\((?!\"data:)", text)


@pytest.mark.parametrize("name", ["style", "script"])
def test_the_policy_admits_what_is_inlined_by_its_hash_and_no_more(name: str) -> None:
    text = html()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    body = re.search(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
    assert policy
    assert body
    digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
    assert policy[1].startswith("default-src 'none';")
    assert f"{name}-src 'sha256-{digest}'" in policy[1]
    assert "unsafe" not in policy[1]


def test_every_wheel_has_a_row_with_its_facts() -> None:
    rows = rows_of(html())
    assert len(rows) == len(pagedata.release())
    row = next(row for row in rows if "cp313-cp313" in row and "2.20.0+cu125.1" in row)
    sha256 = pagedata.entry("2.20.0+cu125.1", "313", "cu12").sha256
    for fact in ("621&nbsp;MB", "2026-11-21", "Python 3.13.1", "never run on a GPU", sha256):
        assert fact in row


def test_the_wheels_of_a_version_share_its_facts_and_its_command() -> None:
    groups = groups_of(html())
    assert len(groups) == 9
    group = groups["tensorflow-2.20.0-cu125.1-cu12"]
    command = "pip install --extra-index-url https://example.org/index/cu12/ &#34;tensorflow==2.20.0+cu125.1&#34;"
    assert group.count(command) == 1
    assert len(re.findall("<tr data-file", group)) == 3
    for fact in ("CUDA 12.5.1", "T4, A100, L4, H100, G4", "sm_75", "ptx_90", "GeForce RTX 50"):
        assert fact in group
    assert "GB10" not in group  # its machine is no x86_64
    assert '<span class="for">T4</span>' in groups["tensorflow-2.20.0-cu125t4.1-cu12t4"]
    assert "no CUDA" in groups["tensorflow-2.20.0-cpu.1-cpu"]


def test_a_wheel_links_to_its_file_beside_the_page_or_at_its_address() -> None:
    assert 'href="cu12/tensorflow/tensorflow-2.20.0%2Bcu125.1-cp313-cp313-manylinux_2_27_x86_64.whl"' in html()
    away = pagedata.entry("2.20.0+cu125.1", "313", "cu12", url="https://example.net/a%2Bb.whl")
    assert 'href="https://example.net/a%2Bb.whl"' in html([away])


def test_what_ran_on_a_gpu_says_on_which() -> None:
    row = next(row for row in rows_of(html()) if "cu125.2" in row and "2.20.0" in row)
    assert "GPU: NVIDIA H200, 2026-11-20" in row
    assert "never run on a GPU" not in row


def test_a_yanked_version_is_shown_as_such_with_its_reason_and_in_no_command() -> None:
    text = html()
    group = groups_of(text)["tensorflow-2.18.1-cu125.2-cu12"]
    assert 'class="group yanked"' in group
    assert "yanked: built with the wrong label" in group
    assert "2.18.1+cu125.2" not in text.partition('id="wheels"')[0].partition('id="commands"')[2]
    bare = html([pagedata.entry("2.20.0+cpu.1", "312", "cpu", yanked="")])
    assert '<span class="badge">yanked</span>' in bare


def test_one_yanked_wheel_of_a_version_is_shown_in_its_row() -> None:
    bad = pagedata.entry("2.20.0+cpu.1", "312", "cpu", yanked="too large")
    text = html([bad, pagedata.entry("2.20.0+cpu.1", "313", "cpu")])
    assert 'class="group"' in text
    assert "yanked: too large" in next(row for row in rows_of(text) if "cp312" in row)


def test_a_removed_wheel_is_nowhere() -> None:
    gone = pagedata.entry("2.22.0+cpu.1", "312", "cpu", removed="a mistake")
    assert "2.22.0" not in html([*pagedata.release(), gone])


def test_a_line_that_the_configuration_no_longer_has_stays_on_the_page() -> None:
    old = pagedata.entry("2.17.0+cu123.1", "311", "cu11", gpu_code={"ops": ("sm_75",)})
    text = html([*pagedata.release(), old])
    assert 'href="cu11/"' in text
    assert [line["name"] for line in data_of(text)["lines"]] == ["cpu", "cu11", "cu12", "cu12t4"]


def test_without_an_address_no_command_invents_one() -> None:
    text = html(base_url="")
    link = '<a class="address" href="cu12/">cu12/</a>'
    assert f"%pip install --extra-index-url {link} &#34;tensorflow==2.20.0+cu125.2&#34;" in text
    assert "ADDRESS" not in text
    assert "copy the address of the link" in text
    assert data_of(text)["base_url"] == ""
    assert "address of the link" not in html()


def test_a_table_for_each_runtime_and_python_is_there_without_a_script() -> None:
    tables = html().partition('id="commands"')[2].partition('id="wheels"')[0]
    titles = re.findall(r"<h3 id=\"place-\d+\">([^<]*)<", tables)
    assert titles == [
        *(f"Colab {runtime.name}" for runtime in pagedata.RUNTIMES),
        *(f"Linux, Python 3.{minor}" for minor in (10, 11, 12, 13, 14)),
    ]
    assert "current" not in tables
    assert tables.count("newest known") == 1
    assert (
        "%pip install --extra-index-url https://example.org/index/cu12/ &#34;tensorflow==2.20.0+cu125.2&#34;" in tables
    )


def test_what_it_links_to_is_there() -> None:
    bare = html()
    assert "docs/" not in bare.replace("docs/index", "")
    assert "github.com" not in bare
    assert "doctor.py" not in bare
    full = html(documents=True, doctor=True, repository="owner/wheels")
    for part in re.findall(r"<(?:header|footer).*?</(?:header|footer)>", full, re.DOTALL):
        links = (
            "docs/index.html",
            "#doctor",
            "docs/security.html#verify-what-you-download",
            "https://github.com/owner/wheels",
        )
        assert all(f'href="{link}"' in part for link in links)
    assert "!curl -fsSL https://example.org/index/doctor.py | python3 -" in full


def test_the_fit_in_each_runtime_is_said_once_with_its_reason() -> None:
    groups = groups_of(html(fits=pagedata.fits()))
    assert '<li class="fits"><span>2026.08</span> fits</li>' in groups["tensorflow-2.20.0-cu125.2-cu12"]
    broken = groups["tensorflow-2.21.0-cu125.1-cu12"]
    assert broken.count("breaks</li>") == sum(one.python_minor in {"3.12", "3.13"} for one in pagedata.RUNTIMES)
    assert broken.count("tf_keras 2.20.1 requires tensorflow&lt;2.21") == 1
    changed = groups["tensorflow-2.20.0-cu125t4.1-cu12t4"]
    assert '<li class="changes"><span>2026.04</span> changes 1</li>' in changed
    assert "keras 3.10.0 -&gt; 3.13.2" in changed
    assert "verdicts" not in groups_of(html())["tensorflow-2.20.0-cu125.2-cu12"]


def test_only_install_files_that_exist_are_linked() -> None:
    path = "install/cu12/2.20.0+cu125.1/requirements-tensorflow-cp313.txt"
    link = '<p class="files"><a href="install/cu12/2.20.0%2Bcu125.1/requirements-tensorflow-cp313.txt">'
    assert link in html(material=[path])
    assert 'class="files"' not in html()


def test_constraints_of_every_runtime_are_where_the_install_material_puts_them() -> None:
    files = install_files.render([], [], runtimes=pagedata.RUNTIMES, base_url="")
    assert {runtime["constraints"] for runtime in data_of(html())["runtimes"]} == set(files)


def test_a_runtime_names_what_is_made_for_its_tensorflow() -> None:
    runtimes = data_of(html())["runtimes"]
    assert [one["newest"] for one in runtimes] == [one.newest for one in pagedata.RUNTIMES]
    (found,) = [one for one in runtimes if one["name"] == "2026.08"]
    assert found["python"] == "3.13.15"
    assert found["companions"]["tf-keras"] == found["companions"]["tensorflow-text"] == "2.20.1"


def test_hostile_text_stays_text() -> None:
    bad = pagedata.entry("2.20.0+cpu.1", "312", "cpu", yanked="</script><img src=x onerror=alert(1)>")
    text = html([bad])
    assert "<img" not in text
    assert data_of(text)["wheels"][0]["yanked"] == "</script><img src=x onerror=alert(1)>"


def test_of_very_many_wheels_the_newest_are_shown_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_list, "MOST", 3)
    entries = [pagedata.entry(f"2.20.{i}+cpu.1", "312", "cpu", uploaded=f"2026-01-0{i}T00:00:00Z") for i in range(1, 6)]
    text = html(entries)
    assert len(rows_of(text)) == 3
    assert "The 3 newest; 2 older ones" in text
    assert "2.20.2+" not in text


def test_an_empty_ledger_gives_a_page_that_says_so() -> None:
    text = html([])
    assert "No wheel has been published yet." in text
    assert rows_of(text) == []
    assert data_of(text)["wheels"] == []
    assert "1 wheel<" in html([pagedata.entry("2.20.0+cpu.1", "312", "cpu")])
