"""Makes the generated pages of docs/reference/ of what `./pants help-all` prints.

`scripts/docs reference` writes them. They say what the code says: names, types, defaults and help
texts. What takes more words, and all contracts, are in docs/reference.md, which is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any, Iterable, Iterator, Mapping

from docs_site.hooks import ROOT

BACKEND = "ko_pants"
SCOPE = "ko"  # of the subsystem; that of each goal begins with it
COMMAND = "scripts/docs reference"
DIRECTORY = ROOT / "docs" / "reference"
_HEAD = f"<!-- Generated: do not edit. `{COMMAND}` makes it of the help texts in the code. -->\n\n"

# Fields that every target of Pants has, with texts of Pants.
_COMMON_FIELDS = ("tags", "description", "dependencies")
_TYPES = {
    "str": "string",
    "int": "int",
    "bool": "bool",
    "float": "float",
    "dict": "dict",
    "list": "list",
    "Iterable[str]": "list of strings",
    "Iterable[Any]": "list",
    "Dict[str, str]": "dict of strings",
    "None": "",
}


def pages(help_info: Mapping[str, Any]) -> dict[str, str]:
    """File name -> text of each generated page; `help_info` is the JSON of `help-all`."""
    scopes = help_info["scope_to_help_info"]
    goals = help_info["name_to_goal_info"]
    targets = help_info["name_to_target_type_info"].values()
    return {
        "goals.md": goals_page(
            [scopes[name] for name in goals if name.startswith(f"{SCOPE}-")], goals
        ),
        "options.md": options_page(scopes[SCOPE]),
        "targets.md": targets_page(t for t in targets if t["provider"] == BACKEND),
    }


def section_head(name: str, description: str) -> str:
    """The heading of a target or a goal, what it is, and where there is more about it."""
    return (
        f"\n## `{name}`\n\n{paragraphs(description)}\n\n"
        f"More about it: [`{name}`](../reference.md#{name}).\n\n"
    )


def targets_page(targets: Iterable[Mapping[str, Any]]) -> str:
    """A table of the fields of each target."""
    out = [
        _HEAD + "# Fields of targets\n\n"
        "What `./pants help <target>` prints. Every target also has Pants' `name`, `tags`,\n"
        "`description` and `dependencies`.\n"
        "[Targets](../reference.md#targets) says more, with examples.\n"
    ]
    for target in sorted(targets, key=lambda t: str(t["alias"])):
        out.append(section_head(target["alias"], target["description"]))
        fields = [f for f in target["fields"] if f["alias"] not in _COMMON_FIELDS]
        rows = (
            (
                f"`{field['alias']}`",
                type_name(field["type_hint"]),
                *default_and_meaning(field, "description"),
            )
            for field in sorted(fields, key=lambda f: str(f["alias"]))
        )
        out += table(("field", "type", "default", "meaning"), rows)
    return "".join(out)


def options_page(scope: Mapping[str, Any]) -> str:
    """A table of the options of the subsystem, and one of those that environments can set."""
    options = [*scope["basic"], *scope["advanced"]]
    out = [
        _HEAD + "# Options\n\n"
        f"What `./pants help-advanced {SCOPE}` prints. In `pants.toml` an option is a line below\n"
        f"`[{SCOPE}]`. [Options](../reference.md#options-ko) says how they work together, and\n"
        "which variables of ko they replace.\n\n"
    ]
    out += option_table(o for o in options if not o["target_field_name"])
    out.append(
        "\n## Options of environments\n\n"
        "An environment target can set each of these as a field, whose name stands last in the\n"
        "first column.\n"
        "[Options of environments](../reference.md#options-of-environments) says more.\n\n"
    )
    out += option_table(o for o in options if o["target_field_name"])
    return "".join(out)


def goals_page(scopes: Iterable[Mapping[str, Any]], goals: Mapping[str, Any]) -> str:
    """A table of the options of each goal of the plugin."""
    out = [
        _HEAD + "# Options of goals\n\n"
        "What `./pants help <goal>` prints, for the goals that the plugin adds. Behind the goal\n"
        "the flags have short forms: `./pants ko-lock --check ::` is\n"
        "`./pants --ko-lock-check ko-lock ::`.\n"
        "[Goals](../reference.md#goals) says more, also about Pants' own goals.\n"
    ]
    for scope in sorted(scopes, key=lambda s: str(s["scope"])):
        name = scope["scope"]
        out.append(section_head(name, goals[name]["description"]))
        options = [*scope["basic"], *scope["advanced"]]
        out += option_table(options) if options else ["It has no options.\n"]
    return "".join(out)


def option_table(options: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Rows with the names of an option, as key, flag and variable."""

    def names(option: Mapping[str, Any]) -> str:
        field = option["target_field_name"]
        (flag,) = option["scoped_cmd_line_args"][:1]
        every = (option["config_key"], flag, option["env_var"], *([field] if field else []))
        return "<br>".join(f"`{name}`" for name in every)

    rows = (
        (names(o), type_name(o["typ"]), *default_and_meaning(o, "help"))
        for o in sorted(options, key=lambda o: str(o["config_key"]))
    )
    return table(("option, flag, variable", "type", "default", "meaning"), rows)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a Markdown table."""
    heads = list(heads)
    yield "| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|\n"
    for row in rows:
        yield "| " + " | ".join(row) + " |\n"


def type_name(hint: str) -> str:
    """A type in the words of the reference; the values themselves where only these are allowed."""
    parts = [part.strip() for part in hint.split("|")]
    names = [_TYPES.get(part, f"`{part.strip(chr(39))}`") for part in parts]
    return " or ".join(name for name in names if name)


def default_and_meaning(named: Mapping[str, Any], help_key: str) -> tuple[str, str]:
    """Two cells of a field or option; a default is as BUILD files and pants.toml have it."""
    value, meaning = named["default"], cell(named[help_key])
    if named.get("required"):
        return "required", meaning
    if value in (None, "", [], {}, ()):
        # Some defaults are found in a run, and only the help text tells them.
        told = "Default:" in named[help_key] and "Default: none." not in named[help_key]
        return "see meaning" if told else "none", meaning
    values = value if isinstance(value, (list, tuple)) else [value]
    text = ", ".join(f"`{v}`" for v in values).replace("|", "\\|")
    # A long list would make the column too wide.
    return (
        (text, meaning)
        if len(values) < 3
        else ("see meaning", f"{meaning}<br><br>Default: {text}.")
    )


def cell(text: str) -> str:
    """A help text as a cell of a table."""
    return "<br><br>".join(_paragraphs(text)).replace("|", "\\|")


def paragraphs(text: str) -> str:
    """A help text as Markdown."""
    return "\n\n".join(_paragraphs(text))


def _paragraphs(text: str) -> list[str]:
    return [_escaped(" ".join(part.split())) for part in text.strip().split("\n\n")]


def _escaped(text: str) -> str:
    """Outside of code, what Markdown and HTML would read as their own."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if i % 2 else re.sub(r"[*\[\]]", r"\\\g<0>", part).replace("<", "&lt;")
        for i, part in enumerate(parts)
    )


def main() -> int:
    DIRECTORY.mkdir(exist_ok=True)
    for name, text in pages(json.load(sys.stdin)).items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
