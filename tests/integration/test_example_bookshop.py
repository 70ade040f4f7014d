"""examples/bookshop, copied as its README says: published to a layout, released to a registry."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest
import yaml
from integration.bases import make_base, push
from integration.published import published_in, published_on
from integration.workspace import REPO, Workspace, tool
from real_registry import RealRegistry, docker_registry

import ko_pants

EXAMPLE = REPO / "examples" / "bookshop"
SERVICES = ("catalog", "orders", "storefront")
# One platform is enough here, and Go's standard library need not be compiled for another one.
PLATFORM = "linux/amd64"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def bookshop(make_workspace: Callable[..., Workspace], registry: RealRegistry) -> Workspace:
    """A copy in a git repository, with its own pants.toml; `prod` is the registry on loopback."""
    repo = make_workspace(
        "bookshop",
        env={
            # The plugin comes from the checkout instead of a wheel.
            "PANTS_PLUGINS": "[]",
            "PANTS_PYTHONPATH": f'["{REPO / "src" / "python"}"]',
            "PANTS_ANONYMOUS_TELEMETRY_ENABLED": "false",
            "PANTS_KO_DEFAULT_PLATFORMS": f'["{PLATFORM}"]',
        },
    )
    repo.env["PANTS_LOCAL_STORE_DIR"] = str(repo.store)
    repo.env["PANTS_NAMED_CACHES_DIR"] = str(repo.caches)
    shutil.copytree(EXAMPLE, repo.root, dirs_exist_ok=True)
    for name in ("pants.toml", "images/BUILD"):
        path = repo.root / name
        path.write_text(path.read_text().replace("registry.example.com", registry.host))
    tool("git")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "A bookshop"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *who, *command], cwd=repo.root, check=True)
    return repo


def test_publish_to_a_layout_then_edit(bookshop: Workspace) -> None:
    run = bookshop.publish("services::").ok()
    assert {i["names"][0] for i in run.images.values()} == {
        f"oci:dist/oci:{name}:dev" for name in SERVICES
    }
    layout = bookshop.root / "dist" / "oci"
    (orders,) = published_in(layout, "orders:dev").manifests
    assert orders.config["config"]["Entrypoint"] == ["/ko-app/orders"]
    assert orders.config["config"]["Cmd"] == ["--config=/etc/orders/orders.yaml"]
    assert orders.config["config"]["User"] == "65532:65532"
    assert b"EUR" in b"".join(orders.tars)
    assert b"ko-app/migrate" in b"".join(orders.tars)
    storefront = published_in(layout, "storefront:dev").manifests[0]
    assert b"robots.txt" in b"".join(storefront.tars)

    template = bookshop.root / "services/storefront/templates/index.html"
    template.write_text(template.read_text().replace("Bookshop", "Bookstore"))
    again = bookshop.publish("services::").ok()
    changed = {name for name, i in again.images.items() if i["published"]}
    assert changed == {"services/storefront:storefront"}
    listed = bookshop.pants("--changed-since=HEAD", "--changed-dependents=transitive", "list").ok()
    assert "services/storefront:storefront" in listed.stdout.split()
    assert "services/catalog:catalog" not in listed.stdout.split()


def test_a_manifest_needs_a_registry(bookshop: Workspace) -> None:
    run = bookshop.pants("publish", "deploy")
    assert run.exit_code == 1
    assert "which a cluster cannot pull from" in run.stderr


def test_release(bookshop: Workspace, registry: RealRegistry) -> None:
    base = make_base([PLATFORM], text="private")
    push(base, registry.host, "base/static", "stable")
    bookshop.pants("ko-lock", "images:static").ok()
    release = {"RELEASE_TO": "@prod", "VERSION": "1.2.0"}
    run = bookshop.publish("::", env=release).ok()
    digests = {}
    for name in SERVICES:
        image = published_on(registry.host, f"bookshop/{name}", "1.2.0")
        (manifest,) = image.manifests
        assert base.layers < {layer["digest"] for layer in manifest.manifest["layers"]}
        digests[f"{registry.host}/bookshop/{name}"] = image.digest
    program = published_on(registry.host, "bookshop/storefront", "1.2.0").manifests[0].executable()
    assert b"1.2.0" in program

    text = (bookshop.root / "dist" / "deploy" / "deploy.yaml").read_text()
    assert len(list(yaml.safe_load_all(text))) == 3
    named = re.findall(r"image: (\S+):1\.2\.0@(\S+)", text)
    assert len(named) == 4
    assert dict(named) == digests
    assert "ko://" not in text

    again = bookshop.publish("::", env=release).ok()
    assert not any(i["published"] for i in again.images.values())
    assert run.images.keys() == again.images.keys()


def test_the_readme_says_what_each_file_is_for() -> None:
    text = (EXAMPLE / "README.md").read_text()
    named = set(re.findall(r"(?m)^\| (`.*?) \|", text))
    places = {place for cell in named for place in re.findall(r"`([^`]+)`", cell)}
    files = [str(p.relative_to(EXAMPLE)) for p in EXAMPLE.rglob("*") if p.is_file()]
    assert {p for p in places if not (EXAMPLE / p).exists()} == set()
    missing = [
        f
        for f in files
        if f != "README.md"
        and not any(f == p or (p.endswith("/") and f.startswith(p)) for p in places)
    ]
    assert missing == []


def test_the_example_has_the_plugin_and_the_pants_of_this_repository() -> None:
    def versions(path: Path) -> list[str]:
        return re.findall(r'pants_version = "(.*)"', path.read_text())

    assert versions(EXAMPLE / "pants.toml") == versions(REPO / "pants.toml")
    plugin = f'plugins = ["ko-pants=={ko_pants.__version__}"]'
    assert plugin in (EXAMPLE / "pants.toml").read_text()
