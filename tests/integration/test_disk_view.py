"""The image has what `go build` and ko read on the disk, whatever Pants hides or cannot read.

Files that Pants hides are seen in each run with the same daemon as others are.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from golang.trees import find_go, go_env
from integration.published import Published, published_in
from integration.workspace import Run, Workspace, go_mod

from ko_pants.oci.platform import Platform

MAIN = """package main

import (
	"embed"
	"io/fs"

	"example.com/view/gen"
)

//go:embed all:static
var files embed.FS

func main() {
	println(gen.Name)
	fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, _ error) error {
		if !entry.IsDir() {
			content, _ := files.ReadFile(path)
			println(path, string(content))
		}
		return nil
	})
}
"""
GENERATED = """package gen

func init() { Name = "generated" }
"""
FILES = {
    ".gitignore": "/dist/\n/.pants.d/\n/.pids/\n*.gen.go\n/app/static/dist/\n/made/ignored\n",
    "go.mod": go_mod("example.com/view"),
    "app/BUILD": "go_oci_image(platforms=['linux/amd64'])\n",
    "app/main.go": MAIN,
    "app/static/plain.txt": "plain",
    "app/static/[id].js": "id",
    "app/static/d/[slug]/page.js": "slug",
    "app/static/.well-known/security.txt": "security",
    "app/static/dist/app.js": "front end",
    "app/kodata/plain.txt": "plain",
    "app/kodata/.well-known/a": "well known",
    "gen/gen.go": 'package gen\n\nvar Name = "none"\n',
    "gen/x.gen.go": GENERATED,
    ".git/HEAD": "ref: refs/heads/main\n",
    "assets/x": "x",
    ".assets/sub/y": "y",
    "made/BUILD": "file(name='file', source='program')\n"
    "go_oci_image(name='made', binary=':file', platforms=['linux/amd64'])\n"
    "files(name='files', sources=['program'])\n"
    "go_oci_image(name='of-files', binary=':files', platforms=['linux/amd64'])\n"
    "file(name='ignored', source='ignored')\n"
    "go_oci_image(name='of-ignored', binary=':ignored', platforms=['linux/amd64'])\n",
}
EMBEDDED = {
    "static/plain.txt": "plain",
    "static/[id].js": "id",
    "static/d/[slug]/page.js": "slug",
    "static/.well-known/security.txt": "security",
    "static/dist/app.js": "front end",
}
KODATA = {
    "plain.txt": b"plain",
    ".well-known/a": b"well known",
    "HEAD": b"ref: refs/heads/main\n",
    "assets/x": b"x",
    "dot/sub/y": b"y",
}
LINKS = {
    # Nothing of the image is there.
    "itself": ".",
    "elsewhere/absolute": "/etc/hostname",
    "elsewhere/gone": "nowhere",
    # Go leaves out links below an embedded directory.
    "app/static/link.txt": "plain.txt",
    "app/static/absolute": "/etc/hostname",
    "app/static/directory": "d",
    # The idiom of Knative.
    "app/kodata/HEAD": "../../.git/HEAD",
    "app/kodata/assets": "../../assets",
    "app/kodata/dot": "../../.assets",
}
# Where files of the repo are below kodata.
THROUGH_LINKS = {"app/kodata/": "", ".git/": "", "assets/": "assets/", ".assets/": "dot/"}


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace()
    workspace.write(FILES)
    for name, target in LINKS.items():
        path = workspace.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    (workspace.root.parent / "outside.go").write_text("package main\n")
    return workspace


@pytest.fixture
def published(repo: Workspace) -> Run:
    """A run for the files as they are above."""
    return repo.publish("app:app").ok()


def image_of(repo: Workspace) -> Published:
    """The image that was published last."""
    return published_in(repo.root / "dist" / "oci", "app:latest")


def kodata_of(image: Published) -> dict[str, bytes]:
    """The files below $KO_DATA_PATH."""
    found: dict[str, bytes] = {}
    for layer in image.manifests[0].tars:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            for member in tar.getmembers():
                _, is_kodata, name = member.name.partition("var/run/ko/")
                file = tar.extractfile(member) if is_kodata and member.isfile() else None
                if file is not None:
                    found[name] = file.read()
    return found


def built_by_go(repo: Workspace, directory: Path) -> bytes:
    """What `go build` makes of the repo itself."""
    path = directory / "by-go"
    subprocess.run(
        [find_go(), "build", "-trimpath", "-buildvcs=false", "-o", str(path), "./app"],
        cwd=repo.root,
        env=go_env(Platform("linux", "amd64")),
        check=True,
    )
    return path.read_bytes()


def assert_up_to_date(run: Run) -> None:
    """Nothing was built and nothing was written."""
    assert "up to date" in run.ok().images["app:app"]["status"], run.output
    assert not run.processes


def assert_one_error(run: Run, *says: str) -> None:
    """The run failed with one error, meant for users, that has these texts."""
    assert run.exit_code == 1, run.output
    assert "IntrinsicError" not in run.output
    assert "Traceback" not in run.output
    (error,) = run.errors
    assert [text for text in says if text not in error] == [], error


def test_the_image_has_what_go_and_ko_read(published: Run, repo: Workspace, tmp_path: Path) -> None:
    image = image_of(repo)
    executable = image.manifests[0].executable()
    assert executable == built_by_go(repo, tmp_path)
    assert kodata_of(image) == KODATA
    for text in ("front end", "static/[id].js", "static/d/[slug]/page.js"):
        assert text.encode() in executable
    assert_up_to_date(repo.publish("app:app"))


@dataclass(frozen=True)
class Change:
    """A file that gets another content, comes (was None) or goes (is None)."""

    path: str
    new: str | None
    compiled: bool = True


CHANGES = [
    Change("app/static/[id].js", "edited"),
    Change("app/static/d/[slug]/page.js", "edited"),
    Change("app/static/d/[slug]/new.js", "new"),
    Change("app/static/.well-known/security.txt", "edited"),
    Change("app/static/.well-known/new.txt", "new"),
    Change("app/static/.well-known/security.txt", None),
    Change("app/static/.new/deep/x.txt", "new"),
    Change("app/static/dist/app.js", "edited"),
    Change("app/static/dist/assets/new.js", "new"),
    Change("app/static/dist/app.js", None),
    Change("app/static/__pycache__/x.pyc", "new"),
    Change("gen/x.gen.go", GENERATED.replace("generated", "edited")),
    Change("gen/y.gen.go", 'package gen\n\nfunc init() { Name += "!" }\n'),
    Change("gen/x.gen.go", None),
    Change("app/kodata/.well-known/a", "edited", compiled=False),
    Change("app/kodata/.well-known/b", "new", compiled=False),
    Change("app/kodata/.new/deep/c", "new", compiled=False),
    Change("app/kodata/.well-known/a", None, compiled=False),
    Change(".git/HEAD", "ref: refs/heads/other\n", compiled=False),
    Change("assets/x", "edited", compiled=False),
    Change("assets/.new/z", "new", compiled=False),
    Change(".assets/sub/y", "edited", compiled=False),
    Change(".assets/z", "new", compiled=False),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: f"{c.path} {c.new is None and 'gone'}")
def test_a_change_is_seen_in_the_next_run(
    change: Change, published: Run, repo: Workspace, tmp_path: Path
) -> None:
    before = image_of(repo)
    old = (repo.root / change.path).read_text() if change.path in FILES else None
    _set(repo, change.path, change.new)
    try:
        run = repo.publish("app:app").ok()
        image = image_of(repo)
        assert image.digest != before.digest, run.output
        assert any(p.startswith("Compile ") for p in run.processes) <= change.compiled
        assert image.manifests[0].executable() == built_by_go(repo, tmp_path)
        kodata = kodata_of(image)
        assert_up_to_date(repo.publish("app:app"))
    finally:
        _set(repo, change.path, old)
    if not change.compiled:
        name = change.path
        for real, linked in THROUGH_LINKS.items():
            name = linked + name[len(real) :] if name.startswith(real) else name
        expected = {k: v for k, v in KODATA.items() if k != name}
        if change.new is not None:
            expected[name] = change.new.encode()
        assert kodata == expected
    repo.publish("app:app").ok()
    assert image_of(repo).digest == before.digest


def _set(repo: Workspace, path: str, content: str | None) -> None:
    """Write a file, or delete it with the directories that it leaves empty."""
    if content is not None:
        repo.write({path: content})
        return
    file = repo.root / path
    file.unlink()
    while not any(file.parent.iterdir()):
        file = file.parent
        file.rmdir()


@dataclass(frozen=True)
class Bad:
    """Something that cannot be read, and what the error says beside target and path.

    :param target: of a link; a pipe if empty, a file if None.
    """

    path: str
    target: str | None
    says: str

    @property
    def shown(self) -> str:
        """The path as a message has it."""
        directory, _, name = (
            os.fsencode(self.path).decode("utf-8", "backslashreplace").rpartition("/")
        )
        return name if "\\x" in name else f"{directory}/{name}"


BAD = [
    Bad("app/kodata/out", "../../../outside.go", "leads out of the repo"),
    Bad("app/kodata/absolute", "/etc/hostname", "absolute path '/etc/hostname'"),
    Bad("app/kodata/gone", "nowhere", "'nowhere', which does not exist"),
    Bad("app/kodata/.well-known/gone", "nowhere", "'nowhere', which does not exist"),
    Bad("app/kodata/loop", ".", "contains it"),
    Bad("app/kodata/pipe", "", "neither a file"),
    Bad("app/kodata/caf\udce9", None, "not UTF-8"),
    Bad("app/out.go", "../../outside.go", "leads out of the repo"),
    Bad("app/out.gen.go", "../../outside.go", "leads out of the repo"),
    Bad("gen/gone.go", "nowhere.go", "'nowhere.go', which does not exist"),
    Bad("gen/absolute.go", "/etc/hostname", "absolute path '/etc/hostname'"),
    Bad("gen/pipe.go", "", "neither a file"),
    Bad("gen/caf\udce9.go", None, "not UTF-8"),
    Bad("app/static/caf\udce9", None, "invalid name"),
    Bad("app/static/what?.txt", None, "invalid name"),
]


@pytest.fixture
def bad(request: Any, published: Run, repo: Workspace) -> Iterator[Bad]:
    """Something bad in the repo."""
    case: Bad = request.param
    path = repo.root / case.path
    if case.target is None:
        path.write_text("package gen\n")
    elif case.target:
        path.symlink_to(case.target)
    else:
        os.mkfifo(path)
    try:
        yield case
    finally:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("bad", BAD, ids=lambda b: ascii(b.path), indirect=True)
def test_what_cannot_be_read_is_one_error(bad: Bad, repo: Workspace) -> None:
    # Also in the run after it: the error is not remembered as something else.
    for _ in range(2):
        run = repo.publish("app:app")
        assert_one_error(run, "app:app", bad.shown, bad.says)
    (repo.root / bad.path).unlink()
    assert_up_to_date(repo.publish("app:app"))


def test_images_beside_it_are_published(published: Run, repo: Workspace) -> None:
    """What is wrong with one image is nothing to another."""
    repo.write(
        {
            "beside/BUILD": "go_oci_image(platforms=['linux/amd64'])\n",
            "beside/main.go": "package main\n\nfunc main() {}\n",
        }
    )
    link = repo.root / "app" / "kodata" / "gone"
    link.symlink_to("nowhere")
    try:
        run = repo.publish("beside:beside").ok()
        assert run.images["beside:beside"]["published"]
    finally:
        link.unlink()
        repo.remove("beside")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("../../outside.go", "leads out of the repo"),
        ("/etc/hostname", "absolute path '/etc/hostname'"),
        ("nowhere", "does not exist"),
        ("../app", "is not a file"),
        ("", "is not a file"),
    ],
)
def test_a_prebuilt_file_that_cannot_be_read(
    repo: Workspace, target: str, says: str, tmp_path: Path
) -> None:
    path = repo.root / "made" / "program"
    if target:
        path.symlink_to(target)
    else:
        os.mkfifo(path)
    try:
        run = repo.publish("made:made")
        of_files = repo.publish("made:of-files")
        path.unlink()
        path.write_bytes(built_by_go(repo, tmp_path))
        repo.publish("made:made").ok()
    finally:
        path.unlink()
    assert_one_error(run, "made:made", "`binary`", "made/program", says)
    if target.startswith(("/", "../../")):
        # Pants looks at the files of this target first, and names the target and its field.
        assert_one_error(of_files, "made:files", "'sources'", "made/program")
    else:
        assert_one_error(of_files, "made:of-files", "`binary`", "made/program", says)


def test_a_prebuilt_file_that_pants_ignores(repo: Workspace, tmp_path: Path) -> None:
    repo.write({"made/ignored": built_by_go(repo, tmp_path)})
    run = repo.publish("made:of-ignored")
    assert_one_error(run, "made:of-ignored", "`binary`", "'!/made/ignored'", "pants_ignore")
    repo.pants("--pants-ignore=!/made/ignored", "publish", "made:of-ignored").ok()
