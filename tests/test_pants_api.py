"""What the plugin takes from Pants, held against the table of what each version of Pants has.

`tests/pants_api.tsv` is made by `scripts/pants-api` from the sources of Pants. So these tests tell
what a Pants would say that is not installed here.
"""

from __future__ import annotations

import ast
import subprocess
import sysconfig
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import pytest
from pants_api.__main__ import SOURCE, TABLE
from pants_api.check import FIRST_WITHOUT_GET, problems
from pants_api.plugin import Plugin, read_plugin
from pants_api.source import PantsSource, open_source, type_text, word
from pants_api.table import Table, parse_table, shapes_in

MAKE_IT = "run scripts/pants-api (CONTRIBUTING.md, A new Pants)"

PLUGIN = read_plugin(SOURCE)
USES = PLUGIN.uses()
COMMITTED = parse_table(TABLE.read_text(encoding="utf-8"))


# The plugin and the table


def test_the_plugin_fits_every_version_of_the_table() -> None:
    assert problems(USES, COMMITTED) == []


def test_the_table_has_nothing_that_is_not_used() -> None:
    unused = set(COMMITTED.shapes) - {name for use in USES for name in use.names}
    assert not unused, MAKE_IT


def test_the_table_has_the_versions_that_differ() -> None:
    """Those with `Get`, where it went, and the newest."""
    assert {"2.17", "2.27", "2.31", "2.32", "2.33", "2.34"} <= set(COMMITTED.versions)


def test_the_table_is_as_the_script_writes_it() -> None:
    assert COMMITTED.text() == TABLE.read_text(encoding="utf-8")


def test_the_table_agrees_with_the_pants_that_is_installed() -> None:
    pytest.importorskip("pants.engine.rules", reason="Pants is not installed for this Python")
    installed = open_source(sysconfig.get_path("purelib"))
    line = ".".join(installed.version.split(".")[:2])
    if COMMITTED.sources.get(line) != installed.version:
        pytest.skip(f"the table was made without Pants {installed.version}")
    expected = {n: by[line] for n, by in COMMITTED.shapes.items() if line in by}
    assert shapes_in(installed, USES) == expected, MAKE_IT


def rules_called() -> Iterator[Tuple[str, ast.AsyncFunctionDef, ast.Call, str]]:
    """Each call of a rule of Pants by name: helper (name, node), call, name in the table."""
    engine = PLUGIN.modules["ko_pants.engine"]
    for helper in ast.walk(engine.tree):
        if isinstance(helper, ast.AsyncFunctionDef):
            for node in ast.walk(helper):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    name = ":".join(engine.refs.get(node.func.id, ("", "")))
                    if any("rule(" in s for s in COMMITTED.shapes.get(name, {}).values()):
                        yield helper.name, helper, node, name


def element(text: str) -> str:
    """The type of the items, for a helper that calls a rule for each of several requests."""
    for start, end in (("tuple[", ", ...]"), ("Iterable[", "]")):
        if text.startswith(start) and text.endswith(end):
            return text[len(start) : -len(end)]
    return text


def test_a_rule_of_pants_takes_and_gives_what_its_helper_says() -> None:
    found = list(rules_called())
    assert len(found) > 10
    for name, helper, call, rule in found:
        for version, shape in COMMITTED.shapes[rule].items():
            if tuple(map(int, version.split("."))) < FIRST_WITHOUT_GET:
                continue
            parameters, _, returned = shape[len("rule(") :].partition(") -> ")
            assert returned == element(type_text(helper.returns)), f"{name}, Pants {version}"
            if call.args and isinstance(call.args[0], ast.Name):
                given = element(type_text(helper.args.args[0].annotation))
                assert parameters.split(", ")[0].endswith(f": {given}"), f"{name}, {version}"
            elif call.args:
                # It makes the request.
                given = word(call.args[0])
                assert parameters.split(", ")[0].endswith(f": {given}"), f"{name}, {version}"
            implicit = any(k.arg is None for k in call.keywords)
            assert implicit or len(parameters.split(", ")) == len(call.args), f"{name}, {version}"


# What counts as a problem


