"""docs/mistakes.md: each mistake is made, and what is printed is what the page says.

A section of the page has the BUILD file (if it is not `go_oci_image()`) and the messages. This
module has what else belongs to a mistake.
"""

from __future__ import annotations

import functools
import re
import subprocess
from dataclasses import dataclass, field
from typing import Callable, Iterator, Mapping

import pytest
from integration.bad_runs import assert_no_traceback, files_below, unwritable_directory
from integration.workspace import REPO, SMALL, Run, Workspace, go_mod
from real_registry import RealRegistry, docker_registry, free_port

PAGE = REPO / "docs" / "mistakes.md"
REGISTRY = "registry.example.com"
OLD_GO = "#!/bin/sh\necho go version go1.18.10 linux/amd64\n"
MONEY = 'package main\n\nimport _ "example.org/money"\n\nfunc main() {}\n'


@dataclass(frozen=True)
class Mistake:
    """What belongs to a section of the page.

    :param message: which of its messages is meant.
    :param files: of directory `cart` if they are not those of a program that is right. Without
        content a file is left out.
    :param env: environment variables. Here and in `flags`, `{registry}` is one that wants a login,
        `{login}` the directory of docker's configuration with that login, `{tokens}` one that wants
        it for uploads alone, `{closed}` a port on which nothing listens, `{root}` the repository,
        and `{readonly}` a directory.
    :param line: what the line with the message has before it. Without this it is in the log, as the
        only error.
    :param dist: `dist` is a link to the directory that is read-only.
    """

    heading: str
    message: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    line: str = ""
    exit_code: int = 1
    dist: bool = False


MISTAKES = [
    Mistake("A field is misspelt"),
    Mistake("`binary` names a target that does not exist"),
    Mistake("A platform that Go does not have"),
    Mistake("A tag that is none"),
    Mistake("The base image is not there", env={"DOCKER_CONFIG": "{login}"}),
    Mistake("There is no go.mod", files={"go.mod": ""}),
    Mistake(
        "Two programs in one directory",
        files={"worker.go": "package main\n\nfunc main() {}\n"},
    ),
    Mistake(
        "An entry of go.sum is missing",
        files={
            "go.mod": go_mod("example.com/cart", "", "require example.org/money v1.0.0"),
            "main.go": MONEY,
        },
    ),
    Mistake("Go is too old", flags=("--ko-go-search-paths=['{root}/go1.18/bin']",)),
    Mistake("Go is too old", message=1, files={"go.mod": "module example.com/cart\n\ngo 1.99\n"}),
    Mistake(
        "Pants ignores a file that the image needs",
        files={"ca.pem": "a certificate"},
    ),
    Mistake("No registry is set", line="✓", exit_code=0),
    Mistake(
        "A registry alias that does not exist",
        flags=('--ko-registries={"staging": {"address": "{registry}"}}',),
    ),
    Mistake("Nobody is logged in", env={"KO_DOCKER_REPO": "{registry}/team"}),
    Mistake("Nobody is logged in", message=1, env={"KO_DOCKER_REPO": "{tokens}/team"}, line="✕"),
    Mistake("The registry cannot be reached", env={"KO_DOCKER_REPO": "{closed}/team"}),
    Mistake("`dist` is read-only", line="✕", dist=True),
    Mistake("KOCACHE cannot be written", env={"KOCACHE": "{readonly}/kocache"}),
    Mistake(
        "KOCACHE cannot be written",
        message=1,
        env={"KOCACHE": "{readonly}"},
        line="[WARN]",
        exit_code=0,
    ),
]


@functools.cache
def sections() -> Mapping[str, str]:
    """The sections of the page that are about a mistake, by heading."""
    parts = re.split(r"(?m)^##(#?) (.*)$", PAGE.read_text(encoding="utf-8"))[1:]
    found = zip(parts[::3], parts[1::3], parts[2::3])
    return {heading: text for level, heading, text in found if level}


