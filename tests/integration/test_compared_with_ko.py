"""Field by field, the images that ko makes of the same programs on the same bases.

What differs is listed here, with its reason; docs/coming-from-ko.md says it to users.
Each difference of the list has to be found in one of the images.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping

import pytest
from go_peers import find_go_peer
from integration.bases import Base, make_base, push
from integration.published import Published, published_on
from integration.workspace import Run, Workspace, go_mod
from real_registry import RealRegistry, docker_registry

LINUX = ["linux/amd64"]
SEVERAL = ["linux/amd64", "linux/arm64", "windows/amd64:10.0.17763.5458"]
RICH = {
    "User": "65532",
    "Env": ["A=1", "PATH=/usr/bin:/bin", "KO_DATA_PATH=/base"],
    "WorkingDir": "/home",
    "Entrypoint": ["/bin/sh", "-c"],
    "Cmd": ["true"],
    "Labels": {"of.base": "1", "of.both": "base"},
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/base": {}},
    "StopSignal": "SIGINT",
}
TRUE_OF_THE_BASE_ALONE = {
    f"org.opencontainers.image.{name}": "of the base"
    for name in ("base.name", "base.digest", "created", "version", "revision", "ref.name")
}
ANNOTATED = {
    **TRUE_OF_THE_BASE_ALONE,
    "com.example.both": "base",
    "com.example.base": "base",
    "org.opencontainers.image.vendor": "them",
}

WINDOWS = ["windows/amd64:10.0.17763.5458", "windows/amd64:10.0.20348.2322"]
HISTORY: list[Mapping[str, Any]] = [
    {"created": "2023-01-02T03:04:05.678Z", "created_by": "ADD /", "comment": "first"},
    {"created": "2023-01-02T03:04:06Z", "created_by": "CMD", "empty_layer": True},
    {"created_by": "USER", "author": "them", "empty_layer": True},
]
# What docker knows, and what nobody does.
UNUSUAL = {
    "OnBuild": ["RUN true"],
    "ArgsEscaped": True,
    "Shell": ["/bin/sh", "-ec"],
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5},
    "Tty": True,
    "com.example.unknown": {"a": [1]},
}
CAPABILITIES = 'linux_capabilities=["net_bind_service=ep", "chown"]'
FIELDS = """
    binary=":app", platforms=["all"], user="1000:1000",
    image_labels={"of.both": "image", "of.image": "1"},
    image_annotations={"com.example.both": "image", "com.example.image": "1"},
"""
FLAGS = (
    "--image-user=1000:1000",
    "--image-label=of.both=image,of.image=1",
    "--image-annotation=com.example.both=image,com.example.image=1",
)
KO_YAML = """builds:
- id: app
  ldflags: ["-X main.version={{.Env.VERSION}}"]
  linux_capabilities: [net_bind_service=ep, chown]
