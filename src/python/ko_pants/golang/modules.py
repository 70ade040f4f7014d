"""Go modules and workspaces of the repo: go.mod, go.work and vendor/modules.txt.

Source: the Go Modules Reference (go.dev/ref/mod), and cmd/go's modload for what it leaves open.
Directories are relative to the repo's root, with `/`; the root itself is `""`.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Collection, Container, Iterator, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.golang.source_file import unquote


@dataclass(frozen=True)
class Replace:
    """`replace old [old_version] => new [new_version]`; a local directory has no new version."""

    old: str
    old_version: str
    new: str
    new_version: str
    line: int

    @property
    def is_local(self) -> bool:
        """True if the replacement is a directory."""
        return not self.new_version


@dataclass(frozen=True)
class Require:
    """`require path version`."""

    path: str
    version: str


@dataclass(frozen=True)
class GoMod:
    """A go.mod file; `where` is its path. Directives that no build depends on are left out."""

    where: str
    module: str
    go: str = ""
    toolchain: str = ""
    requires: tuple[Require, ...] = ()
    replaces: tuple[Replace, ...] = ()


@dataclass(frozen=True)
class GoWork:
    """A go.work file; `uses` as written, relative to its directory."""

    where: str
    go: str = ""
    toolchain: str = ""
    uses: tuple[str, ...] = ()
    replaces: tuple[Replace, ...] = ()


@dataclass(frozen=True)
class VendorModules:
    """vendor/modules.txt: the modules in it, and whether `go work vendor` wrote it."""

    modules: tuple[str, ...]
    for_workspace: bool


# Line by line, as the grammar of go.mod is.
_TOKEN = re.compile(
    r'[ \t\r]*(?:(?P<comment>//.*)|"(?P<quoted>(?:[^"\\]|\\.)*)"|`(?P<raw>[^`]*)`'
    r'|(?P<word>=>|[(),\[\]]|(?:(?!//|=>)[^\s"`(),\[\]])+)|(?P<bad>\S))'
)


def _tokens(text: str, where: str, line: int) -> list[str]:
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "comment":
            break
        if kind == "bad":
            raise KoPantsError(
                f"{where}:{line}: malformed string {text[match.start() :].strip()!r}; expected it "
                "to end on its line with the quote that it starts with"
            )
        value = match[kind or 0]
        if kind == "quoted":
            unquoted = unquote(value)
            if unquoted is None:
                raise KoPantsError(f"{where}:{line}: malformed string {value!r}")
            value = unquoted
        tokens.append(value)
    return tokens


def module_directives(content: bytes, where: str) -> Iterator[tuple[int, str, list[str]]]:
    """(line, verb, arguments) of each directive, blocks resolved."""
    block = ""
    block_line = 0
    for number, text in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        tokens = _tokens(text, where, number)
        if not tokens:
            continue
        if block:
            if tokens == [")"]:
                block = ""
            else:
                yield number, block, tokens
        elif len(tokens) == 2 and tokens[1] == "(":
            block, block_line = tokens[0], number
        elif len(tokens) == 3 and tokens[1:] == ["(", ")"]:
            continue
        else:
            yield number, tokens[0], tokens[1:]
    if block:
        raise KoPantsError(f"{where}:{block_line}: the block `{block} (` has no closing `)`")


def _one(verb: str, arguments: list[str], where: str, line: int, seen: str) -> str:
    if len(arguments) != 1:
        raise KoPantsError(
            f"{where}:{line}: malformed `{verb}` directive: found {len(arguments)} arguments, "
            "expected one"
        )
    if seen:
        raise KoPantsError(f"{where}:{line}: repeated `{verb}` directive; remove one")
    return arguments[0]


def _is_directory(path: str) -> bool:
    return path in (".", "..") or path.startswith(("./", "../", "/"))


def _replace(arguments: list[str], where: str, line: int) -> Replace:
    arrow = arguments.index("=>") if "=>" in arguments else -1
    left, right = arguments[:arrow], arguments[arrow + 1 :]
    if arrow < 0 or len(left) not in (1, 2) or len(right) not in (1, 2):
        raise KoPantsError(
            f"{where}:{line}: malformed `replace` directive; expected "
            "`replace module [version] => ../directory` or `=> other/module version`"
        )
    if len(right) == 1 and not _is_directory(right[0]):
        raise KoPantsError(
            f"{where}:{line}: the replacement {right[0]!r} has no version; expected a version, or "
            "a directory, which starts with ./ or ../"
        )
    if len(right) == 2 and _is_directory(right[0]):
        raise KoPantsError(
            f"{where}:{line}: the replacement directory {right[0]!r} has a version; remove it"
        )
    return Replace(
        left[0],
        left[1] if len(left) == 2 else "",
        right[0],
        right[1] if len(right) == 2 else "",
        line,
    )


def parse_go_mod(content: bytes, where: str) -> GoMod:
    """Read a go.mod. Directives that are unknown or irrelevant to a build's inputs are skipped.

    :param where: its path, for messages.
    :raises KoPantsError: malformed; the text has file and line.
    """
    module = go = toolchain = ""
    requires: list[Require] = []
    replaces: list[Replace] = []
    for line, verb, arguments in module_directives(content, where):
        if verb == "module":
            module = _one(verb, arguments, where, line, module)
        elif verb == "go":
            go = _one(verb, arguments, where, line, go)
        elif verb == "toolchain":
            toolchain = _one(verb, arguments, where, line, toolchain)
        elif verb == "require":
            if len(arguments) != 2:
                raise KoPantsError(
                    f"{where}:{line}: malformed `require` directive; expected a module path and "
                    "a version"
                )
            requires.append(Require(arguments[0], arguments[1]))
        elif verb == "replace":
            replaces.append(_replace(arguments, where, line))
    if not module:
        raise KoPantsError(
            f"{where}:1: no `module` directive; expected a line `module example.com/name`"
        )
    return GoMod(where, module, go, toolchain, tuple(requires), tuple(replaces))


def parse_go_work(content: bytes, where: str) -> GoWork:
    """Read a go.work.

    :param where: its path, for messages.
    :raises KoPantsError: malformed; the text has file and line.
    """
    go = toolchain = ""
    uses: list[str] = []
    replaces: list[Replace] = []
    for line, verb, arguments in module_directives(content, where):
        if verb == "go":
            go = _one(verb, arguments, where, line, go)
        elif verb == "toolchain":
            toolchain = _one(verb, arguments, where, line, toolchain)
        elif verb == "use":
            uses.append(_one(verb, arguments, where, line, ""))
        elif verb == "replace":
            replaces.append(_replace(arguments, where, line))
    return GoWork(where, go, toolchain, tuple(uses), tuple(replaces))


def parse_vendor_modules(content: bytes) -> VendorModules:
    """Read vendor/modules.txt; what is malformed in it is Go's to report."""
    lines = content.decode("utf-8", "replace").splitlines()
    modules = {
        words[1]
        for words in (line.split() for line in lines)
        if len(words) >= 3 and words[0] == "#"
    }
    first = lines[0] if lines else ""
    for_workspace = first.startswith("## ") and "workspace" in [
        annotation.strip() for annotation in first[3:].split(";")
    ]
    return VendorModules(tuple(sorted(modules)), for_workspace)