def blocks(heading: str, language: str) -> list[str]:
    """The code of one language in a section."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)\n```$", sections()[heading])


@dataclass(frozen=True)
class World:
    """What the mistakes are made in; `values` are those of the names in braces."""

    repo: Workspace
    registry: RealRegistry
    values: Mapping[str, str]

    def fill(self, text: str) -> str:
        for name, value in self.values.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def as_on_the_page(self, text: str) -> str:
        """What is printed, with the names that the page has."""
        named = {
            f"{self.values['root']}/go1.18": "/opt/go1.18",
            self.values["readonly"]: "/home/me/shop/readonly",
            self.values["root"]: "/home/me/shop",
            self.values["registry"]: REGISTRY,
            self.values["tokens"]: REGISTRY,
            self.values["closed"]: REGISTRY,
            # What the system says to root, who may do everything.
            "Operation not permitted": "Permission denied",
            go_version(): "1.26.8",
        }
        for found, name in named.items():
            text = text.replace(found, name)
        return text


@functools.cache
def go_version() -> str:
    """The version of the Go that the tests run with, such as `1.26.8`."""
    done = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("go")


@pytest.fixture(scope="module")
def world(
    make_workspace: Callable[..., Workspace], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    repo = make_workspace()
    places = tmp_path_factory.mktemp("places")
    repo.write(
        {
            ".gitignore": "*.pem\n",
            "good/go.mod": go_mod("example.com/good"),
            "good/main.go": SMALL,
            "good/BUILD": "go_oci_image()\n",
            "go1.18/bin/go": OLD_GO,
        }
    )
    (repo.root / "go1.18/bin/go").chmod(0o755)
    repo.publish("good:").ok()
    with (
        docker_registry(places, auth="htpasswd") as registry,
        docker_registry(places / "tokens", auth="token") as tokens,
    ):
        values = {
            "registry": registry.host,
            "tokens": tokens.host,
            "login": str(registry.docker_config(places / "login")),
            "closed": f"127.0.0.1:{free_port()}",
            "root": str(repo.root),
            "readonly": str(unwritable_directory(places / "readonly")),
        }
        yield World(repo, registry, values)


def message_of(run: Run, line: str) -> str:
    """The message of a run: the error, or the only line that begins with `line`."""
    if not line:
        (error,) = run.errors
        return error.partition("\n\n")[2].partition("\n\n")[2].partition(": ")[2].rstrip()
    (found,) = (text for text in run.stderr.splitlines() if line in text)
    return found.partition("[WARN] ")[2] if line == "[WARN]" else found


def make(mistake: Mistake, world: World) -> Run:
    """Make the mistake, publish, and put everything back."""
    repo, (build,) = world.repo, blocks(mistake.heading, "python") or ["go_oci_image()"]
    files = {
        "go.mod": go_mod("example.com/cart"),
        "main.go": SMALL,
        "BUILD": build.replace(REGISTRY, world.values["registry"]),
        **mistake.files,
    }
    repo.write({f"cart/{name}": text for name, text in files.items() if text})
    dist, kept = repo.root / "dist", repo.root.parent / "dist-kept"
    if mistake.dist:
        dist.rename(kept)
        dist.symlink_to(world.values["readonly"])
    try:
        return repo.publish(
            "cart:",
            env={name: world.fill(text) for name, text in mistake.env.items()},
            flags=[world.fill(flag) for flag in mistake.flags],
        )
    finally:
        repo.remove("cart")
        if mistake.dist:
            dist.unlink()
            kept.rename(dist)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.heading} {m.message}")
def test_the_message_is_that_of_the_page(mistake: Mistake, world: World) -> None:
    layout = world.repo.root / "dist" / "oci"
    images, maps = files_below(layout), world.repo.maps()

    run = make(mistake, world)

    wanted = blocks(mistake.heading, "text")[mistake.message]
    pattern = ".*".join(map(re.escape, wanted.split("…")))
    found = world.as_on_the_page(message_of(run, mistake.line))
    assert re.fullmatch(pattern, found, re.DOTALL), run.output
    assert run.exit_code == mistake.exit_code, run.output
    assert_no_traceback(run)
    after = world.repo.maps()
    assert {path: after.get(path) for path in maps} == maps
    if mistake.exit_code:
        # One error in the log, or the line of the image; and the message once.
        assert (run.stderr.count("[ERROR]"), run.stderr.count("✕")) in ((1, 0), (0, 1))
        assert run.stderr.count("not tagged: ") == run.stderr.count("✕")
        assert not any(image["published"] for image in run.images.values())
        assert files_below(layout) == images
        assert files_below(world.registry.storage) == {}


def test_afterwards_the_good_image_is_up_to_date(world: World) -> None:
    run = world.repo.publish("good:").ok()
    assert run.processes == []
    assert "up to date" in run.images["good:good"]["status"]


def test_every_mistake_of_the_page_is_made() -> None:
    made = [(mistake.heading, mistake.message) for mistake in MISTAKES]
    on_page = [(h, n) for h in sections() for n in range(len(blocks(h, "text")))]
    assert sorted(made) == sorted(on_page)
    assert len(sections()) >= 15
