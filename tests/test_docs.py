"""The documentation against the code: every name in it is there, and every link leads somewhere.

Sources that import Pants are parsed, not imported, so that no Pants is needed.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple
from xml.etree import ElementTree

import pytest
import yaml
from docs_site.hooks import PAGES as PAGES_OF_THE_ROOT
from python_source import assigned

from ko_pants.publishing.placeholders import EXAMPLE_FACTS, built_values, path_values
from ko_pants.publishing.run_totals import IMAGE_OUTCOMES, RunTotals, Transfers

REPO = Path(__file__).resolve().parent.parent
PACKAGE = REPO / "src" / "python" / "ko_pants"
OPTIONS = PACKAGE / "options"
REFERENCE = REPO / "docs" / "reference.md"
PAGES = sorted(
    [*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md"), *REPO.glob("examples/*/README.md")]
)

# Pants' own fields that the reference describes because the plugin gives them a meaning.
FIELDS_OF_PANTS = {"OutputPathField": "output_path"}
ALIASES_OF_PANTS = {"SingleSourceField": "source", "MultipleSourcesField": "sources"}
COMMON = {"COMMON_TARGET_FIELDS"}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def classes(path: Path) -> Dict[str, ast.ClassDef]:
    return {n.name: n for n in ast.parse(read(path)).body if isinstance(n, ast.ClassDef)}


def targets() -> Dict[str, Set[str]]:
    """Target alias -> aliases of its fields, without Pants' common fields and dependencies."""
    found: Dict[str, ast.ClassDef] = {}
    for module in [*sorted(PACKAGE.glob("*_fields.py")), PACKAGE / "target_types.py"]:
        found.update(classes(module))

    def field_alias(name: str) -> str:
        if name in FIELDS_OF_PANTS:
            return FIELDS_OF_PANTS[name]
        node = found[name]
        alias = assigned(node).get("alias")
        if isinstance(alias, ast.Constant):
            return str(alias.value)
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        if "Dependencies" in bases:
            return ""
        return ALIASES_OF_PANTS[bases[0]]

    out = {}
    for node in found.values():
        values = assigned(node)
        fields, alias = values.get("core_fields"), values.get("alias")
        if isinstance(fields, ast.Tuple) and isinstance(alias, ast.Constant):
            names = [n.id for n in ast.walk(fields) if isinstance(n, ast.Name)]
            aliases = {field_alias(n) for n in names if n not in COMMON}
            out[str(alias.value)] = aliases - {""}
    return out


def options(path: Path, name: str) -> Set[str]:
    """Names of the options of a subsystem."""
    return {
        option
        for option, value in assigned(classes(path)[name]).items()
        if isinstance(value, ast.Call) and "Option" in ast.dump(value.func)
    }


def ko_options() -> Set[str]:
    """Names of the options `[ko]`, without those that environments can set."""
    groups = set(OPTIONS.glob("*.py")) - {OPTIONS / "environments.py"}
    return {o for path in groups for name in classes(path) for o in options(path, name)}


def environment_options() -> Set[str]:
    """Names of the options that environments can set."""
    return options(OPTIONS / "environments.py", "EnvironmentOptions")


def strings(path: Path, name: str) -> Set[str]:
    """The strings of a tuple or list that is assigned at the top of a module or to an option."""
    for node in ast.walk(ast.parse(read(path))):
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == name for t in node.targets
        ):
            value: ast.AST = node.value
            if isinstance(value, ast.Call):
                value = next(k.value for k in value.keywords if k.arg == "default")
            return {str(n.value) for n in ast.walk(value) if isinstance(n, ast.Constant)}
    raise AssertionError(f"{path} has no {name}")


def section(text: str, heading: str) -> str:
    """The text below a heading, up to the next heading of the same or a higher level."""
    lines = text.split("\n")
    start = lines.index(heading) + 1
    level = len(heading) - len(heading.lstrip("#"))
    for end in range(start, len(lines)):
        marks = len(lines[end]) - len(lines[end].lstrip("#"))
        if 0 < marks <= level:
            return "\n".join(lines[start:end])
    return "\n".join(lines[start:])


