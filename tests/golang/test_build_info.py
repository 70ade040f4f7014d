"""What `go version -m` prints is parsed; the texts are of real executables, shortened."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ko_pants.golang.build_info import BuildInfo, Module, parse_build_info

_SUM = "h1:FggFTOgqz3sCdac8DvF2uU7FjphG3zNvZ9QMLOuVhZ8="
_MOD_SUM = "h1:NxFcEqzFSEVCGN2yq7Huv/9hyCEGVa/TncnOOBBeXHA="

_INSTALLED = f"""/root/go/bin/ko: go1.26.8
\tpath\tgithub.com/google/ko
\tmod\tgithub.com/google/ko\tv0.19.1\t{_SUM}
\tdep\tal.essio.dev/pkg/shellescape\tv1.6.0\t{_MOD_SUM}
\tdep\tgithub.com/docker/docker\tv28.5.2+incompatible\t{_SUM}
\tbuild\t-buildmode=exe
\tbuild\tCGO_CFLAGS=
\tbuild\tGOOS=linux
"""

# With go.work, a module of the repo is `(devel)`.
_WORKSPACE = """./a: go1.26.8
\tpath\texample.com/a
\tmod\texample.com/a\t(devel)\t
\tdep\texample.com/lib\t(devel)\t
\tbuild\t-tags=x,y
\tbuild\t-trimpath=true
\tbuild\tDefaultGODEBUG=asynctimerchan=1,containermaxprocs=0
"""

_REPLACED_BY_PATH = """a: go1.21.13
\tpath\texample.com/a
\tmod\texample.com/a\t(devel)\t
\tdep\texample.com/lib\tv0.0.0
\t=>\t../lib\t(devel)\t
\t
\tbuild\t-compiler=gc
"""

_REPLACED_BY_VERSION = f"""./app: go1.27.3
\tpath\texample.com/app/cmd/app
\tmod\texample.com/app\tv1.2.4-0.20240101000000-abcdefabcdef+dirty\t
\tdep\texample.com/lib\tv1.0.0
\t=>\texample.com/fork\tv1.5.0\t{_SUM}
\t
\tdep\texample.com/other\tv0.1.0\t{_MOD_SUM}
"""

# `go build -mod=vendor`: the sums are not known.
_VENDORED = """./app: go1.26.8
\tpath\texample.com/app
\tmod\texample.com/app\t(devel)\t
\tdep\texample.com/lib\tv1.0.0\t
"""

_FILE_ARGUMENT = """a3: go1.26.8
\tpath\tcommand-line-arguments
\tbuild\t-buildmode=exe
\tbuild\tGOOS=linux
"""

_QUOTED = r"""app: devel go1.27-3901409b5d Fri Nov 27 10:00:00 2026 -0800 X:aliastypeparams
	path	example.com/a
	mod	example.com/a	(devel)
	build	-ldflags="-X main.V=caf\u0301 \"b\"\ttab\n\\x\xff -s"
	build	"a key"=`raw \n`
	build	vcs.time=2024-01-01T00:00:00Z
	build	X==
	future	x	y	z
