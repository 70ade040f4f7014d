"""Lock files of base images: what a reference named when it was locked.

A lock file is JSON with a line for each platform, so that a diff shows what a refresh changed. The
digest of the index (or of the only manifest) pins everything. Those of the platforms tell without a
request what the base has, and show whose image a new index changes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.cpu_levels import base_platforms
from ko_pants.oci.descriptor import is_digest
from ko_pants.oci.documents import parse_document
from ko_pants.oci.image import BaseImage
from ko_pants.oci.platform import Platform

_VERSION = 1


@dataclass(frozen=True, order=True)
class LockedPlatform:
    """The image of one platform.

    :param platform: `os/arch[/variant][:osversion]`.
    :param digest: of its manifest.
    """

    platform: str
    digest: str

    def parsed(self) -> Platform:
        """The platform. It is the base's, so Go need not know it."""
        path, _, version = self.platform.partition(":")
        os, _, rest = path.partition("/")
        architecture, _, variant = rest.partition("/")
        return Platform(os, architecture, variant, version)


@dataclass(frozen=True)
class BaseLock:
    """What a lock file says.

    :param image: the reference that was locked, in full.
    :param digest: of the index, or of the only manifest.
    :param platforms: sorted; those that Go can build for.
    """

    image: str
    digest: str
    platforms: tuple[LockedPlatform, ...]


def lock_of(base: BaseImage) -> BaseLock:
    """The lock of a base that was read for `all` platforms."""
    platforms = (LockedPlatform(str(m.platform), m.digest) for m in base.manifests)
    return BaseLock(base.name, base.digest, tuple(sorted(platforms)))


def lock_content(lock: BaseLock) -> bytes:
    """The lock file: the same bytes for the same lock."""
    lines = (
        f'    {{"platform": {json.dumps(p.platform)}, "digest": {json.dumps(p.digest)}}}'
        for p in lock.platforms
    )
    head = (
        f'{{\n  "version": {_VERSION},\n  "image": {json.dumps(lock.image)},\n'
        f'  "digest": {json.dumps(lock.digest)},\n  "platforms": [\n'
    )
    return (head + ",\n".join(lines) + "\n  ]\n}\n").encode()


def parse_lock(content: bytes, *, where: str) -> BaseLock:
    """Read a lock file. Keys that are not known are left alone.

    :param where: names the file in the message of an error.
    :raises KoPantsError: it is not what `lock_content` writes, or is of a newer version.
    """
    document = parse_document(content, where=where)
    version = document.get("version")
    if version != _VERSION:
        raise KoPantsError(
            f"{where}: expected `version` to be {_VERSION}, found {version!r:.80}"
            + (" of a newer ko_pants" if isinstance(version, int) and version > _VERSION else "")
        )
    image = document.get("image")
    if not isinstance(image, str) or not image:
        raise KoPantsError(f"{where}: expected `image` to be a reference, found {image!r:.80}")
    platforms = document.get("platforms")
    if not isinstance(platforms, list) or not platforms:
        raise KoPantsError(f"{where}: expected a list `platforms`, found {platforms!r:.80}")
    return BaseLock(
        image,
        _digest(document, where=where),
        tuple(sorted(_locked_platform(entry, where=f"{where}, platforms") for entry in platforms)),
    )


def _locked_platform(entry: object, *, where: str) -> LockedPlatform:
    platform = entry.get("platform") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(platform, str) or "/" not in platform:
        raise KoPantsError(f"{where}: expected an object with `platform`, found {entry!r:.80}")
    return LockedPlatform(platform, _digest(entry, where=f"{where}, {platform:.80}"))


def _digest(obj: Mapping[str, Any], *, where: str) -> str:
    digest = obj.get("digest")
    if not is_digest(digest):
        raise KoPantsError(
            f"{where}: expected `digest` to be a sha256 digest, found {digest!r:.80}"
        )
    return str(digest)


def lock_changes(old: BaseLock, new: BaseLock) -> list[str]:
    """What differs, a line each: the index, then each platform. Empty if nothing does."""
    changes = []
    if old.image != new.image:
        changes.append(f"image: {old.image} -> {new.image}")
    if old.digest != new.digest:
        changes.append(f"digest: {old.digest} -> {new.digest}")
    before, after = _by_platform(old.platforms), _by_platform(new.platforms)
    for platform in sorted({*before, *after}):
        was, now = before.get(platform), after.get(platform)
        if was is None:
            changes.append(f"{platform}: added {now}")
        elif now is None:
            changes.append(f"{platform}: removed {was}")
        elif was != now:
            changes.append(f"{platform}: {was} -> {now}")
    return changes


def _by_platform(platforms: Sequence[LockedPlatform]) -> dict[str, str]:
    found: dict[str, str] = {}
    for locked in platforms:
        # An index can have several images of one platform.
        before = found.get(locked.platform)
        found[locked.platform] = f"{before}, {locked.digest}" if before else locked.digest
    return found


def unlocked_platform(lock: BaseLock, base: BaseImage) -> LockedPlatform | None:
    """The first image of a base, read by the locked digest, that the lock does not have.

    The image for a CPU level may be the one that the lock has for a lower level.
    """
    known = set(lock.platforms)
    for manifest in base.manifests:
        possible = base_platforms(manifest.platform)
        if not any(LockedPlatform(str(p), manifest.digest) in known for p in possible):
            return LockedPlatform(str(manifest.platform), manifest.digest)
    return None
