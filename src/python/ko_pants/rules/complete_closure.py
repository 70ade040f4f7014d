"""The closure of a main package, with the files that Pants does not see."""

from __future__ import annotations

import dataclasses
from typing import Callable, Collection, Container

from ko_pants.engine import go_closure
from ko_pants.errors import KoPantsError
from ko_pants.golang.build_flags import profile_path
from ko_pants.golang.input_views import Embedded, NamedFiles, PackageDirectory, View
from ko_pants.golang.module_directories import module_file_paths
from ko_pants.golang.repo_paths import join, parents
from ko_pants.golang.workspace import ModulesNotFound, Workspace
from ko_pants.products import GoClosure, GoClosureRequest
from ko_pants.rules.hidden_files import files_of, hidden_in, with_hidden_modules


def check_profile(
    request: GoClosureRequest, workspace: Workspace, existing: Collection[str]
) -> None:
    """Make sure that the file that `-pgo` names exists.

    :param existing: its path, if it does.
    :raises KoPantsError: it does not.
    """
    if request.profile and not existing:
        module = workspace.main_module.directory
        raise KoPantsError(
            f"the flag -pgo names {request.profile!r}, and "
            f"{profile_path(request.profile, module)} does not exist; expected a path relative to "
            f"{join(module, 'go.mod')}"
        )


def _existing_profile(
    request: GoClosureRequest, workspace: Workspace, root: str
) -> Collection[str]:
    if not request.profile:
        return ()
    path = profile_path(request.profile, workspace.main_module.directory)
    return files_of(root, NamedFiles((path,)))


# Each round finds the packages that only the hidden files of the round before import.
_MAX_ROUNDS = 1000


def _visible(closure: GoClosure) -> Callable[[View], Container[str]]:
    """The paths in a view that Pants has found in the search."""
    analyzed = {directory.path: directory for directory in closure.analyzed}
    hidden = {file.path for file in closure.hidden}

    def visible(view: View) -> Container[str]:
        if not isinstance(view, PackageDirectory) or view.path not in analyzed:
            return ()
        directory = analyzed[view.path]
        names = [file.name for file in directory.files]
        names += [file.name for file in directory.other_files]
        if directory.has_go_mod:
            names.append("go.mod")
        return {join(view.path, name) for name in names} - hidden

    return visible


async def complete_closure(
    request: GoClosureRequest, root: str
) -> tuple[GoClosureRequest, GoClosure]:
    """The closure with the files that Pants does not see, and the request that gives it.

    :param root: the build root.
    :raises KoPantsError: see `find_go_closure`; or there is something that Go reads and Pants
        cannot.
    """
    above = NamedFiles(tuple(module_file_paths(parents(request.directory))))
    request = dataclasses.replace(request, hidden=await hidden_in(root, [above]))
    for _ in range(_MAX_ROUNDS):
        try:
            closure = await go_closure(request)
        except ModulesNotFound as e:
            hidden = await with_hidden_modules(request.hidden, e, root)
            request = dataclasses.replace(request, hidden=hidden)
            continue
        hidden = await hidden_in(root, (above, *closure.views), visible=_visible(closure))
        if hidden == request.hidden:
            break
        request = dataclasses.replace(request, hidden=hidden)
    else:
        raise KoPantsError(
            f"{request.directory or '.'}: files that Go reads and Pants ignores change while they "
            "are read; end what writes them, and run again"
        )
    workspace = closure.workspace
    check_profile(request, workspace, _existing_profile(request, workspace, root))
    embedded = {path for e in closure.closure.embeds for path in files_of(root, Embedded(e))}
    closure = dataclasses.replace(closure, embedded=tuple(sorted(embedded)))
    # The views also have files that this build does not read, such as those of other platforms.
    files = set(closure.files)
    return request, dataclasses.replace(
        closure, hidden=tuple(file for file in hidden if file.path in files)
    )