def first_column(text: str) -> Set[str]:
    """Everything in backticks in the first column of the tables of a section."""
    cells = [line.split("|")[1] for line in text.split("\n") if line.startswith("|")]
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_rest_of_a_merge(page: Path) -> None:
    assert not re.search(r"^(<{7}|={7}|>{7})( |$)", read(page), re.MULTILINE)


def test_every_target_and_no_other_is_documented() -> None:
    headings = set(
        re.findall(r"^### `((?:go|oci|kubernetes)_\w+)`$", read(REFERENCE), re.MULTILINE)
    )
    assert headings == set(targets())


@pytest.mark.parametrize("target", sorted(targets()))
def test_every_field_and_no_other_is_documented(target: str) -> None:
    documented = first_column(section(read(REFERENCE), f"### `{target}`"))
    assert documented == targets()[target]


def test_every_option_and_no_other_is_documented() -> None:
    documented = first_column(section(read(REFERENCE), "## Options `[ko]`"))
    assert documented == ko_options()


def test_every_option_of_environments_and_no_other_is_documented() -> None:
    documented = first_column(section(read(REFERENCE), "## Options of environments"))
    assert documented == environment_options()


@pytest.mark.parametrize(
    ("goal", "module", "subsystem"),
    [
        ("ko-cache", "kocache.py", "KoCacheSubsystem"),
        ("ko-lock", "ko_lock.py", "KoLockSubsystem"),
        ("ko-resolve", "ko_resolve.py", "KoResolveSubsystem"),
    ],
)
def test_every_option_of_a_goal_and_no_other_is_documented(
    goal: str, module: str, subsystem: str
) -> None:
    documented = first_column(section(read(REFERENCE), f"### `{goal}`"))
    names = options(PACKAGE / "goals" / module, subsystem)
    assert documented == {f"--{goal}-{name.replace('_', '-')}" for name in names}


def test_every_variable_and_no_other_is_documented() -> None:
    documented = first_column(section(read(REFERENCE), "## Environment variables"))
    settings = PACKAGE / "rules" / "settings.py"
    assert documented == (
        strings(settings, "_KO_VARIABLES")
        | strings(settings, "_REGISTRY_VARIABLES")
        | strings(PACKAGE / "rules" / "ko_yaml.py", "_KO_YAML_VARIABLES")
    )


def test_every_variable_of_go_is_documented() -> None:
    text = section(read(REFERENCE), "## Options `[ko]`")
    listed = text[text.index("Default of `go_env_vars`") :].partition("\n\n")[0]
    names = set(re.findall(r"`(\w+)`", listed)) - {"go_env_vars"}
    assert names == strings(OPTIONS / "go_tool.py", "_GO_ENV_VARS")


def test_keys_of_a_registry_are_documented() -> None:
    documented = first_column(section(read(REPO / "docs/registries.md"), "### `[ko].registries`"))
    documented -= {"true", "false"}
    assert documented == strings(PACKAGE / "publishing" / "registries.py", "_KEYS")


def output_keys() -> Tuple[Set[str], Set[str]]:
    """Keys of an image and of a layer in `--publish-output`, as publish_output.py writes them."""
    tree = ast.parse(read(PACKAGE / "goals" / "publish_output.py"))
    function = next(
        n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "_details"
    )
    dicts = [
        {str(k.value) for k in n.keys if isinstance(k, ast.Constant)}
        for n in ast.walk(function)
        if isinstance(n, ast.Dict)
    ]
    image = next(keys for keys in dicts if "requests" in keys)
    layer = next(keys for keys in dicts if "outcome" in keys)
    return image, layer


def test_the_example_of_the_output_has_every_key() -> None:
    text = section(read(REFERENCE), "### `publish --publish-output=FILE`")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (image,) = json.loads(example)
    image_keys, layer_keys = output_keys()
    assert set(image) == image_keys | {"target", "names", "published", "status", "exit_code"}
    assert all(set(layer) == layer_keys for layer in image["layers"])
    documented = first_column(text)
    assert image_keys - {"layers", "build"} <= documented


