"""Which image a reference in a manifest means: `ko://<import path>` or `pants://<address>`."""

from __future__ import annotations

import difflib
import posixpath
from dataclasses import dataclass
from typing import Iterable, Mapping

from pants.engine.addresses import Address, UnparsedAddressInputs
from pants.util.frozendict import FrozenDict

from ko_pants.engine import analyzed_directories, image_packages, targets_of
from ko_pants.golang.import_path import has_prefix
from ko_pants.kubernetes.references import KO_SCHEME, PANTS_SCHEME
from ko_pants.products import (
    GoBuild,
    GoDirectoryRequest,
    ImagePackages,
    ImagePackagesRequest,
)
from ko_pants.rules.go_closure import closure_request, workspace_of
from ko_pants.target_types import GoOciImageFieldSet

_MAX_MATCHES = 3
_MAX_BROKEN = 3
_MAX_PROBLEM = 600


@dataclass(frozen=True)
class NamedImages:
    """What references mean.

    :param images: the image of each reference that means one.
    :param candidates: the images of each reference that means several.
    :param problems: what is wrong with each of the others, and with those of `candidates`.
    """

    images: Mapping[str, Address]
    candidates: Mapping[str, tuple[Address, ...]]
    problems: Mapping[str, str]


async def find_named_images(
    values: Iterable[str], relative_to: Address, variables: FrozenDict[str, str], *, explain: bool
) -> NamedImages:
    """Look up each reference once.

    :param relative_to: the target of the manifests.
    :param variables: the environment of `go build`.
    :param explain: False where nobody reads what is wrong with import paths that name no image.
    """
    images: dict[str, Address] = {}
    candidates: dict[str, tuple[Address, ...]] = {}
    problems: dict[str, str] = {}
    packages: ImagePackages | None = None
    for value in dict.fromkeys(values):
        if value.startswith(PANTS_SCHEME):
            found = await _addressed(value[len(PANTS_SCHEME) :], relative_to)
            if isinstance(found, Address):
                images[value] = found
            else:
                problems[value] = found
            continue
        if packages is None:
            packages = await image_packages(ImagePackagesRequest(variables))
        import_path = value[len(KO_SCHEME) :]
        owners = packages.by_import_path.get(import_path, [])
        if len(owners) == 1:
            images[value] = owners[0]
        elif owners:
            candidates[value] = tuple(owners)
            problems[value] = _ambiguous(owners)
        elif explain:
            problems[value] = await _unknown(import_path, packages, relative_to, variables)
        else:
            problems[value] = "names no image"
    return NamedImages(images, candidates, problems)


async def _addressed(text: str, relative_to: Address) -> Address | str:
    """The image at an address, or why there is none."""
    expected = (
        "expected the address of a `go_oci_image`, such as `pants://path/to:target`, or "
        "`pants://:target` for one in the BUILD file of the manifests"
    )
    try:
        targets = await targets_of(
            UnparsedAddressInputs(
                [text],
                owning_address=relative_to,
                description_of_origin="a reference",
            )
        )
    except Exception as e:
        # Pants says what is wrong with an address, or with the BUILD file that it leads to.
        return f"{expected}. {' '.join(str(e).split())[:_MAX_PROBLEM]}"
    if len(targets) != 1:
        return f"names {len(targets)} targets; {expected}"
    (target,) = targets
    if not GoOciImageFieldSet.is_applicable(target):
        return f"{target.address} is a `{target.alias}`; {expected}"
    return target.address


def _ambiguous(owners: Iterable[Address]) -> str:
    names = [_as_reference(owner) for owner in owners]
    return (
        f"{len(names)} images have this program; expected an address that names one of them: "
        + " or ".join(names)
    )


def _as_reference(address: Address) -> str:
    return f"{PANTS_SCHEME}{address.spec}"


async def _unknown(
    import_path: str, packages: ImagePackages, relative_to: Address, variables: FrozenDict[str, str]
) -> str:
    """Why an import path names no image."""
    found = await _found_package(import_path, packages, relative_to, variables)
    text = found or "no package of this repository has this import path"
    if not found:
        known = packages.by_import_path
        close = difflib.get_close_matches(import_path, known, n=_MAX_MATCHES, cutoff=0.5)
        if close:
            text += "; the closest are " + ", ".join(f"{KO_SCHEME}{path}" for path in close)
        elif not known:
            text += ", and no `go_oci_image` has a program that is compiled from this repository"
        else:
            text += "; expected that of the program of a `go_oci_image`"
    broken = [package for package in packages.packages if package.problem]
    if broken:
        text += f". Images whose program is not known ({len(broken)}): " + "; ".join(
            _broken(p.address, p.problem) for p in broken[:_MAX_BROKEN]
        )
    return text


def _broken(address: Address, problem: str) -> str:
    line = problem.splitlines()[0]
    return line if str(address) in line else f"{address}: {line}"


async def _found_package(
    import_path: str, packages: ImagePackages, relative_to: Address, variables: FrozenDict[str, str]
) -> str:
    """What the directory is that has the import path; empty if there is none."""
    modules = dict.fromkeys(module for package in packages.packages for module in package.modules)
    for start in (relative_to.spec_path, ""):
        modules.update(dict.fromkeys(await _modules_around(start, variables)))
    directories = [
        posixpath.normpath(posixpath.join(directory, import_path[len(path) + 1 :]))
        for path, directory in modules
        if has_prefix(import_path, path)
    ]
    requests = [GoDirectoryRequest("" if d == "." else d) for d in dict.fromkeys(directories)]
    for analyzed in await analyzed_directories(requests):
        directory = analyzed.directory
        names = sorted({f.package for f in directory.files if not f.name.endswith("_test.go")})
        place = directory.path or "the root of the repository"
        if "main" in names:
            return (
                f"{place} is a main package, and no `go_oci_image` has it as its program; "
                f"expected one, for example `go_oci_image()` in {_build_file(directory.path)}"
            )
        if names:
            return (
                f"{place} is a library (package {names[0]}); expected the import path of a main "
                "package"
            )
    return ""


def _build_file(directory: str) -> str:
    return posixpath.join(directory, "BUILD")


async def _modules_around(
    directory: str, variables: FrozenDict[str, str]
) -> tuple[tuple[str, str], ...]:
    """The modules that a program in a directory could use; none where there is no go.mod."""
    try:
        workspace = await workspace_of(closure_request(GoBuild("", directory), (), variables))
    except Exception:
        # No module, or a malformed one: it is not what the user asked about.
        return ()
    return tuple((module.path, module.directory) for module in workspace.modules)