def check(text: str, table: str) -> List[str]:
    head = "# 2.17\t2.17.1\n# 2.31\t2.31.0\n# 2.32\t2.32.0\n# 2.33\t2.33.0\n"
    plugin = Plugin({"p": ("p.py", text), "p.engine": ("engine.py", "")})
    lines = [line.replace("|", "\t", 2) for line in table.splitlines()]
    return problems(plugin.uses(), parse_table(head + "\n".join(lines)))


FROM = "from pants.a import X\n"
SUBCLASS = FROM + "class Y(X):\n "
HOOKED = "X = name_of_newer_pants('pants.a', 'X')\n"


@pytest.mark.parametrize(
    ("text", "table", "said"),
    [
        (FROM, "", "p.py:1: pants.a:X is not in the table of Pants' names: run scripts/pants-api"),
        (FROM, "pants.a:X|2.17-2.33|class", ""),
        (FROM, "pants.a:X|2.17-2.32|class", "Pants 2.33 has no pants.a:X"),
        ("if HAS_GET:\n " + FROM, "pants.a:X|2.17-2.31|class", ""),
        ("if HAS_GET:\n " + FROM, "pants.a:X|2.31|class", "Pants 2.17 has no"),
        ("if HAS_GET:\n pass\nelse:\n " + FROM, "pants.a:X|2.32-2.33|class", ""),
        ("if HAS_GET:\n pass\nelse:\n " + FROM, "pants.a:X|2.17-2.32|class", "Pants 2.33 has no"),
        # Calls
        (FROM + "X(1)", "pants.a:X|2.17-2.33|class(a)", ""),
        (FROM + "X()", "pants.a:X|2.17-2.33|class(a)", "it needs a"),
        (FROM + "X(1, a=2)", "pants.a:X|2.17-2.33|class(a)", "it gets a twice"),
        (FROM + "X(1, 2)", "pants.a:X|2.17-2.33|class(a)", "1 arguments by position, not 2"),
        (FROM + "X(b=1)", "pants.a:X|2.17-2.33|class(a=...)", "it takes no b"),
        (FROM + "X(a=1)", "pants.a:X|2.17-2.33|class(*, a, b=...)", ""),
        (FROM + "X(a=1)", "pants.a:X|2.17-2.33|class(*, a, b)", "it needs b"),
        (FROM + "X(**{})", "pants.a:X|2.17-2.33|class(a)", ""),
        (FROM + "X(1)", "pants.a:X|2.17-2.33|class(...)", ""),
        (FROM + "X(1)", "pants.a:X|2.17-2.33|class() | (a)", ""),
        (FROM + "X(1)", "pants.a:X|2.17-2.33|constant", "cannot be called"),
        (FROM + "X[int](1)", "pants.a:X|2.17-2.33|class()", "0 arguments by position, not 1"),
        (
            FROM + "X(a=1)",
            "pants.a:X|2.17-2.32|class(a)\npants.a:X|2.33|class(b=...)",
            "Pants 2.33: pants.a:X: it takes no a; it is class(b=...)",
        ),
        # Rules by name
        (FROM + "X(1, **implicitly())", "pants.a:X|2.17-2.33|rule(a: A, b: B) -> C", ""),
        (FROM + "X(1)", "pants.a:X|2.17-2.33|rule(a: A, b: B) -> C", "it needs b"),
        (FROM + "X(1, **implicitly())", "pants.a:X|2.17-2.33|rule() -> C", "by position, not 1"),
        # Members
        (FROM + "X.y", "pants.a:X|2.17-2.33|class", "pants.a:X.y is not in the table"),
        (
            FROM + "def f(x: X) -> None:\n x.y(1)",
            "pants.a:X|2.17-2.33|class\npants.a:X.y|2.17-2.33|method()",
            "pants.a:X.y: it takes 0 arguments by position, not 1",
        ),
        (
            FROM + "async def f() -> X | None: ...\nasync def g():\n x = await f()\n x.y",
            "pants.a:X|2.17-2.33|class",
            "p.py:5: pants.a:X.y is not in the table",
        ),
        (
            FROM + "class A:\n x: X\ndef f(a: A) -> None:\n a.x.y",
            "pants.a:X|2.17-2.33|class\npants.a:X.y|2.17-2.32|attribute",
            "Pants 2.33 has no pants.a:X.y",
        ),
        # Classes of ours
        (SUBCLASS + "y: int", "pants.a:X|2.17-2.33|class", ""),
        (SUBCLASS + "y = 1", "pants.a:X|2.17-2.33|class\npants.a:X.y|2.33|attribute", ""),
        (
            SUBCLASS + "y = 1",
            "pants.a:X|2.17-2.33|class\npants.a:X.y|2.17-2.32|attribute",
            "Pants 2.33 has no pants.a:X.y",
        ),
        (
            SUBCLASS + "def y(self): super().z()",
            "pants.a:X|2.17-2.33|class",
            "pants.a:X.z is not in the table",
        ),
        (
            SUBCLASS + "def y(self, a): pass",
            "pants.a:X|2.17-2.33|class\npants.a:X.y|2.17-2.33|method(a, b)",
            "the plugin's own: it takes 1 arguments by position, not 2",
        ),
        (
            SUBCLASS + "def y(self): pass",
            "pants.a:X|2.17-2.33|class\npants.a:X.y|2.17-2.33|method(**more)",
            "the plugin's own: it takes no further arguments",
        ),
        (
            SUBCLASS + "@property\n def y(self): pass\n @y.setter\n def y(self, value): pass",
            "pants.a:X|2.17-2.33|class\npants.a:X.y|2.17-2.33|attribute: int",
            "",
        ),
        (
            "from dataclasses import dataclass\n" + FROM + "@dataclass\nclass Y(X):\n z: int = 0\n"
            "Y(1, z=2)",
            "pants.a:X|2.17-2.33|class(a)",
            "",
        ),
        (SUBCLASS + "pass\nY(1, z=2)", "pants.a:X|2.17-2.33|class(a)", "it takes no z"),
        # What only newer versions have
        (HOOKED, "", "pants.a:X is not in the table"),
        (HOOKED, "pants.a:X|2.32-2.33|class", ""),
        (HOOKED, "pants.a:X|2.31-2.32|class", "Pants 2.33 has no pants.a:X"),
        (HOOKED + "X(1)", "pants.a:X|2.32-2.33|class()", "by position, not 1"),
        (HOOKED + FROM, "pants.a:X|2.32-2.33|class", "Pants 2.17, 2.31 has no pants.a:X"),
        (
            "if HAS_GET:\n pass\nelse:\n " + FROM + "def f(x: X): x.y()",
            "pants.a:X|2.32-2.33|class\npants.a:X.y|2.32-2.33|method(a)",
            "Pants 2.32, 2.33: pants.a:X.y: it needs a",
        ),
    ],
)
def test_what_does_not_fit(text: str, table: str, said: str) -> None:
    found = check(text, table)
    assert len(found) == bool(said), found
    assert said in "".join(found)