def test_the_example_of_the_report_is_what_a_run_says() -> None:
    text = section(read(REFERENCE), "### Report")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    found = json.loads(example)
    moved = Transfers(found["transfers"], 2_101_000, found["bytes"]["pushed"])
    counts = {
        key: {name.replace("_", " "): n for name, n in found[key].items()}
        for key in ("images", "compiles", "layers", "processes")
    }
    totals = RunTotals(
        found["targets"],
        **counts,
        transfers=moved,
        requests=found["requests"],
        fetched_bytes=found["bytes"]["fetched"],
        seconds=found["seconds"],
    )
    assert totals.to_json() == found
    assert totals.sentence() in section(read(REFERENCE), "### `publish`")
    documented = first_column(text)
    assert {key.partition(".")[0] for key in documented} == set(found) - {"publisher"}
    for kind, names in {"images": IMAGE_OUTCOMES, "bytes": found["bytes"]}.items():
        assert all(f"`{n.replace(' ', '_')}`" in text or f"`{kind}.{n}`" in text for n in names)


def test_placeholders_are_documented() -> None:
    documented = first_column(section(read(REFERENCE), "### Placeholders"))
    names = {
        *path_values("name", "path"),
        *built_values("target", EXAMPLE_FACTS),
        *("default_repository", "target_repository"),
    }
    assert documented == {f"{{{name}}}" for name in names}


def test_every_word_that_looks_like_an_option_exists() -> None:
    known = ko_options() | environment_options()
    for page in PAGES:
        used = set(re.findall(r"\[ko\]\.(\w+)", read(page)))
        used |= {
            flag.replace("-", "_")
            for flag in re.findall(
                r"--ko-((?!cache-|explain-|lock-|resolve-|sbom-)[a-z-]+)", read(page)
            )
        }
        assert used <= known, page.name


def anchors(text: str) -> Set[str]:
    """The anchors that GitHub makes of headings."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", without_code(text), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(words.replace(" ", "-"))
    return found


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> Iterator[Tuple[str, str]]:
    """The (path, anchor) of every link to a place in the repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(read(page))):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    problems: List[str] = []
    for path, anchor in links(page):
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            problems.append(f"{path}: no such file")
        elif anchor and anchor not in anchors(read(file)):
            problems.append(f"{path}#{anchor}: no such heading")
    assert problems == []


def test_every_page_has_a_place_in_the_site() -> None:
    """In `nav` of mkdocs.yml; mkdocs asks for it too, in an environment that few tests have."""
    named = set(re.findall(r"(?:- |: )([\w/.-]+\.md)$", read(REPO / "mkdocs.yml"), re.MULTILINE))
    pages = {str(page.relative_to(REPO / "docs")) for page in (REPO / "docs").rglob("*.md")}
    assert pages - named == set(), "give each page a line below `nav` of mkdocs.yml"
    assert named - pages == set(PAGES_OF_THE_ROOT.values())


def test_readme_begins_with_the_two_commands() -> None:
    first_screen = read(REPO / "README.md").split("\n## ")[0]
    assert re.search(r"^\$ \./pants publish testprojects::", first_screen, re.MULTILINE)
    assert re.search(r"^\$ scripts/test\b", first_screen, re.MULTILINE)


def test_pages_pin_the_version_of_this_checkout() -> None:
    (version,) = re.findall(r'^__version__ = "(.*)"$', read(PACKAGE / "__init__.py"), re.MULTILINE)
    pinned = {
        str(page.relative_to(REPO)): re.findall(
            r"ko[-_]pants(?:==|-)(\d[\w.]*?)(?:-py3|\")", read(page)
        )
        for page in PAGES
    }
    assert pinned["README.md"]
    assert pinned["docs/first-image.md"]
    assert {found for versions in pinned.values() for found in versions} == {version}


