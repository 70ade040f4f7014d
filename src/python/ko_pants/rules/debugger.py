"""What `debug` and `disable_optimizations` make of the programs of an image, as in ko.

Source: `doesPlatformSupportDebugging`, `getDelve` and `buildOne` in ko's pkg/build/gobuild.go. ko
clones the newest Delve with each build; here it is a target, or a module that go.mod requires.
"""

from __future__ import annotations

import dataclasses

from ko_pants.build_fields import check_debug_platforms
from ko_pants.errors import KoPantsError
from ko_pants.oci.image import BaseImage
from ko_pants.products import GoBuild, PrebuiltFile
from ko_pants.rules.binary import resolve_program
from ko_pants.rules.settings import Settings
from ko_pants.target_types import GoOciImageFieldSet

# The name of Delve in the image, in `/ko-app/`.
DEBUGGER = "dlv"

_PACKAGE = "github.com/go-delve/delve/cmd/dlv"
# The compiler's: neither optimizations nor inlining. Of several -gcflags the last one counts.
_NO_OPTIMIZATIONS = "-gcflags=all=-N -l"


def is_debug_image(field_set: GoOciImageFieldSet, base: BaseImage, settings: Settings) -> bool:
    """True if the image has a debugger.

    :raises KoPantsError: it has a platform for which there is none.
    """
    field = field_set.debug
    if not (settings.debug if field.value is None else field.value):
        return False
    named = f"field `{field.alias}`" if field.value else "option [ko].debug"
    check_debug_platforms(
        (manifest.platform for manifest in base.manifests), f"{field_set.address}, {named}"
    )
    return True


def for_debugging(
    field_set: GoOciImageFieldSet,
    programs: list[tuple[GoBuild | None, PrebuiltFile | None]],
    settings: Settings,
    *,
    debug: bool,
) -> list[tuple[GoBuild | None, PrebuiltFile | None]]:
    """The programs, without optimizations if the target, an option or `debug` says so.

    :raises KoPantsError: the target says so, and no program is compiled.
    """
    field = field_set.disable_optimizations
    wanted = settings.disable_optimizations if field.value is None else field.value
    if field.value and all(build is None for build, _ in programs):
        raise KoPantsError(
            f"{field_set.address}, field `{field.alias}`: found True for a prebuilt executable; it "
            "decides how a program is compiled. Leave the field out"
        )
    if not wanted and not (debug and field.value is None):
        return programs
    return [
        (
            build and dataclasses.replace(build, flags=(*build.flags, _NO_OPTIMIZATIONS)),
            prebuilt,
        )
        for build, prebuilt in programs
    ]


async def delve_program(
    field_set: GoOciImageFieldSet, program: GoBuild | None
) -> tuple[GoBuild | None, PrebuiltFile | None]:
    """Delve: the target of the field, or the version in the go.mod of the program.

    :param program: how the entrypoint is compiled; None if it is prebuilt.
    :raises KoPantsError: the field names what yields no executable; or it is left out, and there is
        no go.mod.
    """
    field = field_set.delve
    if field.value:
        owner = f"{field_set.address}, field `{field.alias}`"
        return await resolve_program(field.value, field_set.address, owner)
    owner = f"{field_set.address}, field `{field_set.debug.alias}`"
    if program is None:
        raise KoPantsError(
            f"{owner}: the program is prebuilt, so no go.mod says which version of Delve to take; "
            f"expected the field `{field.alias}` with a target that yields Delve"
        )
    build = GoBuild(
        owner, program.directory, ldflags=("-s", "-w"), env=program.env, package=_PACKAGE
    )
    return build, None