# What Pants has


def pants(**modules: str) -> PantsSource:
    """A Pants of the given modules, `a` for `pants.a`."""
    files: Dict[str, str] = {f"pants/{name}.py": text for name, text in modules.items()}
    return PantsSource(files.get)


@pytest.mark.parametrize(
    ("text", "name", "shape"),
    [
        ("class X: pass", "X", "class()"),
        ("class X(tuple): pass", "X", "class(...)"),
        (
            "class X:\n def __init__(self, a, b=1, *, c: int, **d): pass",
            "X",
            "class(a, b=..., *, c, **d)",
        ),
        ("class X:\n x: int\n y: int = 0\n", "X", "class()"),
        (
            "@dataclass\nclass X:\n x: int\n y: int = 0\n z: ClassVar[int] = 1",
            "X",
            "class(x, y=...)",
        ),
        (
            "@dataclass\nclass W:\n v: A = field(init=False)\n w: A\n@dataclass\nclass X(W): x: A",
            "X",
            "class(w, x)",
        ),
        ("@dataclass\nclass X:\n x: int = field(default_factory=list)", "X", "class(x=...)"),
        ("class X:\n def __init__(self, a): ...\nclass Y(X[int]): ...", "Y", "class(a)"),
        ("def f(a, /, b): ...", "f", "function(a, /, b)"),
        ("@overload\ndef f(a): ...\ndef f(*a): ...", "f", "function(*a)"),
        ("@overload\ndef f(a): ...\n@overload\ndef f(b): ...", "f", "function(a) | (b)"),
        ("def F(a): ...\nf = F", "f", "function(a)"),
        (
            "@rule(desc='x')\nasync def f(a: A, b: Optional[B]) -> 'List[C]': ...",
            "f",
            "rule(a: A, b: B | None) -> list[C]",
        ),
        ("x = 1", "x", "constant"),
        ("x = 1", "y", None),
        ("if TYPE_CHECKING:\n x = 1", "x", None),
        ("try:\n x = 1\nexcept E:\n y = 1", "y", "constant"),
        ("from pants.b import z as x", "x", "constant"),
        ("from .b import z", "z", "constant"),
        ("from pants.b import other", "other", None),
        ("from json import loads", "loads", "constant"),
        ("from pants import b", "b", "module"),
        ("class X:\n x: Union[int, None]", "X.x", "attribute: int | None"),
        ("class X:\n def __init__(self): self.x = 1", "X.x", "attribute"),
        (
            "class X:\n @property\n def x(self): ...\n @x.setter\n def x(self, v): ...",
            "X.x",
            "property",
        ),
        ("class X:\n @classmethod\n def x(cls, a): ...", "X.x", "classmethod(a)"),
        ("class X:\n @staticmethod\n def x(a): ...", "X.x", "staticmethod(a)"),
        ("class X:\n class Y:\n  z = 1", "X.Y.z", "attribute"),
        ("class X:\n def x(self, a): ...\nclass Y(X): ...", "Y.x", "method(a)"),
        ("class X: ...", "X.x", None),
        ("class X(dict): ...", "X.get", "inherited"),
    ],
)
def test_what_a_name_looks_like(text: str, name: str, shape: Optional[str]) -> None:
    assert pants(a=text, b="z = 1").shape("pants.a", name, called=True) == shape


