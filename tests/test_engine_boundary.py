"""The boundary to Pants' versions: `engine.py` asks the engine, in two spellings that agree.

The Pants that is installed here reads one of them. The other one must not rot unseen: these tests
compare the two in the source, and load the newer one with stand-ins for what this Pants lacks.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "python" / "ko_pants"
CORE = (
    *(
        "artifacts",
        "compile_waves",
        "daemon_memory",
        "disk",
        "errors",
        "explanation",
        "golang",
        "interruption",
        "ko_yaml",
        "kocache",
        "process_log",
    ),
    *("kubernetes", "layers", "literal_globs", "oci"),
    *("publish_page", "publishing", "registry"),
)
# Asking the engine, in any spelling.
ENGINE_WORDS = {"Get", "MultiGet", "Effect", "implicitly", "concurrently", "Concurrently"}
VERSION_WORDS = {"PANTS_SEMVER", "MAJOR_MINOR"}
# How a rule gets a name that only newer versions have.
HOOK = "name_of_newer_pants"
RULE_DECORATORS = {"rule", "goal_rule", "_uncacheable_rule"}

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def sources() -> List[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """The module's name below `ko_pants`, dotted."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES: Dict[str, ast.Module] = {name_of(p): ast.parse(p.read_text()) for p in sources()}
# Besides the engine module, one knows versions: it refuses those that are too old.
OUTSIDE = [n for n in MODULES if n not in ("engine", "environment_check")]


def imports(tree: ast.AST) -> Iterator[Tuple[str, List[ast.alias]]]:
    """Every import as (module, names); `import a.b` has no names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or "", node.names
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []


def is_pants(module: str) -> bool:
    return module.split(".")[0] == "pants"


def called(node: ast.AST) -> str:
    """`f` for `f` and `f(...)`; "" for anything else."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.id if isinstance(node, ast.Name) else ""


def is_rule(function: ast.AST) -> bool:
    return isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) and any(
        called(decorator) in RULE_DECORATORS for decorator in function.decorator_list
    )


# Who may ask the engine, and for what version


def violations(tree: ast.Module) -> List[str]:
    """What only `engine.py` may do: ask the engine, or tell Pants' versions apart."""
    found = []
    from_pants = set()
    for module, names in imports(tree):
        if is_pants(module):
            from_pants |= {alias.asname or alias.name for alias in names}
            found += [f"imports {a.name}" for a in names if a.name in ENGINE_WORDS | VERSION_WORDS]
            if module == "pants.version" or any(alias.name == "version" for alias in names):
                found.append("imports pants.version")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else called(node)
            if name in ENGINE_WORDS:
                found.append(f"calls {name}")
            if (
                name in ("hasattr", "getattr")
                and node.args
                and isinstance(node.args[0], ast.Name)
                and node.args[0].id in from_pants
            ):
                found.append(f"looks what {node.args[0].id} of Pants has")
        elif isinstance(node, ast.Try) and any(
            is_pants(module) for line in node.body for module, _ in imports(line)
        ):
            found.append("tries an import of Pants")
    return found


@pytest.mark.parametrize("module", OUTSIDE)
def test_only_the_engine_module_asks_the_engine_or_knows_versions(module: str) -> None:
    assert violations(MODULES[module]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from pants.engine.rules import Get, rule", ["imports Get"]),
        ("import pants.engine.rules as r\nr.MultiGet(x)", ["calls MultiGet"]),
        ("x = await_(implicitly())", ["calls implicitly"]),
        ("from pants.version import PANTS_SEMVER as v", ["imports PANTS_SEMVER", "pants.version"]),
        ("from pants import version", ["imports pants.version"]),
        ("from pants.core import x\nhasattr(x, 'y')", ["looks what x of Pants has"]),
        ("try:\n from pants.a import b\nexcept ImportError:\n b = 1", ["tries an import of Pants"]),
        ("'Get(X, Y)'  # Get(X)\nd.get(x)\nhasattr(d, 'x')", []),
        ("from ko_pants.engine import HOOK\nx = HOOK('pants.a', 'B')".replace("HOOK", HOOK), []),
    ],
)
def test_what_counts_as_crossing_the_boundary(text: str, expected: List[str]) -> None:
    found = violations(ast.parse(text))
    assert len(found) == len(expected)
    assert all(part in said for part, said in zip(expected, found))


@pytest.mark.parametrize("module", [n for n in MODULES if n.split(".")[0] in CORE])
def test_the_core_knows_neither_pants_nor_the_rules(module: str) -> None:
    for imported, names in imports(MODULES[module]):
        assert not is_pants(imported)
        parts = imported.split(".")
        if parts[0] == "ko_pants":
            wanted = [parts[1]] if parts[1:] else [alias.name for alias in names]
            assert set(wanted) <= {*CORE, "__version__"}, f"imports {imported}"