def is_within(path: str, directory: str) -> bool:
    """True if a path is the directory or below it; everything is below `""`."""
    return not directory or path == directory or path.startswith(directory + "/")


def parents(directory: str) -> Iterator[str]:
    """The directory, its parent and so on, to the repo's root `""`."""
    while directory:
        yield directory
        directory = posixpath.dirname(directory)
    yield ""


def find_module_root(directory: str, go_mod_dirs: Container[str]) -> str | None:
    """The nearest directory, at or above `directory`, that has a go.mod; None if there is none."""
    return next((parent for parent in parents(directory) if parent in go_mod_dirs), None)


@dataclass(frozen=True)
class LocalModule:
    """A module in the repo: the import path of its root package, and its directory.

    The path is the replaced module's where there is a `replace`. A main module is one that Go
    builds from (the one module, or those that go.work uses) rather than a replacement.
    """

    path: str
    directory: str
    main: bool


@dataclass(frozen=True)
class Workspace:
    """The modules that matter to one main package, as one run of the go tool sees them.

    :param directory: of go.work, or else of the main module.
    :param main_module: the module that holds the main package.
    :param modules: all modules of the repo in play, longest path first.
    :param boundaries: directories with a go.mod below a module in play: they are outside of it.
    :param vendor: the vendor directory in use, or None.
    :param required: paths of the modules that go.mod files or vendor/modules.txt name and that are
        not of the repo.
    :param files: go.mod, go.work and vendor/modules.txt files that Go reads.
    :param optional_files: go.sum and go.work.sum; they need not exist.
    """

    directory: str
    main_module: LocalModule
    modules: tuple[LocalModule, ...]
    boundaries: tuple[str, ...]
    vendor: str | None
    required: tuple[str, ...]
    files: tuple[str, ...]
    optional_files: tuple[str, ...]


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _local_directory(base: str, target: str, where: str, what: str) -> str:
    """A directory that a go.mod or go.work names, relative to the repo's root."""
    if target.startswith("/"):
        raise KoPantsError(
            f"{where}: {what} {target!r} is an absolute path; expected one relative to "
            f"{posixpath.basename(where.partition(':')[0])}, within the repo"
        )
    path = posixpath.normpath(posixpath.join(base, target))
    if path == ".." or path.startswith("../"):
        raise KoPantsError(
            f"{where}: {what} {target!r} is outside of the repo; move the module into the repo, "
            "or require a published version of it"
        )
    return "" if path == "." else path