"""
EXECUTABLES = """
go_executable(name="app", ldflags=["-X main.version={{.Env.VERSION}}"])
go_executable(name="dlv", main="../delve/cmd/dlv", ldflags=["-s", "-w"])
"""
PROGRAM = "package main\n\nvar version string\n\nfunc main() { println(version) }\n"
DELVE = "https://github.com/go-delve/delve.git"


@dataclass(frozen=True)
class Case:
    """An image on `base`: fields of the target, and flags of ko that say the same."""

    base: Base
    fields: str = CAPABILITIES
    flags: tuple[str, ...] = ()


CASES = {
    "oci-index": Case(make_base(SEVERAL, text="a")),
    "oci-single": Case(make_base(LINUX, index=False, config=RICH, annotations=ANNOTATED)),
    "docker-index": Case(make_base(SEVERAL, docker=True, config=RICH)),
    "docker-single": Case(make_base(LINUX, docker=True, index=False, text="b")),
    "annotated": Case(make_base(SEVERAL, annotations=ANNOTATED, entry_annotations=ANNOTATED)),
    "bare": Case(make_base(SEVERAL, config={"Env": None}, text="c")),
    "attested": Case(make_base(SEVERAL, attested=True, text="d")),
    # Capabilities on Windows alone are an error here.
    "windows": Case(make_base(WINDOWS), fields=""),
    "history": Case(make_base(LINUX, history=HISTORY, config=UNUSUAL)),
    "docker-history": Case(make_base(SEVERAL, docker=True, history=HISTORY, config=UNUSUAL)),
    "arm": Case(make_base(["linux/arm/v6", "linux/arm/v7"])),
    "debug": Case(
        make_base(["linux/amd64", "linux/arm64"]),
        f'{CAPABILITIES}, debug=True, delve=":dlv"',
        ("--debug",),
    ),
}


@pytest.fixture(scope="module")
def ko() -> str:
    return find_go_peer("ko")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as found:
        for name, case in CASES.items():
            push(case.base, found.host, f"bases/{name}")
        yield found


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace()
    workspace.write(
        {
            "app/go.mod": go_mod("example.com/app"),
            "app/main.go": PROGRAM,
            "app/kodata/greeting.txt": "hello\n",
            "app/kodata/deep/er": "deeper\n",
            "app/.ko.yaml": KO_YAML,
            # What ko takes for Delve: a program that is compiled faster.
            "delve/go.mod": go_mod("github.com/go-delve/delve"),
            "delve/cmd/dlv/main.go": "package main\n\nfunc main() {}\n",
        }
    )
    (workspace.root / "app/kodata/link.txt").symlink_to("greeting.txt")
    (workspace.root / "app/kodata/also-deep").symlink_to("deep")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(
            [*git, *arguments], cwd=workspace.root / "delve", check=True, capture_output=True
        )
    return workspace


@pytest.fixture(scope="module")
def ours(repo: Workspace, registry: RealRegistry, ko: str) -> Run:
    """All images in one run."""
    targets = [EXECUTABLES]
    for name, case in CASES.items():
        reference = f"{registry.host}/bases/{name}:latest"
        targets.append(
            f"go_oci_image(name={name!r}, base_image={reference!r}, {FIELDS} {case.fields})\n"
        )
    repo.write({"app/BUILD": "".join(targets)})
    environment = {"KO_DOCKER_REPO": f"{registry.host}/ours", "VERSION": "1.2.3"}
    return repo.publish("app:", env=environment).ok()


def built_by_ko(ko: str, repo: Workspace, registry: RealRegistry, name: str) -> Published:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KO", "GOFLAGS"))}
    case = CASES[name]
    result = subprocess.run(
        [ko, "build", "--bare", "--platform=all", "--sbom=none", *FLAGS, *case.flags, "."],
        cwd=repo.root / "app",
        env={
            **environment,
            "DOCKER_CONFIG": str(repo.home),
            "KO_DOCKER_REPO": f"{registry.host}/ko/{name}",
            "KO_DEFAULTBASEIMAGE": f"{registry.host}/bases/{name}:latest",
            "VERSION": "1.2.3",
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "GOFLAGS": "-buildvcs=false",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{repo.root}/delve.insteadOf",
            "GIT_CONFIG_VALUE_0": DELVE,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    return published_on(registry.host, f"ko/{name}")


def differences(ours: Any, kos: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """By path, what is not equal: ours, and ko's."""
    if isinstance(ours, dict) and isinstance(kos, dict):
        parts = [(f"{path}/{k}", ours.get(k), kos.get(k)) for k in {**ours, **kos}]
    elif isinstance(ours, list) and isinstance(kos, list) and len(ours) == len(kos):
        parts = [(f"{path}[{n}]", *pair) for n, pair in enumerate(zip(ours, kos))]
    else:
        return {} if ours == kos else {path: (ours, kos)}
    found: dict[str, tuple[Any, Any]] = {}
    for part in parts:
        found.update(differences(part[1], part[2], part[0]))
    return found


# By a pattern of the path: ours and ko's as patterns of their text.
EXPECTED = {
    # Another compressor, so other layers, so other manifests.
    r"index/manifests\[\d\]/(digest|size)": (".+", ".+"),
    r"\w+/manifest/layers\[[123]\]/(digest|size)": (".+", ".+"),
    # Go's encoder, and Go's zero time in the base's history.
    r"\w+/manifest/config/(digest|size)": (".+", ".+"),
    r"\w+/config/history\[\d\]/created": ("None", "0001-01-01T00:00:00Z"),
    # Go's type of a config lacks them.
    r"\w+/config/config/(Tty|com\.example\.unknown)": (".+", "None|False"),
    # The media type of the config, which nothing asks for.
    r"index/manifests\[\d\]/artifactType": ("None", r"application/vnd\..+"),
    # They are true of the base alone.
    r"\w+/manifest/annotations/.+\.(created|version|revision|ref\.name)": ("None", "of the base"),
    r"index/manifests\[\d\]/annotations/.+\.(base\.name|base\.digest|created)": (
        "None",
        "of the base",
    ),
    r"index/manifests\[\d\]/annotations/.+\.(version|revision|ref\.name)": ("None", "of the base"),
    # ko names an index that nobody has: of the base's, with annotations.
    r"index/annotations/org\.opencontainers\.image\.base\.digest": ("sha256:.+", "sha256:.+"),
    # An index of Docker's has no annotations.
    r"index/annotations": ("None", r"\{.*base\.digest.*\}"),
    # ko leaves links in kodata out for Windows.
    r"windows/config/rootfs/diff_ids\[1\]": ("sha256:.+", "sha256:.+"),
    r"windows/kodata/Files/var/run/ko/(link\.txt|also-deep(/er)?)": (".+", "None"),
    # The layer of Delve is below that of the program, in which alone an edit is.
    r"debug/config/(rootfs/diff_ids|history)\[[23]\].*": (".+", ".+"),
}


