"""Generates the monorepo that the benchmark publishes: N Go services over shared packages.

    services/svc-000 ...  main packages; each imports pkg/server (net/http), a feature and a leaf
    pkg/core/*            depth 0: imported by nearly everything
    pkg/domain/*          depth 1: each imports two of core
    pkg/feature/*         depth 2: each imports two of domain; one in four embeds a directory
    pkg/leaf/*            used by five services each
    cmd/tool              no image; the only user of the third-party module (variant with one)

An edit changes a constant that the services print, so the linker has work too. The services import
nothing but the standard library, so nothing needs a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

MODULE = "example.com/bench"
THIRD_PARTY = "example.com/unrelated"
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/ppc64le", "linux/s390x")
USERS_OF_A_LEAF = 5

#: What the services import of the standard library.
STANDARD_LIBRARY = (
    *("embed", "encoding/json", "fmt", "net/http", "os", "strconv", "strings", "sync"),
)

_CORES = 4
_DOMAINS = 8
_FEATURES = 16

_GIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@example.com",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True)
class Shape:
    """What is generated.

    :param services: how many images. Each has a directory and a BUILD file, and a main package.
    :param programs: how many of them have a main package; the others have the programs of these,
        and a label of their own. 0 for all.
    :param tiny: services that import nothing but `os`, for runs with hundreds of them.
    :param third_party: go.mod requires a module that no service uses.
    :param go_work: each service is a module of its own, which a go.work uses.
    """

    services: int = 50
    programs: int = 0
    tiny: bool = False
    third_party: bool = False
    go_work: bool = False


class Monorepo:
    """A generated Go module in a git repository, and the edits that rows make to it."""

    def __init__(self, root: Path, shape: Shape) -> None:
        self.root = root
        self.shape = shape
        self._counter = 0

    @property
    def services(self) -> list[str]:
        """Directories of the images, relative to the root."""
        return [f"services/svc-{i:03}" for i in range(self.shape.services)]

    def generate(self) -> None:
        """Write all files and commit them."""
        for path, content in sources(self.shape).items():
            self._write(path, content)
        if self.shape.third_party:
            self._write("go.mod", _go_mod(1))
            self._write("go.sum", "".join(go_sum_lines(1)))
        self._git("init", "--quiet", "--initial-branch=main")
        self.commit("generated")

    def commit(self, message: str) -> None:
        """Commit everything, because ko writes the revision and "modified" into executables."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", message)

    def edit_leaf(self) -> None:
        """Put a new value into the first leaf package; five services import it."""
        number = self._next()
        self._write(_leaf_path(0), _leaf(0, number))
        self.commit(f"leaf {number}")

    def edit_service(self) -> None:
        """Put a new value into one service."""
        number = self._next()
        last = _programs(self.shape) - 1
        self._write(f"{self.services[last]}/main.go", _main(self.shape, last, number))
        self.commit(f"service {number}")

    def edit_readme(self) -> None:
        """Change text that no program reads, at the root and beside a main package."""
        number = self._next()
        self._write("README.md", f"# Bench\n\nRevision {number}.\n")
        self._write(f"{self.services[0]}/README.md", f"Service, revision {number}.\n")
        self.commit(f"readme {number}")

    def bump_third_party(self) -> None:
        """Require another version of the module that no service uses."""
        number = self._next() + 1
        self._write("go.mod", _go_mod(number))
        self._write("go.sum", "".join(go_sum_lines(number)))
        self.commit(f"bump to v1.0.{number}")

    def _next(self) -> int:
        self._counter += 1
        return self._counter

    def _write(self, path: str, content: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)

    def _git(self, *arguments: str) -> None:
        _git(self.root, *arguments)


def copy_as_repository(source: Path, root: Path) -> Path:
    """Copy a checkout or a module of Go's cache (read-only, without history), and commit it."""
    shutil.copytree(source, root, symlinks=True)
    for directory, _, files in os.walk(root):
        for path in (directory, *(os.path.join(directory, name) for name in files)):
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o200)
    if not (root / ".git").exists():
        commit_all(root)
    return root


def commit_all(root: Path) -> None:
    """Make a git repository of a directory, with all its files in one commit."""
    _git(root, "init", "--quiet", "--initial-branch=main")
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", "all")