# The two spellings


def functions(nodes: Sequence[ast.stmt]) -> Dict[str, Function]:
    return {
        node.name: node
        for node in nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def steps() -> List[ast.If]:
    """Every `if HAS_GET: ... else: ...` of the engine module, in order."""
    return [
        node
        for node in MODULES["engine"].body
        if isinstance(node, ast.If) and called(node.test) == "HAS_GET"
    ]


GET: List[ast.stmt] = [node for step in steps() for node in step.body]
CALL: List[ast.stmt] = [node for step in steps() for node in step.orelse]
# Helpers of all versions, made of steps.
COMMON: List[ast.stmt] = [
    node for node in MODULES["engine"].body if isinstance(node, ast.AsyncFunctionDef)
]


def signature(function: Function) -> str:
    kind = "async " if isinstance(function, ast.AsyncFunctionDef) else ""
    returns = ast.dump(function.returns) if function.returns else ""
    return f"{kind}{ast.dump(function.args)} -> {returns}"


def annotation(node: Optional[ast.expr]) -> str:
    """The type, or that of the elements of `tuple[X, ...]` and `Iterable[X]`."""
    if isinstance(node, ast.Subscript):
        inner = node.slice
        node = inner.elts[0] if isinstance(inner, ast.Tuple) else inner
    return node.id if isinstance(node, ast.Name) else ""


def test_the_spellings_of_a_step_are_beside_each_other_and_alike() -> None:
    for step in steps():
        get, call = functions(step.body), functions(step.orelse)
        assert {n: signature(f) for n, f in get.items()} == {
            n: signature(f) for n, f in call.items()
        }
        assert all(isinstance(function, ast.AsyncFunctionDef) for function in get.values())
    assert functions(GET)
    assert set(functions(MODULES["engine"].body)) == {HOOK, *functions(COMMON)}


def test_a_helper_of_all_versions_awaits_steps_and_helpers_above_it() -> None:
    above = {**functions(CALL), **functions(COMMON)}
    for name, function in functions(COMMON).items():
        assert isinstance(function, ast.AsyncFunctionDef)
        assert awaited(function)
        for what in awaited(function):
            assert above[what].lineno < function.lineno
        assert not any(called(node) in ENGINE_WORDS for node in ast.walk(function)), name


def test_a_helper_asks_for_what_its_signature_says() -> None:
    for name, function in functions(GET).items():
        (asked,) = (n for n in ast.walk(function) if called(n) == "Get" and isinstance(n, ast.Call))
        assert annotation(asked.args[0]) == annotation(function.returns), name
        if len(asked.args) == 3:
            assert annotation(asked.args[1]) == annotation(function.args.args[0].annotation), name


def rule_calls() -> Iterator[Tuple[str, Function, ast.Call, str, Function]]:
    """Each call of a rule of ours by name: helper (name, node), call, module and rule."""
    rules = {
        alias.asname or alias.name: ((node.module or "").partition(".")[2], alias.name)
        for node in CALL
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ko_pants.rules.")
        for alias in node.names
    }
    for name, helper in functions(CALL).items():
        for node in ast.walk(helper):
            if isinstance(node, ast.Call) and called(node) in rules:
                module, rule = rules[called(node)]
                yield name, helper, node, module, functions(MODULES[module].body)[rule]


def test_a_rule_of_ours_takes_and_gives_what_its_helper_says() -> None:
    found = list(rule_calls())
    assert found
    for name, helper, call, module, rule in found:
        parameters = rule.args.args
        assert is_rule(rule), name
        assert annotation(rule.returns) == annotation(helper.returns), name
        assert annotation(parameters[0].annotation) == annotation(helper.args.args[0].annotation)
        # The engine finds the other parameters of a rule, if it is told so by `implicitly`.
        assert len(call.args) == 1, name
        assert [called(k.value) for k in call.keywords] == ["implicitly"] * (len(parameters) > 1), (
            f"{name} calls a rule of {module} with {len(parameters)} parameters"
        )


def test_this_pants_has_the_spelling_that_was_chosen() -> None:
    pytest.importorskip("pants.engine.rules", reason="Pants is not installed for this Python")
    import pants.engine.rules

    import ko_pants.engine

    for name in functions(GET):
        asked = getattr(ko_pants.engine, name).__code__.co_names
        by_get = bool({"Get", "MultiGet"} & set(asked))
        assert by_get == hasattr(pants.engine.rules, "Get"), name


def test_a_name_that_this_pants_lacks_is_none() -> None:
    pytest.importorskip("pants.engine.rules", reason="Pants is not installed for this Python")
    from pants.core.goals.publish import PublishRequest

    from ko_pants.engine import name_of_newer_pants

    assert name_of_newer_pants("pants.core.goals.publish", "PublishRequest") is PublishRequest
    assert name_of_newer_pants("pants.core.goals.publish", "NotYet") is None
    assert name_of_newer_pants("pants.core.goals.not_yet", "NotYet") is None


# Rule bodies


def helpers_imported(module: str) -> Dict[str, str]:
    """The async helpers that a module gets from others of ours, and where from."""
    found = {}
    for node in MODULES[module].body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ko_pants."):
            source = (node.module or "").partition(".")[2]
            there = functions(GET + COMMON if source == "engine" else MODULES[source].body)
            for alias in node.names:
                function = there.get(alias.name)
                if isinstance(function, ast.AsyncFunctionDef) and not is_rule(function):
                    found[alias.asname or alias.name] = source
    return found


def awaited(function: ast.AsyncFunctionDef) -> List[str]:
    """What a function awaits: the names of helpers, or the text of anything else."""
    return [
        (isinstance(node.value, ast.Call) and called(node.value)) or ast.dump(node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Await)
    ]


def unreadable(module: str) -> List[str]:
    """What the engines would misread. They follow the calls of a rule by the names in it."""
    wrong = []
    own = {
        name: function
        for name, function in functions(MODULES[module].body).items()
        if isinstance(function, ast.AsyncFunctionDef)
    }
    known = {**helpers_imported(module), **{n: "" for n, f in own.items() if not is_rule(f)}}
    for name, function in own.items():
        wrong += [f"{name} awaits {what}" for what in awaited(function) if what not in known]
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in known:
                wrong.append(f"{name} hides the helper {node.id}")
            inner = isinstance(node, (ast.AsyncFunctionDef, ast.Lambda)) and node is not function
            if inner and any(isinstance(n, ast.Await) for n in ast.walk(node)):
                wrong.append(f"{name} awaits in an inner function")
        if is_rule(function):
            reached, todo = set(), awaited(function)
            while todo:
                what = todo.pop()
                if what in own and what not in reached:
                    reached.add(what)
                    todo += awaited(own[what])
            wrong += [
                f"the rule {name} stands above {what}"
                for what in sorted(reached)
                if own[what].lineno > function.lineno
            ]
    return wrong


RULE_MODULES = [
    name
    for name, tree in MODULES.items()
    if any(isinstance(node, ast.AsyncFunctionDef) for node in tree.body) and name in OUTSIDE
]


@pytest.mark.parametrize("module", RULE_MODULES)
def test_rules_await_only_helpers_that_the_engines_can_read(module: str) -> None:
    """The newer engine takes a helper below its rule for a rule; the older one does not see it."""
    assert unreadable(module) == []


def test_names_from_the_engine_are_helpers_or_the_hook() -> None:
    for module in OUTSIDE:
        for imported, names in imports(MODULES[module]):
            if imported == "ko_pants.engine":
                assert {a.name for a in names} <= {*functions(GET + COMMON), HOOK}, module


# Loading

# Imports each module of argv first of all, each in a child of its own.
_IMPORT_FIRST = """
import os, sys
import pants.core.goals.publish, pants.engine.internals.graph, pants.option.global_options
failed = []
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        __import__(name)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
sys.exit(", ".join(failed) or 0)
"""


def run_python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def first_modules() -> List[str]:
    """The modules that can be the first of the plugin, each with an order of imports of its own.

    Most rules cannot: before any of them, their package has the engine module loaded, which loads
    them.
    """
    pytest.importorskip("pants.engine.rules", reason="Pants is not installed for this Python")
    loaded = run_python("-c", "import sys, ko_pants.rules; print(*sys.modules)").split()
    modules = [f"ko_pants.{n}" for n in MODULES if n and n.split(".")[0] not in CORE]
    return [n for n in modules if n not in loaded or not n.startswith("ko_pants.rules.")]


def test_any_module_can_be_imported_first(first_modules: List[str]) -> None:
    run_python("-c", _IMPORT_FIRST, *first_modules)


def test_call_by_name_loads_whatever_is_imported_first(first_modules: List[str]) -> None:
    """The newer engine reads a rule, and all helpers that it calls, when its decorator runs."""
    pants_rules = pytest.importorskip("pants.engine.rules", reason="Pants is not installed")
    if not hasattr(pants_rules, "Get"):
        pytest.skip("this Pants calls rules by name: the other tests have loaded them")
    script = Path(__file__).resolve().parent / "scripts" / "load_call_by_name.py"
    run_python(str(script), *first_modules)
