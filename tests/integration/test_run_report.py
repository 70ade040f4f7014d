"""What is said at the end of `publish`, against a real registry.

The line on the terminal, the file of `[ko].report`, and the page of `[ko].page`.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import Any, Callable, Iterator

import pytest
from integration.traffic import Traffic
from integration.workspace import SMALL, Workspace, go_mod
from publish_page.parsed_page import Element, parse
from real_registry import RealRegistry, docker_registry

REPORT = "dist/ci/report.json"
PAGE = "dist/ci/publish.html"
PLATFORMS = ["linux/amd64", "linux/arm64"]
_SECONDS = re.compile(r"[0-9.]+ s\.$")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace], registry: RealRegistry) -> Workspace:
    """Two images on two platforms, one of them with a tag from outside, and one not pushed."""
    workspace = make_workspace(
        options=f'report = "{REPORT}"', env={"KO_DOCKER_REPO": f"{registry.host}/team"}
    )
    workspace.write(
        {
            "go.mod": go_mod("example.com/mono"),
            "one/main.go": SMALL.replace("small", "one"),
            "one/BUILD": f"go_oci_image(platforms={PLATFORMS})\n",
            "two/main.go": SMALL.replace("small", "two"),
            "two/BUILD": (
                f"go_oci_image(platforms={PLATFORMS}, image_tags=[env('TAG', 'a')])\n"
                "go_oci_image(name='not', skip_push=True)\n"
            ),
        }
    )
    return workspace


def publish(repo: Workspace, *args: str, **env: str) -> tuple[str, dict[str, Any]]:
    """The last line of a run, its seconds replaced, and the report."""
    path = repo.root / REPORT
    path.unlink(missing_ok=True)
    run = repo.pants(*args, "publish", "::", env=env).ok()
    line = run.stderr.rstrip("\n").splitlines()[-1]
    assert run.stderr.count(line) == 1
    assert _SECONDS.search(line), run.stderr
    return _SECONDS.sub("N s.", line), json.loads(path.read_text())


def test_runs_of_every_kind(repo: Workspace, registry: RealRegistry) -> None:
    traffic = Traffic(registry)
    line, first = publish(repo)
    sent = len(traffic.paths("/v2/"))
    assert first["requests"] == sent
    assert first["targets"] == 3
    assert {k: n for k, n in first["images"].items() if n} == {"pushed": 2, "not_pushed": 1}
    assert {k: n for k, n in first["compiles"].items() if n} == {"ran": 4}
    # Four of programs, and the empty one of kodata, which the second image gets by a mount.
    assert {k: n for k, n in first["layers"].items() if n} == {"ran": 5}
    assert {k: n for k, n in first["transfers"].items() if n} == {"uploaded": 5, "mounted": 1}
    assert first["bytes"]["pushed"] > 1_000_000
    assert first["bytes"]["written"] == 0
    assert first["processes"]["ran"] >= 9
    megabytes = re.search(r"\(([0-9.]+ MB)\)", line)
    assert megabytes, line
    assert line == (
        "3 images: 2 pushed, 1 not pushed. Compiles: 4 run. "
        f"Layers: 5 made; 5 uploaded ({megabytes[1]}), 1 mounted. {sent} requests, N s."
    )

    line, second = publish(repo)
    assert line == "3 images: 2 up to date, 1 not pushed. 2 requests, N s."
    assert {k: n for k, n in second["compiles"].items() if n} == {"memoized": 4}
    assert (
        sum(second["layers"].values()) == second["layers"]["memoized"] + second["layers"]["kocache"]
    )
    assert sum(second["layers"].values()) == 5
    assert second["processes"] == {"ran": 0, "local_cache": 0, "remote_cache": 0}
    assert second["bytes"] == {"fetched": 0, "pushed": 0, "written": 0}

    line, tagged = publish(repo, TAG="b")
    assert line == "3 images: 1 up to date, 1 tagged, 1 not pushed. 3 requests, N s."
    assert {k: n for k, n in tagged["transfers"].items() if n} == {}


def test_an_edit_and_a_new_daemon(repo: Workspace) -> None:
    publish(repo)
    repo.write({"one/main.go": SMALL.replace("small", "edited")})
    line, edited = publish(repo)
    assert line.startswith(
        "3 images: 1 up to date, 1 pushed, 1 not pushed. Compiles: 2 run, 2 in memory. "
        "Layers: 2 made, "
    )
    assert "; 2 uploaded (" in line
    assert edited["compiles"]["ran"] == edited["layers"]["ran"] == 2
    # What other goals do is not counted in the next run.
    repo.write({"one/main.go": SMALL.replace("small", "packaged")})
    repo.pants("package", "one:").ok()
    line, packaged = publish(repo)
    assert packaged["compiles"] == {"ran": 0, "local_cache": 0, "remote_cache": 0, "memoized": 4}
    assert "Compiles" not in line
    assert line.startswith("3 images: 1 up to date, 1 pushed, 1 not pushed. Layers: ")

    repo.end_daemon()
    line, _ = publish(repo)
    assert line == (
        "3 images: 2 up to date, 1 not pushed. Compiles: 4 from the local cache. "
        "Layers: 5 from KOCACHE. 2 requests, N s."
    )
    line, _ = publish(repo, "--no-pantsd")
    assert line == (
        "3 images: 2 up to date, 1 not pushed. Compiles: 4 from the local cache. "
        "Layers: 5 from KOCACHE. 2 requests, N s."
    )


def page_of(repo: Workspace, *args: str, **env: str) -> tuple[Element, list[dict[str, Any]]]:
    """The page of a run, and its `--publish-output`."""
    (repo.root / PAGE).unlink(missing_ok=True)
    run = repo.publish(flags=[f"--ko-page={PAGE}", *args], env=env).ok()
    return parse((repo.root / PAGE).read_text()), [*run.images.values()]


def outcomes(page: Element) -> dict[str, str]:
    """Target -> outcome of each image, in the order of the page."""
    images = [d for d in page.all("details", "image") if "data-outcome" in d.attributes]
    return {image.one("h3").text: image.attributes["data-outcome"] for image in images}


def test_the_page(repo: Workspace) -> None:
    publish(repo)
    repo.write({"one/main.go": SMALL.replace("small", "for the page")})
    page, images = page_of(repo)
    assert list(outcomes(page).items()) == [
        ("one:one", "pushed"),
        ("two:not", "not pushed"),
        ("two:two", "up to date"),
    ]
    assert page.one("h1").text == "Publish of repo"
    assert "Compiles: 2 run, " in page.one("p", "sentence").text
    texts = {code.text for code in page.all("code")}
    for image in images:
        assert {image["digest"], *image["names"]} <= texts
        assert {layer["digest"] for layer in image["layers"]} <= texts
    rows = [
        [cell.text for cell in row.children if isinstance(cell, Element)]
        for row in next(page.all("details", "image")).all("tr")
    ]
    one = next(page.all("details", "image"))
    (edit, *caused) = [li.text for li in one.one("div", "changes").all("li")]
    assert edit == "source file one/main.go has changed"
    assert caused == [
        "compile for linux/amd64, linux/arm64 ran",
        "the executable for linux/amd64, linux/arm64 is another, its layer was uploaded",
    ]
    programs = [row for row in rows if row[0] == "binary one"]
    assert [row[2] for row in programs] == ["↑ uploaded"] * 2
    for row in programs:
        assert re.fullmatch(r"compiled in [0-9.]+ s; layer made in [0-9.]+ s", row[3])
    (bars,) = (row for row in page.all("svg", "lanes"))
    assert re.match(
        r"compile from [0-9.]+ to [0-9.]+ s; layer from ", bars.attributes["aria-label"]
    )

    page, _ = page_of(repo)
    assert outcomes(page) == {
        "two:not": "not pushed",
        "one:one": "up to date",
        "two:two": "up to date",
    }
    assert not list(page.all("svg", "lanes"))
    nothing = "Nothing that the image is made from has changed."
    assert [p.text for p in page.all("p")].count(nothing) == 2


def test_a_layout(repo: Workspace) -> None:
    line, totals = publish(repo, KO_DOCKER_REPO="")
    assert "3 images: 2 written, 1 not pushed. " in line
    assert "; 5 written (" in line
    assert totals["bytes"]["written"] > totals["bytes"]["pushed"] == 0
    assert totals["requests"] == 0
    assert line.endswith("0 requests, N s.")
    shutil.rmtree(repo.root / "dist" / "oci")


def test_runs_that_fail(repo: Workspace, registry: RealRegistry) -> None:
    (repo.root / "blocked").write_text("")
    run = repo.pants("--ko-report=blocked/report.json", "publish", "::")
    assert run.exit_code == 1
    assert "option [ko].report: cannot write" in run.stderr
    assert "The images are published" in run.stderr
    run = repo.pants("--ko-page=blocked/publish.html", "publish", "::")
    assert run.exit_code == 1
    assert "option [ko].page: cannot write" in run.stderr
    assert "The images are published" in run.stderr
    (repo.root / "blocked").unlink()

    # What ends before images are tagged says nothing.
    (repo.root / REPORT).unlink(missing_ok=True)
    repo.write({"two/main.go": "package main\n\nfunc main() { undefined() }\n"})
    run = repo.pants("publish", "::")
    assert run.exit_code == 1
    assert "images:" not in run.stderr
    assert not (repo.root / REPORT).exists()
