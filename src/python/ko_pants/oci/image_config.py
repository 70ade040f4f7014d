"""The config of a composed image (OCI image-spec, config.md).

What is written into it follows ko (`pkg/build/gobuild.go`): entrypoint, PATH, KO_DATA_PATH, author
and history.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Mapping, Sequence

from ko_pants.oci.platform import Platform

AUTHOR = "github.com/ko-build/ko"

# How Go writes its zero time in JSON. ko writes it where no creation time is set.
_ZERO_TIME = "0001-01-01T00:00:00Z"
_HISTORY_AUTHOR = "ko"


@dataclass(frozen=True)
class ImageConfig:
    """What a target says of its image.

    :param app_name: the name of the executable in `/ko-app`.
    :param labels: sorted pairs.
    :param annotations: sorted pairs; of the manifests and the index, not of the config.
    :param created: seconds since the epoch; None where not set.
    :param kodata: it has a layer of kodata, so KO_DATA_PATH is set.
    """

    app_name: str
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    created: int | None = None
    kodata: bool = True


@dataclass(frozen=True)
class History:
    """The entry of a layer in the config's history.

    :param created: seconds since the epoch; None where not set.
    """

    created_by: str
    comment: str
    created: int | None = None

    def to_json(self) -> dict[str, str]:
        """The JSON object, with ko as the author."""
        return {
            "author": _HISTORY_AUTHOR,
            "created": _ZERO_TIME if self.created is None else rfc3339(self.created),
            "created_by": self.created_by,
            "comment": self.comment,
        }


def config_document(
    base: Mapping[str, Any],
    platform: Platform,
    diff_ids: Sequence[str],
    history: Sequence[History],
    config: ImageConfig,
) -> dict[str, Any]:
    """The config's JSON object.

    :param base: the config of the base image; what is not ours stays as it is there.
    :param diff_ids: of all layers, those of the base included.
    :param history: of our layers.
    """
    document = dict(base)
    windows = platform.os == "windows"
    inner: dict[str, Any] = dict(document.get("config") or {})
    inner["Entrypoint"] = [
        f"C:\\ko-app\\{config.app_name}" if windows else f"/ko-app/{config.app_name}"
    ]
    inner.pop("Cmd", None)
    inner["Env"] = _environment(inner.get("Env") or [], windows=windows, kodata=config.kodata)
    inner["Labels"] = {**(inner.get("Labels") or {}), **dict(config.labels)}
    if not inner["Labels"]:
        del inner["Labels"]

    document["config"] = inner
    document["author"] = AUTHOR
    document["os"] = platform.os
    document["architecture"] = platform.architecture
    if platform.variant:
        document["variant"] = platform.variant
    if platform.os_version:
        document["os.version"] = platform.os_version
    if config.created is not None:
        document["created"] = rfc3339(config.created)
    document.setdefault("created", _ZERO_TIME)
    document["rootfs"] = {"type": "layers", "diff_ids": list(diff_ids)}
    document["history"] = [
        *(document.get("history") or []),
        *(entry.to_json() for entry in history),
    ]
    return document


def _environment(base: Sequence[str], *, windows: bool, kodata: bool) -> list[str]:
    """The base's variables, with the executable's directory at the end of PATH.

    With kodata there is KO_DATA_PATH too.

    On Windows too ko joins PATH with a colon.
    """
    app_dir = r"C:\ko-app" if windows else "/ko-app"
    env = [str(entry) for entry in base]
    for i, entry in enumerate(env):
        if entry.startswith("PATH="):
            env[i] = f"{entry}:{app_dir}"
            break
    else:
        env.append(f"PATH={app_dir}")
    if kodata:
        env.append(r"KO_DATA_PATH=C:\var\run\ko" if windows else "KO_DATA_PATH=/var/run/ko")
    return env


def rfc3339(epoch: int) -> str:
    """Seconds since the epoch as an RFC 3339 time in UTC, as Go writes it."""
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