"""

INFOS = [
    (
        _INSTALLED,
        BuildInfo(
            "go1.26.8",
            "github.com/google/ko",
            Module("github.com/google/ko", "v0.19.1", _SUM),
            (
                Module("al.essio.dev/pkg/shellescape", "v1.6.0", _MOD_SUM),
                Module("github.com/docker/docker", "v28.5.2+incompatible", _SUM),
            ),
            (("-buildmode", "exe"), ("CGO_CFLAGS", ""), ("GOOS", "linux")),
        ),
    ),
    (
        _WORKSPACE,
        BuildInfo(
            "go1.26.8",
            "example.com/a",
            Module("example.com/a", "(devel)"),
            (Module("example.com/lib", "(devel)"),),
            (
                ("-tags", "x,y"),
                ("-trimpath", "true"),
                ("DefaultGODEBUG", "asynctimerchan=1,containermaxprocs=0"),
            ),
        ),
    ),
    (
        _REPLACED_BY_PATH,
        BuildInfo(
            "go1.21.13",
            "example.com/a",
            Module("example.com/a", "(devel)"),
            (Module("example.com/lib", "v0.0.0", "", Module("../lib", "(devel)")),),
            (("-compiler", "gc"),),
        ),
    ),
    (
        _REPLACED_BY_VERSION,
        BuildInfo(
            "go1.27.3",
            "example.com/app/cmd/app",
            Module("example.com/app", "v1.2.4-0.20240101000000-abcdefabcdef+dirty"),
            (
                Module("example.com/lib", "v1.0.0", "", Module("example.com/fork", "v1.5.0", _SUM)),
                Module("example.com/other", "v0.1.0", _MOD_SUM),
            ),
        ),
    ),
    (
        _VENDORED,
        BuildInfo(
            "go1.26.8",
            "example.com/app",
            Module("example.com/app", "(devel)"),
            (Module("example.com/lib", "v1.0.0"),),
        ),
    ),
    (
        _FILE_ARGUMENT,
        BuildInfo(
            "go1.26.8",
            "command-line-arguments",
            settings=(("-buildmode", "exe"), ("GOOS", "linux")),
        ),
    ),
    (
        _QUOTED,
        BuildInfo(
            "devel go1.27-3901409b5d Fri Nov 27 10:00:00 2026 -0800 X:aliastypeparams",
            "example.com/a",
            Module("example.com/a", "(devel)"),
            (),
            (
                ("-ldflags", '-X main.V=caf\u0301 "b"\ttab\n\\x\ufffd -s'),
                ("a key", "raw \\n"),
                ("vcs.time", "2024-01-01T00:00:00Z"),
                ("X", "="),
            ),
        ),
    ),
    # A program that was linked by something else than the go command.
    ("/a: b/c: go1.20\n", BuildInfo("go1.20")),
    ("c: go1.20", BuildInfo("go1.20")),
]


@pytest.mark.parametrize(("text", "info"), INFOS)
def test_what_go_prints(text: str, info: BuildInfo) -> None:
    assert parse_build_info(text) == info


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "/bin/sh: ",
        "not executable file",
        "a: go1.26\n\tmod\tonly/a/path\n",
        "a: go1.26\n\tmod\ta\tb\tc\td\n",
        "a: go1.26\n\tdep\n",
        "a: go1.26\n\t=>\ta\tb\tc\n",
        "a: go1.26\n\tpath\tx\n\t=>\ta\tb\tc\n",
        "a: go1.26\n\tdep\ta\tb\n\t=>\tb\tc\td\n\t=>\tb\tc\td\n",
        "a: go1.26\n\tbuild\t\n",
        "a: go1.26\n\tbuild\t=value\n",
        "a: go1.26\n\tbuild\tkey\n",
        'a: go1.26\n\tbuild\t"key"\n',
        'a: go1.26\n\tbuild\t"key"x=y\n',
        'a: go1.26\n\tbuild\t"key=y\n',
        'a: go1.26\n\tbuild\tkey="y\n',
        'a: go1.26\n\tbuild\tkey="\n',
        'a: go1.26\n\tbuild\tkey="y"z"\n',
        'a: go1.26\n\tbuild\tkey="y\\"\n',
        'a: go1.26\n\tbuild\tkey="\\q"\n',
        "a: go1.26\n\tbuild\tkey=`a`b`\n",
        '{\n\t"GoVersion": "go1.26"\n}\n',
    ],
)
def test_what_go_does_not_print(text: str) -> None:
    assert parse_build_info(text) is None


# By Go's rules: `BuildInfo.String`, `quoteKey`, `quoteValue` and strconv.Quote.
_SHORT_ESCAPES = {
    **{"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"},
    **{"\\": "\\\\", '"': '\\"'},
}


def quote(text: str) -> str:
    def escape(char: str) -> str:
        code = ord(char)
        if char in _SHORT_ESCAPES:
            return _SHORT_ESCAPES[char]
        if char == " " or char.isprintable():
            return char
        if code < 0x20 or code == 0x7F:
            return f"\\x{code:02x}"
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return '"' + "".join(escape(char) for char in text) + '"'


def render(info: BuildInfo, name: str) -> str:
    """What `go version -m <name>` prints."""

    def module(word: str, found: Module) -> str:
        start = f"{word}\t{found.path}\t{found.version}"
        if found.replaced_by is None:
            return f"{start}\t{found.sum}\n"
        return f"{start}\n{module('=>', found.replaced_by)}\n"

    def quoted(text: str, more: str = "") -> str:
        return quote(text) if any(char in f' \t\r\n"`{more}' for char in text) else text

    text = f"path\t{info.path}\n" if info.path else ""
    text += module("mod", info.main) if info.main else ""
    text += "".join(module("dep", found) for found in info.modules)
    for key, value in info.settings:
        shown = quoted(key, "=") if key else '""'
        text += f"build\t{shown}={quoted(value)}\n"
    body = "\t" + text[:-1].replace("\n", "\n\t") + "\n" if text else ""
    return f"{name}: {info.go_version}\n{body}"


_WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n"), min_size=1)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def modules(sums: bool, replaced: st.SearchStrategy[Module | None]) -> st.SearchStrategy[Module]:
    return st.builds(Module, _WORDS, _WORDS, _WORDS if sums else st.just(""), replaced)


_PLAIN = modules(True, st.none())
_MODULES = st.one_of(
    st.builds(Module, _WORDS, _WORDS), _PLAIN, modules(False, _PLAIN), modules(False, _PLAIN)
)
_INFOS = st.builds(
    BuildInfo,
    st.from_regex(r"go1\.[0-9]+( X:[a-z]+)?", fullmatch=True),
    st.one_of(st.just(""), _WORDS),
    st.one_of(st.none(), _MODULES),
    st.lists(_MODULES, max_size=4).map(tuple),
    st.lists(st.tuples(_TEXTS, _TEXTS), max_size=4).map(tuple),
)


@given(_INFOS, _WORDS)
def test_every_info_that_go_can_print(info: BuildInfo, name: str) -> None:
    assert parse_build_info(render(info, name)) == info


_LINES = st.lists(
    st.tuples(
        st.sampled_from(["", "\t"]),
        st.sampled_from(["path", "mod", "dep", "=>", "build", ""]),
        st.sampled_from(["", "\t"]),
        st.text(st.sampled_from('\t=`"\\x8a \n\ud800')),
    ).map("".join)
).map("\n".join)


@given(st.one_of(st.text(), _LINES.map("a: go1.26\n".__add__)))
@example("a: go1.26\n\tbuild\t" + '"' * 5000)
def test_no_text_raises(text: str) -> None:
    parse_build_info(text)
