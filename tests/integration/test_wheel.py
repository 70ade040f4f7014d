"""A user's repository: the wheel, installed beside Pants, and nothing of this checkout."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from integration.published import published_in, published_on
from integration.workspace import PLAIN_PANTS, REPO, SMALL, Workspace, go_mod
from packaging.requirements import Requirement
from real_registry import docker_registry

SERVICES = ("cart", "shop")
# What users may have beside it.
BACKENDS = {
    "alone": ["ko_pants"],
    "with Go and docker": [
        "pants.backend.experimental.go",
        "pants.backend.docker",
        "ko_pants",
    ],
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `pip install` of the repository builds it."""
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=REPO,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def pants(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `pants` in an environment of its own, which has the wheel and not this checkout."""
    place = tmp_path_factory.mktemp("consumer") / "env"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    (packages,) = place.glob("lib/python3*/site-packages")
    # Pants and what it needs are those of the environment of the tests.
    ours = Path(next(p for p in sys.path if (Path(p) / "pants" / "bin").is_dir()))
    (packages / "pants.pth").write_text(f"{ours}\n")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    program = place / "bin" / "pants"
    program.write_text(
        f"#!{python}\nimport sys\nfrom pants.bin.pants_loader import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    return program


class Consumer(Workspace):
    """A repository whose Pants is `program`."""

    program: Path

    def argv(self, *args: str) -> list[str]:
        return [str(self.program), *args]


@pytest.fixture(scope="module", params=list(BACKENDS))
def repo(
    request: Any,
    pants: Path,
    caches: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Consumer]:
    root = tmp_path_factory.mktemp("repo") / "repo"
    consumer = Consumer(root, caches, env={"NO_SCIE_WARNING": "1", **PLAIN_PANTS})
    consumer.program = pants
    toml = (root / "pants.toml").read_text().splitlines()
    toml = [line for line in toml if not line.startswith(("pythonpath", "backend_packages"))]
    toml.insert(1, f"backend_packages = {json.dumps(BACKENDS[request.param])}")
    (root / "pants.toml").write_text("\n".join(toml) + "\n")
    consumer.write({"go.mod": go_mod("example.com/fleet")})
    for name in SERVICES:
        consumer.write(
            {
                f"{name}/main.go": SMALL.replace("small", name),
                f"{name}/BUILD": "go_oci_image(platforms=['linux/amd64'])\n",
            }
        )
    try:
        yield consumer
    finally:
        consumer.stop()


def test_what_the_wheel_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = REPO / "src" / "python"
    modules = {str(p.relative_to(sources)) for p in sources.glob("ko_pants/**/*.py")}
    beside = {name.partition("/")[2] for name in names - modules - {"ko_pants/py.typed"}}
    assert modules < names
    assert "ko_pants/py.typed" in names
    assert beside == {"METADATA", "WHEEL", "RECORD", "licenses/LICENSE"}


def test_it_fits_beside_the_packages_of_pants(pants: Path) -> None:
    (packages,) = pants.parent.parent.glob("lib/python3*/site-packages")
    (found,) = importlib.metadata.distributions(name="ko-pants", path=[str(packages)])
    needed = [Requirement(line) for line in found.requires or ()]
    assert {r.name.lower() for r in needed} == {"requests", "pyyaml", "deflate", "zstandard"}
    for requirement in needed:
        # No exact version: Pants has its own, and another one must not be a conflict.
        assert not any(s.operator in ("==", "===") for s in requirement.specifier)
        assert importlib.metadata.version(requirement.name) in requirement.specifier


def test_to_a_layout_and_to_a_registry(repo: Consumer, tmp_path: Path) -> None:
    first = repo.publish("::").ok()
    assert {entry["published"] for entry in first.images.values()} == {True}
    layout = repo.root / "dist" / "oci"
    for name in SERVICES:
        digest = first.images[f"{name}:{name}"]["digest"]
        assert published_in(layout, f"{name}:latest").digest == digest

    unchanged = repo.publish("::").ok()
    assert unchanged.processes == []
    assert unchanged.stderr.count("skipped up to date") == len(SERVICES)

    repo.write({"cart/main.go": SMALL.replace("small", "edited")})
    edited = repo.publish("::").ok()
    assert "Compile example.com/fleet/cart for linux/amd64" in edited.processes
    assert not any("fleet/shop" in process for process in edited.processes)

    with docker_registry(tmp_path) as registry:
        env = {"KO_DOCKER_REPO": f"{registry.host}/team"}
        pushed = repo.publish("::", env=env).ok()
        for name in SERVICES:
            digest = pushed.images[f"{name}:{name}"]["digest"]
            assert digest == edited.images[f"{name}:{name}"]["digest"]
            assert published_on(registry.host, f"team/{name}").digest == digest
        requests = len(registry.requests())
        assert repo.publish("::", env=env).ok().processes == []
        assert len(registry.requests()) - requests == len(SERVICES)


def test_it_does_not_run_from_the_checkout(repo: Consumer) -> None:
    code = "import ko_pants.register, sys; print(sys.modules['ko_pants'].__file__)"
    done = subprocess.run(
        [str(repo.program.parent / "python"), "-c", code],
        cwd=repo.root,
        env=repo.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert os.path.dirname(done.stdout.strip()).startswith(str(repo.program.parent.parent))


@pytest.mark.parametrize(
    ("version", "says"),
    [("2.16.1", "runs in Pants 2.17 and newer, and this is Pants 2.16.1")],
)
def test_a_pants_that_is_too_old_gets_one_line(
    repo: Consumer, make_old: Callable[[str], dict[str, str]], version: str, says: str
) -> None:
    run = repo.pants("--no-pantsd", "help", env=make_old(version))
    assert run.exit_code != 0
    assert says in run.output
    assert "Traceback" not in run.output


@pytest.fixture
def make_old() -> Callable[[str], dict[str, str]]:
    """The environment in which Pants says that it is another version."""
    return lambda version: {"_PANTS_VERSION_OVERRIDE": version, "PANTS_VERSION": version}
