"""What Go prints when a build fails, as a user of the plugin needs it.

Go's own text stays. A usage text of 150 lines is cut, and where the way out is a field or an option
of the plugin, it is named.
"""

from __future__ import annotations

import re
from typing import Iterator, Sequence

# `usage: link [options] main.o`, and so on; the lines below it are indented.
_TOOL_USAGE = re.compile(r"usage: (link|compile|asm) \[options\]")
_TOOL_NAMES = {"link": "linker", "compile": "compiler", "asm": "assembler"}
_SOURCES = {
    "link": "the field `ldflags` of the `go_executable`, or of -ldflags in `flags` or GOFLAGS",
    "compile": "-gcflags in the field `flags` of the `go_executable`, or in GOFLAGS",
    "asm": "-asmflags in the field `flags` of the `go_executable`, or in GOFLAGS",
}
_GO_USAGE = "usage: go build "
_GO_TOO_OLD = re.compile(r"requires go >= (\S+) \(running go (\S+); GOTOOLCHAIN=local\)")


def explain_go_errors(stderr: str) -> str:
    """The text of Go without the lists of flags in it, and hints at the end."""
    lines = stderr.splitlines()
    return "\n".join([*_without_flag_lists(lines), *dict.fromkeys(_hints(lines))])


def _without_flag_lists(lines: Sequence[str]) -> Iterator[str]:
    in_list = False
    for line in lines:
        if not (in_list and line.startswith((" ", "\t"))):
            yield line
            in_list = _TOOL_USAGE.match(line) is not None


def _hints(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        usage = _TOOL_USAGE.match(line)
        if usage:
            tool = usage.group(1)
            yield (
                f"The {_TOOL_NAMES[tool]} does not take a flag or word of {_SOURCES[tool]}. "
                "A word with blanks in it needs quotes of its own, as in \"'-X=main.v=a b'\". "
                f"`go tool {tool} -help` lists the flags."
            )
        elif line.startswith(_GO_USAGE):
            yield (
                "`go build` does not take a flag of the field `flags` of the `go_executable`, or "
                "of GOFLAGS."
            )
        too_old = _GO_TOO_OLD.search(line)
        if too_old:
            yield (
                f"The plugin uses the first `go` that it finds, Go {too_old.group(2)}, and has it "
                f"fetch no other. Install Go {too_old.group(1)} or newer, and name the directory "
                "of its `go` command first in [ko].go_search_paths in pants.toml."
            )
