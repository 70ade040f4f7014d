"""Manifests in whole runs: package, publish and ko-resolve; and what ko makes of the same files."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Callable, Iterator

import pytest
import yaml
from go_peers import find_go_peer
from integration.published import has_tag, published_on
from integration.workspace import SMALL, Run, Workspace, go_mod
from real_registry import RealRegistry, docker_registry

WEB, API = "ko://example.com/shop/cmd/web", "ko://example.com/shop/cmd/api"
APP = f"""# The shop.
apiVersion: apps/v1
kind: Deployment
metadata:
  name:   web   # three blanks
  labels: {{app: web}}
  annotations:
    {WEB}: of a key
spec:
  template:
    spec:
      containers:
      - name: web
        image: &web {WEB}
        args: ['--image', "{API}"]
      - {{name: again, image: *web}}
      - name: folded
        image: >-
          {API}
---
# Nothing here.
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {{labels: {{app: api}}}}
  spec: {{containers: [{{image: {API}}}]}}
"""
WINDOWS = f"apiVersion: v1\r\nkind: Pod\r\nmetadata: {{labels: {{app: web}}}}\r\nimage: {WEB}\r\n"
OBJECT = (
    f'{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"labels": {{"app": "web"}}}}, '
    f'"image": "{WEB}"}}\n'
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace], registry: RealRegistry) -> Workspace:
    workspace = make_workspace(env={"KO_DOCKER_REPO": f"{registry.host}/team"})
    main = 'package main\n\nfunc main() {\n\tprintln("NAME")\n}\n'
    workspace.write(
        {
            "go.mod": go_mod("example.com/shop"),
            "BUILD": "go_sources(name='go')\n",
            "cmd/web/main.go": main.replace("NAME", "web"),
            "cmd/web/BUILD": "go_oci_image(name='image', repository='web')\n",
            "cmd/api/main.go": main.replace("NAME", "api"),
            "cmd/api/BUILD": "go_oci_image(name='image', repository='api')\n",
            "cmd/tool/main.go": SMALL,
            "cmd/tool/BUILD": "go_oci_image(name='image', repository='tool')\n",
            "k8s/app.yaml": APP,
            "k8s/windows.yaml": WINDOWS,
            "k8s/object.json": OBJECT,
            "k8s/tool.yaml": "image: pants://cmd/tool:image\n",
            "k8s/BUILD": (
                "kubernetes_manifests(\n"
                "    name='shop', sources=['*.yaml', '*.json', '!tool.yaml'],\n)\n"
                "kubernetes_manifests(name='tool', sources=['tool.yaml'])\n"
                "kubernetes_manifests(\n"
                "    name='api', sources=['app.yaml'], selector='app=api',\n)\n"
            ),
        }
    )
    return workspace


@pytest.fixture(scope="module")
def packaged(repo: Workspace, registry: RealRegistry) -> str:
    """What `package` writes, before anything is pushed."""
    repo.pants("package", "k8s:shop").ok()
    assert registry.requests() == []
    return read(repo, "k8s/shop.yaml")


@pytest.fixture(scope="module")
def published(repo: Workspace, packaged: str) -> Run:
    """The first publish, of the manifests alone."""
    (repo.root / "dist/k8s/shop.yaml").unlink()
    return repo.publish("k8s:shop").ok()


def read(repo: Workspace, path: str) -> str:
    return (repo.root / "dist" / path).read_bytes().decode()


def references(repo: Workspace, registry: RealRegistry) -> dict[str, str]:
    """The references of the images in the registry, by what stands for them."""
    return {
        value: f"{registry.host}/team/{name}@{published_on(registry.host, f'team/{name}').digest}"
        for value, name in ((WEB, "web"), (API, "api"))
    }


def resolved(text: str, images: dict[str, str]) -> str:
    text = text.replace(f">-\n          {API}", f'"{images[API]}"')
    for value, reference in images.items():
        text = text.replace(value, reference)
    return text


def test_publish_pushes_what_is_named_and_writes_what_package_writes(
    published: Run, packaged: str, repo: Workspace, registry: RealRegistry
) -> None:
    images = references(repo, registry)
    stream = f"{APP}---\n{OBJECT}---\n{WINDOWS}"
    assert packaged == resolved(stream, images)
    assert read(repo, "k8s/shop.yaml") == packaged
    assert not has_tag(registry.host, "team/tool", "latest")
    (line,) = (line for line in published.stderr.splitlines() if "k8s:shop published" in line)
    assert "published to dist/k8s/shop.yaml: it names 2 images; pushed " in line


def test_the_output_has_the_images(published: Run, registry: RealRegistry) -> None:
    entry = published.images["k8s:shop"]
    assert entry["names"] == ["k8s:shop"]
    assert entry["published"] is True
    digests = {image["target"]: image["digest"] for image in entry["images"]}
    assert digests == {
        f"cmd/{name}:image": published_on(registry.host, f"team/{name}").digest
        for name in ("web", "api")
    }


def test_image_refs_have_the_images_of_manifests(
    published: Run, repo: Workspace, registry: RealRegistry
) -> None:
    # The references of a run in which nothing else names the images.
    repo.publish("k8s:shop", flags=["--ko-image-refs=dist/refs"]).ok()
    images = references(repo, registry)
    assert read(repo, "refs").splitlines() == [images[API], images[WEB]]


def test_what_is_there_is_not_written_again(
    published: Run, packaged: str, repo: Workspace, registry: RealRegistry
) -> None:
    before = len(registry.manifest_requests())
    path = repo.root / "dist/k8s/shop.yaml"
    modified = path.stat().st_mtime_ns
    run = repo.publish("k8s:shop", "cmd/web:").ok()
    assert "k8s:shop skipped up to date: dist/k8s/shop.yaml" in run.stderr
    assert path.stat().st_mtime_ns == modified
    methods = [method for method, *_ in registry.manifest_requests()[before:]]
    assert set(methods) == {"HEAD"}
    path.unlink()
    repo.publish("k8s:shop").ok()
    assert read(repo, "k8s/shop.yaml") == packaged


def test_an_image_whose_target_is_in_the_run_too_is_pushed_once(
    published: Run, repo: Workspace, registry: RealRegistry
) -> None:
    before = len(registry.requests())
    run = repo.publish("k8s:tool", "cmd/tool:").ok()
    requests = registry.requests()[before:]
    puts = [r for r in requests if r[0] == "PUT" and "/team/tool/manifests/" in r[1]]
    assert len(puts) == 1
    # The manifest is smaller than a chunk, so each of its two blobs is one POST and one PUT.
    posts = [r for r in requests if r[0] == "POST" and "/team/tool/blobs/" in r[1]]
    assert len(posts) == len({r[1] for r in requests if "/blobs/sha256" in r[1]})
    assert run.images["cmd/tool:image"]["published"] is True
    digest = published_on(registry.host, "team/tool").digest
    assert read(repo, "k8s/tool.yaml") == f"image: {registry.host}/team/tool@{digest}\n"


def test_an_image_that_does_not_compile_leaves_file_and_registry_as_they_are(
    published: Run, packaged: str, repo: Workspace, registry: RealRegistry
) -> None:
    main = repo.root / "cmd/api/main.go"
    web = repo.root / "cmd/web/main.go"
    text, web_text = main.read_text(), web.read_text()
    before = references(repo, registry)
    repo.write({"cmd/api/main.go": text + "func {\n", "cmd/web/main.go": web_text + "// x\n"})
    try:
        assert repo.publish("k8s:shop").exit_code != 0
    finally:
        repo.write({"cmd/api/main.go": text, "cmd/web/main.go": web_text})
    assert read(repo, "k8s/shop.yaml") == packaged
    assert references(repo, registry) == before


def test_an_edit_pushes_one_image_and_writes_its_digest(
    published: Run, repo: Workspace, registry: RealRegistry
) -> None:
    old = references(repo, registry)
    main = repo.root / "cmd/web/main.go"
    text = main.read_text()
    try:
        repo.write({"cmd/web/main.go": text.replace('"web"', '"edited"')})
        before = len(registry.manifest_requests())
        run = repo.publish("k8s:shop", "k8s:api").ok()
        new = references(repo, registry)
        puts = [
            path for method, path, _ in registry.manifest_requests()[before:] if method == "PUT"
        ]
        assert len(puts) == 1
        assert puts[0].startswith("/v2/team/web/manifests/")
        assert new[WEB] != old[WEB]
        assert new[API] == old[API]
        assert new[WEB] in read(repo, "k8s/shop.yaml")
        assert old[WEB] not in read(repo, "k8s/shop.yaml")
        assert run.images["k8s:shop"]["published"] is True
    finally:
        repo.write({"cmd/web/main.go": text})
        repo.publish("k8s:shop").ok()
    assert references(repo, registry) == old
    assert old[WEB] in read(repo, "k8s/shop.yaml")


def test_a_registry_that_cannot_be_reached_leaves_the_file_as_it_is(
    published: Run, packaged: str, repo: Workspace, registry: RealRegistry
) -> None:
    nowhere = {"KO_DOCKER_REPO": "127.0.0.1:1/team"}
    run = repo.publish("k8s:shop", env=nowhere)
    assert run.exit_code != 0
    assert "cannot reach the registry 127.0.0.1:1" in run.stderr
    assert read(repo, "k8s/shop.yaml") == packaged
    printed = repo.pants("ko-resolve", "k8s:shop", env=nowhere)
    assert (printed.exit_code, printed.stdout) == (1, "")


def test_a_selector_pushes_only_what_is_selected(
    published: Run, repo: Workspace, registry: RealRegistry
) -> None:
    repo.pants("package", "k8s:api").ok()
    head = "---\napiVersion: v1\nkind: List\n"
    assert read(repo, "k8s/api.yaml").startswith(head)
    assert references(repo, registry)[WEB] not in read(repo, "k8s/api.yaml")
    assert references(repo, registry)[API] in read(repo, "k8s/api.yaml")


def test_dependents_say_what_deploys_an_image(repo: Workspace) -> None:
    found = repo.pants("dependents", "cmd/web:image").ok().stdout.split()
    assert set(found) == {"k8s:shop"}
    found = repo.pants("dependents", "cmd/api:image").ok().stdout.split()
    assert set(found) == {"k8s:shop", "k8s:api"}


def test_changed_since_reaches_manifests(repo: Workspace) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=no"]
    repo.write({".gitignore": ".pants.d\n.pids\ndist\n"})
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], cwd=repo.root, check=True, capture_output=True)
    main = repo.root / "cmd/web/main.go"
    text = main.read_text()
    repo.write({"cmd/web/main.go": text + "// changed\n"})
    try:
        run = repo.pants("--changed-since=HEAD", "--changed-dependents=transitive", "list").ok()
    finally:
        repo.write({"cmd/web/main.go": text})
    assert "k8s:shop" in run.stdout.split()
    assert "k8s:tool" not in run.stdout.split()


def test_ko_resolve_prints_targets_and_files(
    published: Run, packaged: str, repo: Workspace, registry: RealRegistry
) -> None:
    assert repo.pants("ko-resolve", "k8s:shop").ok().stdout == packaged
    files = "--ko-resolve-files=k8s/app.yaml"
    images = references(repo, registry)
    assert repo.pants("ko-resolve", files).ok().stdout == resolved(APP, images)
    run = repo.pants("ko-resolve", files, "--ko-resolve-selector=app=api").ok()
    assert images[API] in run.stdout
    assert images[WEB] not in run.stdout


def test_ko_resolve_pushes_before_it_prints(
    published: Run, repo: Workspace, registry: RealRegistry
) -> None:
    repo.write(
        {
            "cmd/late/main.go": SMALL.replace("small", "late"),
            "cmd/late/BUILD": "go_oci_image(name='image', repository='late')\n",
            "late.yaml": "image: ko://example.com/shop/cmd/late\n",
        }
    )
    flags = ("ko-resolve", "--ko-resolve-files=late.yaml")
    planned = repo.pants(*flags, "--no-ko-resolve-push").ok().stdout
    assert not has_tag(registry.host, "team/late", "latest")
    printed = repo.pants(*flags).ok().stdout
    digest = published_on(registry.host, "team/late").digest
    assert printed == planned == f"image: {registry.host}/team/late@{digest}\n"


def test_ko_resolve_prints_nothing_where_something_is_wrong(repo: Workspace) -> None:
    repo.write({"bad.yaml": "image: ko://example.com/shop/cmd/wep\n"})
    run = repo.pants("ko-resolve", "--ko-resolve-files=bad.yaml", "k8s:shop")
    assert run.exit_code != 0
    assert run.stdout == ""
    assert "bad.yaml:1:8: ko://example.com/shop/cmd/wep: no package" in run.stderr
    repo.remove("bad.yaml")


@pytest.fixture(scope="module")
def ko() -> str:
    return find_go_peer("ko")


def structure(text: str, registry: RealRegistry) -> list[Any]:
    """The documents, with a name for each image instead of its reference."""

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {named(k): named(v) for k, v in value.items()}
        if isinstance(value, list):
            return [named(item) for item in value]
        if isinstance(value, str) and value.startswith(f"{registry.host}/"):
            return value.partition("@")[0].rpartition("/")[2]
        return value

    # ko ends each document with `---`, and so its stream with documents that have nothing in them.
    return [named(document) for document in yaml.safe_load_all(text) if document is not None]


@pytest.mark.parametrize("selector", ["", "app=api", "app in (web)"])
def test_the_structure_is_that_of_ko_resolve(
    selector: str, ko: str, published: Run, repo: Workspace, registry: RealRegistry
) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KO", "GOFLAGS"))}
    files = ["k8s/app.yaml", "k8s/object.json", "k8s/windows.yaml"]
    kos = subprocess.run(
        [
            *(ko, "resolve", "--base-import-paths", "--sbom=none"),
            *(arg for file in files for arg in ("-f", file)),
            *(["-l", selector] if selector else []),
        ],
        cwd=repo.root,
        env={
            **environment,
            "DOCKER_CONFIG": str(repo.home),
            "KO_DOCKER_REPO": f"{registry.host}/ko",
            "KO_DEFAULTBASEIMAGE": f"{registry.host}/team/web",
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "GOFLAGS": "-buildvcs=false",
        },
        capture_output=True,
        text=True,
    )
    assert kos.returncode == 0, kos.stderr
    flags = [f"--ko-resolve-files={file}" for file in files]
    if selector:
        flags.append(f"--ko-resolve-selector={selector}")
    ours = repo.pants("ko-resolve", *flags).ok().stdout
    assert structure(ours, registry) == structure(kos.stdout, registry)
    assert structure(ours, registry)
