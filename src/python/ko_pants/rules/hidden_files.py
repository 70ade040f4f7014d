"""Files that a build reads and that Pants does not see: by `pants_ignore`, or by `.gitignore`.

They are read from the disk, and so Pants does not watch them. Instead every run looks at the state
of the directories and files concerned (some `stat` calls), and hands what it finds to the steps
below as part of their requests. As long as there are no such files, these requests are the same as
without this module.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Callable, Container, Iterable, Mapping, Sequence

from pants.base.build_root import BuildRoot
from pants.engine.fs import Digest, MergeDigests
from pants.engine.rules import _uncacheable_rule

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.disk.disk import ABSENT, Disk, Entries, HiddenFile, State
from ko_pants.engine import hidden_digest, merge_digests
from ko_pants.errors import KoPantsError
from ko_pants.golang.input_views import NamedFiles, View
from ko_pants.golang.workspace import ModulesNotFound
from ko_pants.products import HiddenDigestRequest, HiddenFiles, HiddenFilesRequest
from ko_pants.rules.repo_files import existing_files


@dataclass(frozen=True)
class _Seen:
    """What a view had when it was looked at.

    :param states: of every directory that it depends on.
    :param files: paths of all files, sorted.
    :param hidden: paths of the files that Pants does not find, sorted.
    :param unreadable: a later look failed.
    """

    states: tuple[tuple[str, State], ...]
    files: tuple[str, ...]
    hidden: tuple[str, ...]
    unreadable: bool = False


# A view that is dropped would not be looked at in the next run. Then all are dropped, and that is
# noted as a change: it tells the engine that everything has to be looked at again.
_MAX_VIEWS = 200_000
_views: BoundedMemory[tuple[str, View], _Seen] = BoundedMemory(
    name="rules.hidden_files: views",
    bound=_MAX_VIEWS,
    holds="what the builds of this daemon read of the disk, so that the next run looks there again",
)
_contents: BoundedMemory[tuple[str, str], str] = BoundedMemory(
    name="rules.hidden_files: digests of files",
    bound=_MAX_VIEWS,
    holds="the digest that a hidden file had when it was last read, to see that it has changed",
)
_change: BoundedMemory[str, str] = BoundedMemory(
    name="rules.hidden_files: last change",
    bound=1,
    holds="a random name of the last change that was seen",
)


async def _hidden_of_unknown(
    root: str,
    unknown: Mapping[View, tuple[frozenset[str], tuple[tuple[str, State], ...]]],
    visible: Callable[[View], Container[str]],
) -> set[str]:
    """The paths in views that Pants does not find; the views are known from now on."""
    unsure = {}
    for view, (files, _) in unknown.items():
        known = visible(view)
        unsure[view] = [path for path in files if path not in known]
    wanted = sorted({path for paths in unsure.values() for path in paths})
    found = set(await existing_files(wanted)) if wanted else set()
    hidden: set[str] = set()
    for view, (files, states) in unknown.items():
        missing = tuple(sorted(path for path in unsure[view] if path not in found))
        hidden.update(missing)
        _remember(root, view, _Seen(states, tuple(sorted(files)), missing))
    return hidden


def _no_paths(_: View) -> Container[str]:
    return ()


async def hidden_in(
    root: str,
    views: Sequence[View],
    *,
    visible: Callable[[View], Container[str]] = _no_paths,
) -> tuple[HiddenFile, ...]:
    """The files of views that Pants does not find, with what they hold now, sorted by path.

    Each directory of each view is looked at.

    :param visible: paths in a view that Pants is known to find; it is not asked for these.
    :raises KoPantsError: a view has something that cannot be read as Go or ko reads it.
    """
    disk = Disk(root)
    unknown: dict[View, tuple[frozenset[str], tuple[tuple[str, State], ...]]] = {}
    hidden: set[str] = set()
    now: dict[str, State] = {}
    for view in views:
        seen = _views.get((root, view))
        if seen is not None and _is_current(seen, disk, now):
            hidden.update(seen.hidden)
        else:
            unknown[view] = _look(disk, view)
    if unknown:
        hidden.update(await _hidden_of_unknown(root, unknown, visible))
    return _read(disk, hidden) if hidden else ()


async def with_hidden_modules(
    hidden: Sequence[HiddenFile], missing: ModulesNotFound, root: str
) -> tuple[HiddenFile, ...]:
    """Hidden files, with the go.mod files that go.work needs and Pants ignores; sorted by path.

    :raises ModulesNotFound: `missing`, if none of its files is there.
    """
    known = {file.path for file in hidden}
    found = await hidden_in(root, [NamedFiles(missing.paths)])
    new = [file for file in found if file.path not in known]
    if not new:
        raise missing
    return tuple(sorted((*hidden, *new), key=lambda file: file.path))


def files_of(root: str, view: View) -> tuple[str, ...]:
    """The paths of all files of a view that `hidden_in` has looked at, sorted."""
    seen = _views.get((root, view))
    return seen.files if seen is not None else tuple(sorted(_look(Disk(root), view)[0]))


def _is_current(seen: _Seen, disk: Disk, now: dict[str, State]) -> bool:
    """True if nothing has changed that a view depends on.

    :param now: the states of directories that the caller has looked at already; gets those of
        others.
    """
    for directory, state in seen.states:
        if directory not in now:
            now[directory] = disk.state(directory)
        if state is None or now[directory] != state:
            return False
    return True


def _look(disk: Disk, view: View) -> tuple[frozenset[str], tuple[tuple[str, State], ...]]:
    states: dict[str, State] = {}
    read: dict[str, Entries] = {}

    def entries(directory: str) -> Entries:
        if directory not in read:
            # The state is older than what is read: a change in between is seen in the next run.
            state = disk.state(directory)
            found = read[directory] = disk.entries(directory)
            states[directory] = None if found and state == ABSENT else state
        return read[directory]

    return view.files(disk, entries), tuple(states.items())


def _remember(root: str, view: View, seen: _Seen) -> None:
    if len(_views) >= _MAX_VIEWS:
        _views.clear()
        _note_change(root)
    before = _views.get((root, view))
    if before is not None and _what_matters(view, before) != _what_matters(view, seen):
        _note_change(root)
    _views.put((root, view), seen)


def _what_matters(view: View, seen: _Seen) -> tuple[str, ...]:
    return seen.files if view.names_matter else seen.hidden


def _read(disk: Disk, paths: Iterable[str]) -> tuple[HiddenFile, ...]:
    """These files as they are now, sorted by path."""
    files = tuple(disk.hidden_file(path) for path in sorted(paths))
    for file in files:
        before = _contents.get((disk.root, file.path))
        if before != file.fingerprint:
            if len(_contents) >= _MAX_VIEWS:
                _contents.clear()
                _note_change(disk.root)
            _contents.put((disk.root, file.path), file.fingerprint)
            if before is not None:
                _note_change(disk.root)
    return files


def _note_change(root: str) -> None:
    """Make what the next run sees another one than all before; also from several threads."""
    _change.put(root, os.urandom(16).hex())


@_uncacheable_rule
async def hidden_files(request: HiddenFilesRequest, build_root: BuildRoot) -> HiddenFiles:
    """Look again at all that builds of this daemon have looked at.

    What cannot be read is no error here, for no target is known. It makes the result another one,
    so that the targets concerned look for themselves.
    """
    root = build_root.path
    disk = Disk(root)
    seen = {view: seen for (place, view), seen in _views.items() if place == root}
    changed = _changed_states(disk, seen.values())
    stale = [v for v, s in seen.items() if s.unreadable or not changed.isdisjoint(s.states)]
    problems = []
    readable = []
    for view in stale:
        before = seen.pop(view)
        try:
            _look(disk, view)
        except KoPantsError as e:
            problems.append(str(e))
            _views.put((root, view), dataclasses.replace(before, unreadable=True))
        else:
            readable.append(view)
    hidden = {file.path for file in await hidden_in(root, readable)}
    hidden.update(path for current in seen.values() for path in current.hidden)
    _read(disk, hidden)  # notes what has changed
    return HiddenFiles(_change.get(root) or "", tuple(sorted(problems)))


def _changed_states(disk: Disk, views: Iterable[_Seen]) -> set[tuple[str, State]]:
    """The states of directories that are no longer so. Each is looked at once for all views."""
    known = {state for seen in views for state in seen.states}
    return {
        (directory, state)
        for directory, state in known
        if state is None or disk.state(directory) != state
    }


async def with_hidden(digest: Digest, files: Iterable[HiddenFile]) -> Digest:
    """A digest with hidden files added."""
    wanted = tuple(files)
    if not wanted:
        return digest
    hidden = await hidden_digest(HiddenDigestRequest(wanted))
    return await merge_digests(MergeDigests([digest, hidden.digest]))