def go_version(text: str) -> tuple[int, int]:
    """(1, 21) of `1.21.3`; (0, 0) of what is no version."""
    match = re.match(r"([0-9]+)(?:\.([0-9]+))?", text)
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)


def find_workspace(
    directory: str,
    files: Mapping[str, bytes],
    *,
    mod: str = "",
    use_go_work: bool = True,
) -> Workspace:
    """The modules in play for the main package in `directory`.

    :param files: the repo's go.mod, go.work and vendor/modules.txt files, by path. Only those
        that matter are read, so that a malformed one elsewhere in the repo does no harm.
    :param mod: the value of `-mod` in GOFLAGS, if any.
    :param use_go_work: False for GOWORK=off.
    :raises KoPantsError: no module, a malformed file, a module outside of the repo, a module that
        go.work does not use.
    """
    go_mod_dirs = {
        posixpath.dirname(path) for path in files if posixpath.basename(path) == "go.mod"
    }
    where = directory or "the repo's root"
    root = find_module_root(directory, go_mod_dirs)
    if root is None:
        raise KoPantsError(
            f"no go.mod in {where} or a directory above it; expected a Go module: run "
            "`go mod init example.com/name` at the module's root"
        )

    def go_mod(module_directory: str) -> GoMod:
        path = _join(module_directory, "go.mod")
        return parse_go_mod(files[path], path)

    work: GoWork | None = None
    work_directory = root
    if use_go_work:
        work_directory = next((d for d in parents(directory) if _join(d, "go.work") in files), root)
        path = _join(work_directory, "go.work")
        if path in files:
            work = parse_go_work(files[path], path)

    mains: dict[str, GoMod] = {}
    if work is None:
        mains[root] = go_mod(root)
    else:
        for use in work.uses:
            used = _local_directory(work_directory, use, work.where, "`use` of")
            if used not in go_mod_dirs:
                raise KoPantsError(
                    f"{work.where}: `use` of {use!r}, but {_join(used, 'go.mod')} does not exist; "
                    "create it or remove the line"
                )
            mains[used] = go_mod(used)
        if root not in mains:
            raise KoPantsError(
                f"{where} is in the module {root or '.'}, which {work.where} does not use; run "
                f"`go work use ./{posixpath.relpath(root or '.', work_directory or '.')}`, or set "
                "GOWORK=off"
            )

    vendor, vendored = _vendor(work, work_directory, mains, files, mod)
    modules = [LocalModule(m.module, d, True) for d, m in mains.items()]
    requires = {r for m in mains.values() for r in m.requires}
    if vendor is None:
        main_paths = {m.path for m in modules}
        for path, replaced in _replacements(work, mains, requires):
            if path in main_paths:
                continue
            replacement_dir = _local_directory(*replaced)
            # Without a go.mod there the replacement is broken; Go says so if it needs it.
            if replacement_dir in go_mod_dirs:
                modules.append(LocalModule(path, replacement_dir, False))
    modules.sort(key=lambda m: (-len(m.path), m.path, m.directory))

    local_dirs = sorted({m.directory for m in modules})
    local_paths = {m.path for m in modules}
    boundaries = sorted(
        d for d in go_mod_dirs if any(d != local and is_within(d, local) for local in local_dirs)
    )
    module_files = [_join(d, "go.mod") for d in local_dirs]
    optional = [_join(d, "go.sum") for d in mains]
    if work is not None:
        module_files.append(work.where)
        optional.append(_join(work_directory, "go.work.sum"))
    if vendor is not None:
        module_files.append(_join(vendor, "modules.txt"))
    return Workspace(
        directory=work_directory,
        main_module=next(m for m in modules if m.main and m.directory == root),
        modules=tuple(modules),
        boundaries=tuple(boundaries),
        vendor=vendor,
        required=tuple(sorted(({r.path for r in requires} | {*vendored}) - local_paths)),
        files=tuple(sorted(module_files)),
        optional_files=tuple(sorted(optional)),
    )


