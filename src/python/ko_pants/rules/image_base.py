"""What the field `base_image` of a target means: a reference, a layout, `scratch`, or a target."""

from __future__ import annotations

from dataclasses import replace

from pants.engine.addresses import UnparsedAddressInputs
from pants.engine.target import Target

from ko_pants.base_image_fields import (
    OciBaseImageLockfileField,
    OciBaseImageReferenceField,
    names_target,
)
from ko_pants.engine import base_image, lock_file, targets_of
from ko_pants.errors import KoPantsError
from ko_pants.oci.base_lock import BaseLock, unlocked_platform
from ko_pants.oci.cpu_levels import missing_platforms
from ko_pants.oci.image import BaseImage, scratch_base
from ko_pants.oci.platform import Platform
from ko_pants.products import BaseImageRequest, LockFileRequest
from ko_pants.registry.errors import RegistryError
from ko_pants.rules.image_defaults import overridden_base
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.target_types import GoOciImageBaseImageField, GoOciImageFieldSet


def _named_by(field: GoOciImageBaseImageField) -> str:
    """The target, and the field or option that names its base."""
    return f"{field.address}, " + (
        "field `base_image`"
        if field.value
        else "option [ko].default_base_image (or $KO_DEFAULTBASEIMAGE, or .ko.yaml)"
    )


def _origin(field: GoOciImageBaseImageField) -> str:
    """What Pants says of an address that does not exist: it is `from the ...`."""
    if field.value:
        return f"the field `base_image` of {field.address}"
    return (
        "the option [ko].default_base_image (or $KO_DEFAULTBASEIMAGE, or .ko.yaml), for "
        f"{field.address}"
    )


async def base_target(field: GoOciImageBaseImageField, settings: Settings) -> Target | None:
    """The `oci_base_image` that an image is built on; None if its base is no target.

    :raises KoPantsError: the address names no such target.
    """
    value = field.value or settings.base_image
    if not names_target(value):
        return None
    where = _named_by(field)
    if not field.value and not value.startswith("//"):
        raise KoPantsError(
            f"{where}: {value!r} is relative to a BUILD file, and an option has none; expected an "
            "address from the build root, such as //images:static"
        )
    targets = await targets_of(
        UnparsedAddressInputs(
            [value], owning_address=field.address, description_of_origin=_origin(field)
        )
    )
    if len(targets) != 1:
        raise KoPantsError(f"{where}: expected one target, found {len(targets)} in {value!r}")
    target = targets[0]
    if not target.has_field(OciBaseImageReferenceField):
        raise KoPantsError(
            f"{where}: {target.address} is a `{target.alias}`; expected an `oci_base_image`"
        )
    return target


def _check_lock(lock: BaseLock, target: Target, wanted: tuple[Platform, ...]) -> None:
    """Make sure that a lock is for this target, and has what is wanted.

    :raises KoPantsError: it is not; the text says what to do.
    """
    path = target[OciBaseImageLockfileField].file_path
    image = target[OciBaseImageReferenceField].value
    if lock.image != image:
        raise KoPantsError(
            f"the lock file {path} of {target.address} is for {lock.image}, and the field `image` "
            f"says {image}. Run `./pants ko-lock {target.address}` and commit the file"
        )
    missing = missing_platforms((p.parsed() for p in lock.platforms), wanted)
    if missing:
        raise KoPantsError(
            f"the lock file {path} of {target.address} has no platform "
            f"{', '.join(map(str, missing))}; it has "
            f"{', '.join(p.platform for p in lock.platforms)}. If {image} has it by now, run "
            f"`./pants ko-lock {target.address}`; else choose another base image, or fewer "
            "platforms"
        )


async def _locked_base(target: Target, wanted: tuple[Platform, ...]) -> BaseImage:
    """The base that the lock file of an `oci_base_image` pins. No tag is asked for.

    :raises KoPantsError: the lock file is missing, damaged or for something else, or the registry
        has the locked image no longer.
    """
    path = target[OciBaseImageLockfileField].file_path
    found = await lock_file(LockFileRequest(str(target.address), path))
    lock = found.lock
    if lock is None:
        raise KoPantsError(found.problem)
    _check_lock(lock, target, wanted)
    command = f"./pants ko-lock {target.address}"
    if_lost = f"Run `{command}` to lock what {lock.image} names now, and commit {path}"
    try:
        base = (await base_image(BaseImageRequest(lock.image, wanted, lock.digest))).base
    except RegistryError as e:
        gone = f". The locked image is gone from the registry. {if_lost}" if e.status == 404 else ""
        raise KoPantsError(
            f"{target.address} is locked to {lock.digest} in {path}: {e}{gone}"
        ) from None
    other = unlocked_platform(lock, base)
    if other is not None:
        raise KoPantsError(
            f"the lock file {path} of {target.address} was changed by hand: by its `digest`, the "
            f"image for {other.platform} is {other.digest}, and `platforms` does not say so. Run "
            f"`{command}` and commit the file"
        )
    return replace(base, if_lost=if_lost)


async def image_base(
    field_set: GoOciImageFieldSet,
    settings: Settings,
    wanted: tuple[Platform, ...],
    outside: GoEnvironment,
) -> BaseImage:
    """The base of an image, reduced to the wanted platforms; none of them means `all`.

    :raises KoPantsError: there is no such base, or it lacks a platform; the text names target and
        field, or the option.
    """
    field = field_set.base_image
    override = "" if field.value else await overridden_base(field_set.binary, outside)
    reference = field.value or override or settings.base_image
    if reference == "scratch":
        if not wanted:
            named = (
                "field `platforms`"
                if field_set.platforms.value
                else "option [ko].default_platforms (or $KO_DEFAULTPLATFORMS, or .ko.yaml)"
            )
            raise KoPantsError(
                f"{field_set.address}, {named}: `all` means every platform of the base "
                "image, and `scratch` has none; name the platforms"
            )
        return scratch_base(wanted)
    target = None if override else await base_target(field, settings)
    try:
        if target is not None:
            return await _locked_base(target, wanted)
        return (await base_image(BaseImageRequest(reference, wanted))).base
    except KoPantsError as e:
        raise KoPantsError(f"{_named_by(field)}: {e}") from None