def test_a_class_that_is_not_called_has_no_parameters() -> None:
    assert pants(a="class X:\n def __init__(self, a): ...").shape("pants.a", "X") == "class"


def test_a_repository_is_read_at_a_ref(tmp_path: Path) -> None:
    package = tmp_path / "src" / "python" / "pants"
    package.mkdir(parents=True)
    (package / "VERSION").write_text("2.99.0\n")
    (package / "a.py").write_text("x = 1\n")

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=n", "-c", "user.email=n@example.com")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    (package / "a.py").write_text("y = 1\n")
    committed, changed = open_source(f"{tmp_path}@HEAD"), open_source(str(tmp_path))
    assert committed.version == changed.version == "2.99.0"
    assert [s.shape("pants.a", "x") for s in (committed, changed)] == ["constant", None]
    assert changed.shape("pants.a", "y") == "constant"


def test_a_place_without_pants_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no Pants there"):
        open_source(str(tmp_path))


# The text


def test_a_name_that_changed_has_a_line_for_each_shape() -> None:
    table = Table({v: f"{v}.0" for v in ("2.9", "2.10", "2.11", "2.12")})
    table.shapes = {
        "pants.a:X": {"2.9": "class", "2.10": "class", "2.11": "module", "2.12": "class"}
    }
    lines = [line for line in table.text().splitlines() if not line.startswith("#")]
    assert lines == ["pants.a:X\t2.9-2.10 2.12\tclass", "pants.a:X\t2.11\tmodule"]
    assert parse_table(table.text()) == table


def test_an_update_takes_one_version_and_leaves_the_others() -> None:
    uses = Plugin({"p": ("p.py", "from pants.a import x, z")}).uses()
    table = Table({"2.1": "2.1.0"}, {"pants.a:x": {"2.1": "class"}, "pants.a:y": {"2.2": "class"}})
    files = {"pants/VERSION": "2.2.7\n", "pants/a.py": "x = 1"}
    table.update("2.2", PantsSource(files.get), uses)
    table.keep(name for use in uses for name in use.names)
    assert table.sources == {"2.1": "2.1.0", "2.2": "2.2.7"}
    assert table.shapes == {"pants.a:x": {"2.1": "class", "2.2": "constant"}}
