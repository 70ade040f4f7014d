"""What Go prints when a build fails, as a user of the plugin needs it.

Go's own text stays. Paths become those of the repo, so that an editor finds them. A usage text of
150 lines is cut, and where the way out is a field or an option of the plugin, it is named.
"""

from __future__ import annotations

import posixpath
import re
from typing import Collection, Iterator, Sequence

# `usage: link [options] main.o`, and so on; the lines below it are indented.
_TOOL_USAGE = re.compile(r"usage: (link|compile|asm) \[options\]")
_TOOL_NAMES = {"link": "linker", "compile": "compiler", "asm": "assembler"}
_SOURCES = {
    "link": "the field `ldflags` of the `go_executable`, or of -ldflags in `flags` or GOFLAGS",
    "compile": "-gcflags in the field `flags` of the `go_executable`, or in GOFLAGS",
    "asm": "-asmflags in the field `flags` of the `go_executable`, or in GOFLAGS",
}
_GO_USAGE = "usage: go build "
_TWO_MAINS = re.compile(r": main redeclared in this block$")
_GO_TOO_OLD = re.compile(r"requires go >= (\S+) \(running go (\S+); GOTOOLCHAIN=local\)")
# A file and a line, where Go begins a message with them. `vet` puts its name before some.
_POSITION = re.compile(r"(\s*(?:vet: )?)(?!/)([^\s:]+)(?=:\d+:)")
# The sandbox of a process, and below it the module cache.
_SANDBOX = re.compile(r"/[^\s:]*/pants-sandbox-[^/\s]+/")
_MODULE_CACHE = re.compile(r"(?:\.\./)*\.ko_pants/(?:gopath/pkg/mod|modules)/")


def explain_go_errors(stderr: str, module: str = "", files: Collection[str] = ()) -> str:
    """The text of Go with paths of the repo, without the lists of flags, and with hints at the end.

    :param module: the directory that Go ran in, relative to the build root.
    :param files: what Go could read in the repo, relative to the build root.
    """
    lines = [_with_repo_path(line, module, files) for line in stderr.splitlines()]
    return "\n".join([*_without_flag_lists(lines), *dict.fromkeys(_hints(lines))])


def _with_repo_path(line: str, module: str, files: Collection[str]) -> str:
    found = _POSITION.match(line)
    if found and not _MODULE_CACHE.match(found.group(2)):
        path = _repo_path(posixpath.normpath(posixpath.join(module, found.group(2))), files)
        line = f"{found.group(1)}{path}{line[found.end() :]}"
    return _MODULE_CACHE.sub("", _SANDBOX.sub("", line))


def _repo_path(path: str, files: Collection[str]) -> str:
    """The file of the repo that a path ends with, if it leads out of the sandbox.

    Go keeps what it has found of a package, and shows it again in another sandbox.
    """
    if not path.startswith("../") or "@v" in path:
        return path
    parts = path.split("/")
    ends = ("/".join(parts[at:]) for at in range(1, len(parts)))
    return next((end for end in ends if end in files), path)


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
        elif _TWO_MAINS.search(line):
            yield (
                "The Go files of a directory are one program, with one `func main`. Move each "
                "further program into a directory of its own, with its own BUILD file, or keep its "
                "file out of this build with the line `//go:build ignore` at its top."
            )
        too_old = _GO_TOO_OLD.search(line)
        if too_old:
            yield (
                f"The plugin uses the first `go` that it finds, Go {too_old.group(2)}, and has it "
                f"fetch no other. Install Go {too_old.group(1)} or newer, and name the directory "
                "of its `go` command first in [ko].go_search_paths in pants.toml."
            )
