"""Which files a part of a build reads, as the go tool or ko sees them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ko_pants.disk.disk import Disk, Entries
from ko_pants.errors import KoPantsError
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.input_views import Embedded, KodataTree, NamedFiles, PackageDirectory, View

# Kinds of what is neither file nor directory nor link.
SPECIAL = ("pipe", "socket")
# Links that no view follows, and what the error says of them.
BAD_LINKS = (
    ("../../outside", "out of the repo"),
    ("../../outside-directory", "out of the repo"),
    ("/etc/passwd", "absolute path '/etc/passwd'"),
    ("../absolute", "absolute path"),
    ("nowhere", "does not exist"),
    ("../looped", "does not exist"),
)


class Repo:
    """A tree in the directory `repo`, with something to link to beside it."""

    def __init__(self, above: Path) -> None:
        self.root = above / "repo"
        self.root.mkdir()
        (above / "outside").write_text("")
        (above / "outside-directory").mkdir()
        (above / "outside-directory" / "file.go").write_text("")
        self.link("absolute", str(self.root / "file"))
        self.link("looped", "looped")
        self.disk = Disk(str(self.root))
        #: The directories that the last view has asked for.
        self.asked: set[str] = set()

    def path(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, *names: str) -> None:
        for name in names:
            self.path(name).write_text("")

    def link(self, name: str, target: str) -> None:
        self.path(name).symlink_to(target)

    def special(self, kind: str, name: str) -> None:
        path = self.path(name)
        if kind == "pipe":
            os.mkfifo(path)
            return
        # The path of a socket must be short, so it is made here and then moved.
        with socket.socket(socket.AF_UNIX) as listener:
            here = os.getcwd()
            os.chdir(path.parent)
            try:
                listener.bind(path.name)
            finally:
                os.chdir(here)

    def files(self, view: View) -> set[str]:
        self.asked = set()

        def entries(directory: str) -> Entries:
            self.asked.add(directory)
            return self.disk.entries(directory)

        return set(view.files(self.disk, entries))

    def error(self, view: View) -> str:
        with pytest.raises(KoPantsError) as e:
            self.files(view)
        # The text can be printed, whatever the name of the file.
        str(e.value).encode()
        return str(e.value)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path)


def test_the_files_that_can_belong_to_a_package(repo: Repo) -> None:
    wanted = {"a.go", "a_windows.go", "x.s", "x.h", "x.hpp", "x.syso", "default.pgo", "go.mod"}
    wanted |= {"[id].go", "café.go", "a b.go"}
    repo.write(*(f"pkg/{name}" for name in wanted))
    repo.write(
        *("pkg/a_test.go", "pkg/_a.go", "pkg/.a.go", "pkg/README.md", "pkg/a.c", "pkg/go.sum"),
        *("pkg/sub/b.go", "pkg/directory.go/c.go", "pkg/a.go~"),
    )
    assert repo.files(PackageDirectory("pkg")) == {f"pkg/{name}" for name in wanted}
    assert repo.asked == {"pkg"}
    assert repo.files(PackageDirectory("pkg/missing")) == set()


def test_a_package_in_the_root(repo: Repo) -> None:
    repo.write("main.go", "go.mod", "sub/x.go")
    assert repo.files(PackageDirectory("")) == {"main.go", "go.mod"}


def test_links_in_a_package(repo: Repo) -> None:
    repo.write("other/x.go", "pkg/y.txt")
    repo.link("pkg/x.go", "../other/x.go")
    repo.link("pkg/y.go", "y.txt")
    repo.link("pkg/twice.go", "x.go")
    repo.link("pkg/directory.go", "../other")
    repo.link("pkg/itself", ".")
    assert repo.files(PackageDirectory("pkg")) == {"pkg/x.go", "pkg/y.go", "pkg/twice.go"}


@pytest.mark.parametrize(("target", "says"), BAD_LINKS)
def test_bad_links_in_a_package(repo: Repo, target: str, says: str) -> None:
    repo.write("pkg/main.go")
    repo.link("pkg/x.go", target)
    text = repo.error(PackageDirectory("pkg"))
    assert text.startswith("pkg/x.go is a symbolic link")
    assert says in text


@pytest.mark.parametrize("name", ["x_test.go", "notes.txt", ".x.go", "_x.go", "linked"])
def test_bad_links_that_no_package_has_are_nobodys_business(repo: Repo, name: str) -> None:
    repo.write("pkg/main.go")
    repo.link(f"pkg/{name}", "/nowhere")
    repo.special("pipe", "pkg/pipe")
    repo.write("pkg/caf\udce9.txt")
    assert repo.files(PackageDirectory("pkg")) == {"pkg/main.go"}


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_go_file_that_is_no_file(repo: Repo, kind: str) -> None:
    repo.special(kind, "pkg/x.go")
    assert "pkg/x.go is neither a file nor" in repo.error(PackageDirectory("pkg"))


def test_a_go_file_whose_name_is_not_utf8(repo: Repo) -> None:
    repo.write("pkg/caf\udce9.go")
    text = repo.error(PackageDirectory("pkg"))
    assert "b'caf\\xe9.go' in pkg is not UTF-8" in text


def test_embedded_files(repo: Repo) -> None:
    repo.write("pkg/static/.well-known/a", "pkg/static/b", "pkg/static/sub/c", "pkg/d")
    view = Embedded(EmbedFilter("pkg", ("all:static",)))
    assert repo.files(view) == {
        *("pkg/static/.well-known/a", "pkg/static/b", "pkg/static/sub/c"),
    }
    # What comes or goes in these is seen.
    assert {"pkg", "pkg/static", "pkg/static/.well-known", "pkg/static/sub"} <= repo.asked
    assert view.names_matter


def test_named_files(repo: Repo) -> None:
    repo.write("go.mod", "a/go.sum", "b/real")
    repo.link("b/go.mod", "real")
    repo.link("d/go.mod", "../b")
    repo.path("c/go.mod").mkdir(parents=True)
    view = NamedFiles(
        (
            *("go.mod", "go.work", "a/go.sum", "b/go.mod", "c/go.mod", "d/go.mod"),
            *("missing/go.mod", "go.mod/below"),
        )
    )
    assert repo.files(view) == {"go.mod", "a/go.sum", "b/go.mod"}
    assert {"", "a", "b", "c", "missing"} <= repo.asked


@pytest.mark.parametrize(("target", "says"), BAD_LINKS)
def test_bad_links_to_named_files(repo: Repo, target: str, says: str) -> None:
    repo.link("pkg/go.mod", target)
    text = repo.error(NamedFiles(("pkg/go.mod",)))
    assert "pkg/go.mod is a symbolic link" in text
    assert says in text


def test_kodata(repo: Repo) -> None:
    wanted = {"kodata/a", "kodata/.b", "kodata/.well-known/c", "kodata/_d", "kodata/[id]/e.js"}
    repo.write(*wanted, "other/f")
    assert repo.files(KodataTree("kodata")) == wanted
    assert repo.asked >= {"kodata", "kodata/.well-known", "kodata/[id]"}
    assert repo.files(KodataTree("missing")) == set()
    assert repo.asked == {"missing"}


def test_links_in_kodata(repo: Repo) -> None:
    repo.write(".git/HEAD", "files/x", "files/.sub/y")
    repo.link("app/kodata/HEAD", "../../.git/HEAD")
    repo.link("app/kodata/files", "../../files")
    repo.link("app/kodata/again", "files")
    assert repo.files(KodataTree("app/kodata")) == {
        "app/kodata/HEAD",
        *("app/kodata/files/x", "app/kodata/files/.sub/y"),
        *("app/kodata/again/x", "app/kodata/again/.sub/y"),
    }
    assert {"app/kodata/files", "app/kodata/files/.sub"} <= repo.asked


def test_a_link_in_a_directory_that_is_reached_through_a_link(repo: Repo) -> None:
    repo.write("data/x", "files/y")
    repo.link("files/up", "../data")
    repo.link("kodata/files", "../files")
    assert repo.files(KodataTree("kodata")) == {"kodata/files/y", "kodata/files/up/x"}


def test_kodata_that_is_itself_a_link(repo: Repo) -> None:
    repo.write("data/x", "data/sub/y")
    repo.link("app/kodata", "../data")
    assert repo.files(KodataTree("app/kodata")) == {"app/kodata/x", "app/kodata/sub/y"}


@pytest.mark.parametrize(("target", "says"), BAD_LINKS)
@pytest.mark.parametrize("name", ["kodata/l", "kodata"])
def test_bad_links_in_kodata(repo: Repo, name: str, target: str, says: str) -> None:
    if name == "kodata":
        target = target.replace("../", "", 1)
    repo.link(name, target)
    text = repo.error(KodataTree("kodata"))
    assert text.startswith(f"{name} is a symbolic link")
    assert says in text


@pytest.mark.parametrize("target", [".", "..", "../../app", "sub/up"])
def test_kodata_without_end(repo: Repo, target: str) -> None:
    repo.write("app/main.go", "app/kodata/x", "app/kodata/sub/y")
    repo.link("app/kodata/sub/up", "..")
    if target != "sub/up":
        repo.link("app/kodata/l", target)
    text = repo.error(KodataTree("app/kodata"))
    assert "is a symbolic link to a directory that contains it" in text
    assert text.startswith("app/kodata/")


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("linked", [False, True])
def test_special_files_in_kodata(repo: Repo, kind: str, linked: bool) -> None:
    if linked:
        repo.special(kind, "elsewhere")
        repo.link("kodata/x", "../elsewhere")
    else:
        repo.special(kind, "kodata/x")
    assert "kodata/x is neither a file nor" in repo.error(KodataTree("kodata"))


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("kodata/caf\udce9", "in kodata "),
        ("kodata/caf\udce9/x", "in kodata "),
        ("kodata/sub/caf\udce9", "in kodata/sub "),
    ],
)
def test_names_in_kodata_that_are_not_utf8(repo: Repo, name: str, where: str) -> None:
    repo.write("kodata/a", name)
    text = repo.error(KodataTree("kodata"))
    assert f"b'caf\\xe9' {where}is not UTF-8" in text