@dataclass(frozen=True)
class Compared:
    """An image, that of ko, and what is not equal, by path."""

    image: Published
    kos: Published
    found: Mapping[str, tuple[Any, Any]]


@pytest.fixture(scope="module")
def compared(
    ko: str, repo: Workspace, registry: RealRegistry, ours: Run
) -> Callable[[str], Compared]:
    """Compares the images of a case, once."""
    done: dict[str, Compared] = {}

    def compare(name: str) -> Compared:
        if name not in done:
            image = published_on(registry.host, f"ours/{name}")
            kos = built_by_ko(ko, repo, registry, name)
            done[name] = Compared(image, kos, all_differences(image, kos, name))
        return done[name]

    return compare


def all_differences(image: Published, kos: Published, name: str) -> dict[str, tuple[Any, Any]]:
    found = differences(dict(image.index), dict(kos.index), "index")
    for manifest, of_ko in zip(image.manifests, kos.manifests):
        kind = name if name == "debug" else manifest.platform.partition("/")[0]
        found.update(differences(manifest.manifest, of_ko.manifest, f"{kind}/manifest"))
        found.update(differences(manifest.config, of_ko.config, f"{kind}/config"))
        kodata = members(manifest.tars[1]), members(of_ko.tars[1])
        found.update(differences(*kodata, f"{kind}/kodata"))
    return found


def members(tar: bytes) -> dict[str, tuple[Any, ...]]:
    """Everything that the tar says of each path."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {
            member.name: (
                member.mode,
                member.type,
                member.uid,
                member.gid,
                member.mtime,
                member.size,
                sorted(member.pax_headers.items()),
            )
            for member in archive
        }


def patterns_of(path: str, pair: tuple[Any, Any]) -> list[str]:
    """The expected differences that this is one of."""
    return [
        pattern
        for pattern, texts in EXPECTED.items()
        if re.fullmatch(pattern, path)
        and all(re.fullmatch(text, str(value)) for text, value in zip(texts, pair))
    ]


@pytest.mark.parametrize("name", CASES)
def test_only_what_is_known_differs(name: str, compared: Callable[[str], Compared]) -> None:
    result = compared(name)
    assert result.image.media_type == result.kos.media_type
    assert result.image.platforms == result.kos.platforms
    for manifest, of_ko in zip(result.image.manifests, result.kos.manifests):
        # Layers of the base, and of programs.
        assert manifest.tars[0] == of_ko.tars[0]
        assert sorted(manifest.tars[2:]) == sorted(of_ko.tars[2:])
        if not manifest.platform.startswith("windows"):
            assert manifest.tars[1] == of_ko.tars[1]
    unexpected = {path: pair for path, pair in result.found.items() if not patterns_of(path, pair)}
    assert unexpected == {}
    if "annotations" in result.image.index:
        digest = result.image.index["annotations"]["org.opencontainers.image.base.digest"]
        assert digest == CASES[name].base.digest


def test_every_difference_of_the_list_is_found(compared: Callable[[str], Compared]) -> None:
    """Otherwise the list, and docs/coming-from-ko.md, say what is no longer true."""
    found = {
        pattern
        for name in CASES
        for path, pair in compared(name).found.items()
        for pattern in patterns_of(path, pair)
    }
    assert found == set(EXPECTED)


def test_the_value_of_a_template_is_in_both_programs(
    compared: Callable[[str], Compared],
) -> None:
    result = compared("oci-index")
    for manifest, of_ko in zip(result.image.manifests, result.kos.manifests):
        assert b"1.2.3" in manifest.executable()
        # Build id included.
        assert manifest.executable() == of_ko.executable()


def test_debug_images_have_the_same_entrypoint_port_and_layers(
    compared: Callable[[str], Compared],
) -> None:
    result = compared("debug")
    for manifest, of_ko in zip(result.image.manifests, result.kos.manifests):
        ours, theirs = manifest.config["config"], of_ko.config["config"]
        assert ours["Entrypoint"][:2] == ["/ko-app/dlv", "exec"]
        assert ours["Entrypoint"] == theirs["Entrypoint"]
        assert ours.get("ExposedPorts") == theirs.get("ExposedPorts")
        assert len(manifest.layers) == len(of_ko.layers) == 4