def _vendor(
    work: GoWork | None,
    work_directory: str,
    mains: Mapping[str, GoMod],
    files: Mapping[str, bytes],
    mod: str,
) -> tuple[str | None, tuple[str, ...]]:
    """The vendor directory in use, if any, and its modules (cmd/go's setDefaultBuildMod)."""
    directory = _join(work_directory, "vendor")
    content = files.get(_join(directory, "modules.txt"))
    if content is None or mod not in ("", "vendor"):
        return None, ()
    vendored = parse_vendor_modules(content)
    if not mod:
        go = work.go if work is not None else mains[work_directory].go
        # Workspaces can be vendored since Go 1.22, which marks their modules.txt.
        if go_version(go) < (1, 14) or vendored.for_workspace != (work is not None):
            return None, ()
    return directory, vendored.modules


def _replacements(
    work: GoWork | None, mains: Mapping[str, GoMod], requires: Collection[Require]
) -> Iterator[tuple[str, tuple[str, str, str, str]]]:
    """(module path, arguments of `_local_directory`) of each local replacement that may apply."""
    overridden: set[tuple[str, str]] = set()
    sources: list[tuple[str, str, tuple[Replace, ...]]] = []
    if work is not None:
        overridden = {(r.old, r.old_version) for r in work.replaces}
        sources.append((posixpath.dirname(work.where), work.where, work.replaces))
    overridden_paths = {old for old, version in overridden if not version}
    for directory, go_mod in mains.items():
        kept = tuple(
            r
            for r in go_mod.replaces
            if r.old not in overridden_paths and (r.old, r.old_version) not in overridden
        )
        sources.append((directory, go_mod.where, kept))

    required: dict[str, set[str]] = {}
    for require in requires:
        required.setdefault(require.path, set()).add(require.version)
    # From Go 1.17 on, go.mod lists every module that provides a package, at the version in use; in
    # a workspace the highest version wins, which may be one that no go.mod of it names.
    exact = work is None and all(go_version(m.go) >= (1, 17) for m in mains.values())
    seen: set[tuple[str, str]] = set()
    for base, where, replaces in sources:
        for replace in replaces:
            versions = required.get(replace.old)
            if exact and versions is None:
                continue
            if exact and replace.old_version and replace.old_version not in (versions or ()):
                continue
            if (
                not replace.is_local
                or (replace.old, replace.new) in seen
                or _shadowed(replace, replaces, versions, exact)
            ):
                continue
            seen.add((replace.old, replace.new))
            yield (
                replace.old,
                (base, replace.new, f"{where}:{replace.line}", f"the replacement of {replace.old}"),
            )


def _shadowed(
    replace: Replace,
    replaces: Collection[Replace],
    versions: Collection[str] | None,
    exact: bool,
) -> bool:
    """True if a replacement of all versions gives way to one of the version in use."""
    return (
        exact
        and not replace.old_version
        and any(r.old == replace.old and r.old_version in (versions or ()) for r in replaces)
    )