def scripts_in(document: object) -> Iterator[object]:
    """The steps and scripts of a CI configuration; strings, if the YAML is right."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("run", "script"):
                yield from value if isinstance(value, list) else [value]
            else:
                yield from scripts_in(value)
    elif isinstance(document, list):
        for value in document:
            yield from scripts_in(value)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_can_be_read(page: Path) -> None:
    """BUILD files compile, and YAML means what it looks like (a line that ends in `::` may not)."""
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```", read(page), re.DOTALL | re.MULTILINE):
        if language == "python":
            compile(code, str(page), "exec")
        elif language == "yaml":
            assert all(isinstance(script, str) for script in scripts_in(yaml.safe_load(code)))


# Of pantsbuild/actions/init-pants, from its action.yaml; an input that it does not know is ignored.
INPUTS_OF_INIT_PANTS = {
    *("setup-commit", "get-pants-version", "base-branch", "gha-cache-key", "named-caches-hash"),
    *("named-caches-location", "pants-ci-config", "cache-lmdb-store", "lmdb-store-location"),
    *("experimental-remote-cache-via-gha", "setup-python-for-plugins", "gh-host"),
    "working-directory",
}


def steps_in(document: object) -> Iterator[Dict[str, object]]:
    """The steps of a workflow of GitHub that use an action."""
    if isinstance(document, dict):
        if "uses" in document:
            yield document
        for value in document.values():
            yield from steps_in(value)
    elif isinstance(document, list):
        for value in document:
            yield from steps_in(value)


def test_workflows_use_the_action_of_pants_as_it_is() -> None:
    code = re.findall(r"^```yaml\n(.*?)^```", read(REPO / "docs/ci.md"), re.DOTALL | re.MULTILINE)
    steps = [step for text in code for step in steps_in(yaml.safe_load(text))]
    ours = [step for step in steps if "init-pants" in str(step["uses"])]
    assert len({step["uses"] for step in ours}) == 1
    for step in ours:
        # A tag can be moved, and the newest one lacks an input that the recipes need.
        assert re.fullmatch(r"pantsbuild/actions/init-pants@[0-9a-f]{40}", str(step["uses"]))
        inputs = step["with"]
        assert isinstance(inputs, dict)
        assert "named-caches-hash" in inputs
        assert set(inputs) <= INPUTS_OF_INIT_PANTS
        # Inputs are strings; YAML's `true` would become another text.
        assert all(isinstance(value, str) for value in inputs.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    """Paths of this repository in backticks, such as `scripts/test` or `publishing/stores.py`."""
    roots = (REPO, PACKAGE)
    top = [d.name for root in roots for d in root.iterdir() if d.is_dir() and d.name.isalpha()]
    # dist is a user's; src is given whole.
    pattern = rf"`((?:{'|'.join(name for name in top if name != 'dist')})/[\w./-]+)`"
    for name in re.findall(pattern, without_code(read(page))):
        assert any((root / name).exists() for root in roots), name


PICTURES = sorted((REPO / "docs" / "images").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_can_be_read_by_everybody(picture: Path) -> None:
    """Well-formed, with a title and a description, for both themes, and nothing from elsewhere."""
    root = ElementTree.fromstring(read(picture))
    assert root.tag == f"{SVG}svg"
    for name in ("title", "desc"):
        element = root.find(f"{SVG}{name}")
        assert element is not None
        assert element.text
        assert element.get("id") in str(root.get("aria-labelledby")).split()
    assert "prefers-color-scheme: dark" in read(picture)
    assert not list(root.iter(f"{SVG}script"))
    values = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")]
    values += re.findall(r"url\(([^)]*)\)", read(picture))
    assert all(value.startswith("#") for value in values)
    assert "@import" not in read(picture)


def test_every_picture_is_in_a_page_with_a_text_in_its_place() -> None:
    shown = {
        name: text
        for page in PAGES
        for text, name in re.findall(
            r"!\[([^\]]*)\]\((?:docs/)?images/([^)]+\.(?:svg|png))\)", read(page)
        )
    }
    pictures = sorted((REPO / "docs" / "images").iterdir())
    assert set(shown) == {picture.name for picture in pictures}
    assert all(picture.stat().st_size < 200_000 for picture in pictures)
    assert all(len(text) > 30 for text in shown.values())