def _git(root: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", *arguments],
        cwd=root,
        env={**os.environ, **_GIT_ENVIRONMENT},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def sources(shape: Shape) -> dict[str, str]:
    """The content of every file by path, without go.sum, pants.toml and the files of git."""
    files = {
        "go.mod": f"module {MODULE}\n\ngo 1.21\n",
        "README.md": "# Bench\n",
        ".gitignore": "/.pids/\n/.pants.d/\n/dist/\n/pants.toml\n",
        # The tag comes from the environment, as it does in CI.
        "BUILD": "__defaults__({go_oci_image: dict(image_tags=[env('BENCH_TAG', 'latest')])})\n",
    }
    for i in range(shape.services):
        files[f"services/svc-{i:03}/BUILD"] = _build_file(shape, i)
    for i in range(_programs(shape)):
        directory = f"services/svc-{i:03}"
        files[f"{directory}/main.go"] = _main(shape, i, 0)
        if shape.go_work:
            files[f"{directory}/go.mod"] = f"module {MODULE}/{directory}\n\ngo 1.21\n"
    for i in range(_leaves(shape)):
        files[_leaf_path(i)] = _leaf(i, 0)
    if shape.go_work:
        uses = "".join(f"\t./services/svc-{i:03}\n" for i in range(_programs(shape)))
        files["go.work"] = f"go 1.21\n\nuse (\n\t.\n{uses})\n"
    if shape.third_party:
        files["cmd/tool/main.go"] = (
            f'package main\n\nimport "{THIRD_PARTY}"\n\nfunc main() {{ println(unrelated.Name) }}\n'
        )
    if shape.tiny:
        return files
    for i in range(_CORES):
        files[f"pkg/core/core{i}/core{i}.go"] = _package(f"core{i}", [], ["strings", "sync"])
    for i in range(_DOMAINS):
        below = [f"core/core{i % _CORES}", f"core/core{(i + 1) % _CORES}"]
        files[f"pkg/domain/domain{i}/domain{i}.go"] = _package(f"domain{i}", below, ["strconv"])
    for i in range(_FEATURES):
        below = [f"domain/domain{i % _DOMAINS}", f"domain/domain{(i + 3) % _DOMAINS}"]
        name = f"feature{i}"
        embed = i % 4 == 0
        files[f"pkg/feature/{name}/{name}.go"] = _package(name, below, ["fmt"], embed=embed)
        files[f"pkg/feature/{name}/{name}_test.go"] = _test(name)
        if embed:
            files[f"pkg/feature/{name}/data/text.txt"] = f"Embedded in {name}.\n"
    files["pkg/server/server.go"] = _SERVER
    return files


def write_proxy(directory: Path, versions: int) -> None:
    """A module proxy on disk (for GOPROXY=file://...) with v1.0.1 ... of the third-party module."""
    place = directory / THIRD_PARTY / "@v"
    place.mkdir(parents=True, exist_ok=True)
    names = [f"v1.0.{number}" for number in range(1, versions + 1)]
    (place / "list").write_text("".join(f"{name}\n" for name in names))
    for name in names:
        (place / f"{name}.info").write_text(json.dumps({"Version": name}))
        (place / f"{name}.mod").write_text(_THIRD_PARTY_MOD)
        with zipfile.ZipFile(place / f"{name}.zip", "w") as archive:
            for path, content in _third_party_files(name).items():
                archive.writestr(f"{THIRD_PARTY}@{name}/{path}", content)


def go_sum_lines(number: int) -> list[str]:
    """The lines of go.sum for v1.0.<number> of the third-party module (Go's `h1:` hashes)."""
    name = f"v1.0.{number}"
    files = {f"{THIRD_PARTY}@{name}/{p}": c for p, c in _third_party_files(name).items()}
    return [
        f"{THIRD_PARTY} {name} {_hash1(files)}\n",
        f"{THIRD_PARTY} {name}/go.mod {_hash1({'go.mod': _THIRD_PARTY_MOD})}\n",
    ]


_THIRD_PARTY_MOD = f"module {THIRD_PARTY}\n\ngo 1.21\n"


def _third_party_files(version: str) -> dict[str, str]:
    return {
        "go.mod": _THIRD_PARTY_MOD,
        "unrelated.go": f'package unrelated\n\nconst Name = "unrelated {version}"\n',
    }


def _hash1(files: dict[str, str]) -> str:
    """golang.org/x/mod/sumdb/dirhash: the hash of the sorted lines `<sha256>  <name>`."""
    summary = "".join(
        f"{hashlib.sha256(content.encode()).hexdigest()}  {name}\n"
        for name, content in sorted(files.items())
    )
    return "h1:" + base64.b64encode(hashlib.sha256(summary.encode()).digest()).decode()


def _go_mod(number: int) -> str:
    return f"module {MODULE}\n\ngo 1.21\n\nrequire {THIRD_PARTY} v1.0.{number}\n"


def _programs(shape: Shape) -> int:
    return min(shape.programs or shape.services, shape.services)


def _build_file(shape: Shape, number: int) -> str:
    """An image of the program beside it; or of one that others have too, with its own config."""
    programs = _programs(shape)
    if programs == shape.services:
        return "go_oci_image()\n"
    image = (
        f"go_oci_image(binary='//services/svc-{number % programs:03}:program', "
        f"image_labels={{'service': '{number}'}})\n"
    )
    return image + ("go_executable(name='program')\n" if number < programs else "")


def _leaves(shape: Shape) -> int:
    return -(-_programs(shape) // USERS_OF_A_LEAF)


def _leaf_path(number: int) -> str:
    return f"pkg/leaf/leaf{number}/leaf{number}.go"


def _leaf(number: int, value: int) -> str:
    return (
        f"package leaf{number}\n\n// Value is what an edit changes.\n"
        f'const Value = "leaf {number}, edit {value}"\n'
    )


def _main(shape: Shape, number: int, value: int) -> str:
    leaf = f"leaf{number // USERS_OF_A_LEAF}"
    text = f"service {number}, edit {value}"
    if shape.tiny:
        return (
            "package main\n\nimport (\n"
            f'\t"os"\n\n\t"{MODULE}/pkg/leaf/{leaf}"\n)\n\n'
            f'func main() {{ os.Stdout.WriteString("{text}, " + {leaf}.Value + "\\n") }}\n'
        )
    feature = f"feature{number % _FEATURES}"
    return (
        "package main\n\nimport (\n"
        f'\t"{MODULE}/pkg/feature/{feature}"\n'
        f'\t"{MODULE}/pkg/leaf/{leaf}"\n'
        f'\t"{MODULE}/pkg/server"\n)\n\n'
        f'func main() {{ server.Run("{text}", {feature}.Name(), {leaf}.Value) }}\n'
    )


_SERVER = f"""package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"{MODULE}/pkg/core/core0"
)

// Run prints what it is, and serves if there is an address to serve at.
func Run(names ...string) {{
	fmt.Println(core0.Name(), names)
	address := os.Getenv("ADDRESS")
	if address == "" {{
		return
	}}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {{
		json.NewEncoder(w).Encode(map[string]any{{"path": r.URL.Path, "names": names}})
	}})
	fmt.Println(http.ListenAndServe(address, nil))
}}
"""

_USES = {
    "strings": 'strings.ToUpper("{name}")',
    "sync": 'func() string {{ new(sync.Mutex).Lock(); return "" }}()',
    "strconv": 'strconv.Quote("{name}")',
    "fmt": 'fmt.Sprint("{name}")',
}


def _package(name: str, below: list[str], standard: list[str], *, embed: bool = False) -> str:
    imports = [*standard, *(["embed"] if embed else [])]
    lines = [f"package {name}", "", "import ("]
    lines += [f'\t"{path}"' for path in sorted(imports)]
    lines += ["", *(f'\t"{MODULE}/pkg/{path}"' for path in sorted(below))] if below else []
    lines += [")", ""]
    parts = [_USES[path].format(name=name) for path in standard]
    parts += [f"{path.rpartition('/')[2]}.Name()" for path in below]
    if embed:
        lines += ["//go:embed data", "var data embed.FS", ""]
        parts.append("text()")
        lines += [
            "func text() string {",
            '\tcontent, _ := data.ReadFile("data/text.txt")',
            "\treturn string(content)",
            "}",
            "",
        ]
    lines += [f"// Name is {name} and what it stands on.", "func Name() string {"]
    lines += [f"\treturn {' + '.join(parts)}", "}", ""]
    return "\n".join(lines)


def _test(name: str) -> str:
    return (
        f'package {name}\n\nimport "testing"\n\n'
        "func TestName(t *testing.T) {\n"
        '\tif Name() == "" {\n\t\tt.Fatal("empty")\n\t}\n}\n'
    )
