"""The config of a composed image (OCI image-spec, config.md).

Entrypoint, PATH, KO_DATA_PATH, author and history are as ko writes them (`pkg/build/gobuild.go`).
Healthchecks are none of OCI's config; only Docker's has them.
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
# ko's `delveArgs`. What follows `--` is the executable and its arguments.
_DELVE_ARGS = (
    *("exec", "--listen=:40000", "--headless", "--log", "--accept-multiclient"),
    *("--api-version=2", "--"),
)


@dataclass(frozen=True)
class ImageConfig:
    """What a target says of its image.

    :param app_name: the name of the executable in `/ko-app`.
    :param debugger: the name of Delve in `/ko-app`, which runs the executable; empty for none.
    :param labels: sorted pairs.
    :param annotations: sorted pairs; of the manifests and the index, not of the config.
    :param created: seconds since the epoch; None where not set.
    :param kodata: it has a layer of kodata, so KO_DATA_PATH is set.
    :param user: as in `config.User`; empty for that of the base, like `workdir` and `stop_signal`.
    :param entrypoint_args: arguments that are always given to the executable.
    :param cmd: arguments that are given unless whoever runs the image gives others.
    :param env: `NAME=value`, each name once.
    :param ports: as `oci.config_values.exposed_port` gives them; added to those of the base.
    :param volumes: directories; added to those of the base.
    """

    app_name: str
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    created: int | None = None
    kodata: bool = True
    user: str = ""
    entrypoint_args: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    debugger: str = ""


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
    document["config"] = _container(
        document.get("config") or {}, config, windows=platform.os == "windows"
    )
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


def _container(base: Mapping[str, Any], config: ImageConfig, *, windows: bool) -> dict[str, Any]:
    """The part `config`: how a container is run."""
    inner = dict(base)
    app = f"C:\\ko-app\\{config.app_name}" if windows else f"/ko-app/{config.app_name}"
    debugger = [f"/ko-app/{config.debugger}", *_DELVE_ARGS] if config.debugger else []
    inner["Entrypoint"] = [*debugger, app, *config.entrypoint_args]
    # That of the base is for the entrypoint of the base.
    inner.pop("Cmd", None)
    if config.cmd:
        inner["Cmd"] = list(config.cmd)
    inner["Env"] = _environment(
        inner.get("Env") or [], config.env, windows=windows, kodata=config.kodata
    )
    inner["Labels"] = {**(inner.get("Labels") or {}), **dict(config.labels)}
    if not inner["Labels"]:
        del inner["Labels"]
    for key, value in (
        ("User", config.user),
        ("WorkingDir", config.workdir),
        ("StopSignal", config.stop_signal),
    ):
        if value:
            inner[key] = value
    for key, values in (("ExposedPorts", config.ports), ("Volumes", config.volumes)):
        if values:
            inner[key] = {**(inner.get(key) or {}), **{value: {} for value in values}}
    return inner


def _environment(
    base: Sequence[str], ours: Sequence[str], *, windows: bool, kodata: bool
) -> list[str]:
    """The base's variables, with the executable's directory at the end of PATH.

    With kodata there is KO_DATA_PATH too.

    A variable of ours then takes the place of every other one of its name, these two included. On
    Windows too ko joins PATH with a colon.
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
    return _with_variables(env, ours, windows=windows) if ours else env


def _with_variables(env: Sequence[str], ours: Sequence[str], *, windows: bool) -> list[str]:
    """`env` with these: each where the first of its name was, or at the end."""

    def name_of(entry: str) -> str:
        name = entry.partition("=")[0]
        return name.upper() if windows else name

    # None where it has its place.
    left: dict[str, str | None] = {name_of(entry): entry for entry in ours}
    out = []
    for entry in env:
        name = name_of(entry)
        if name not in left:
            out.append(entry)
        elif (replacement := left[name]) is not None:
            out.append(replacement)
            left[name] = None
    return [*out, *(entry for entry in left.values() if entry is not None)]


def rfc3339(epoch: int) -> str:
    """Seconds since the epoch as an RFC 3339 time in UTC, as Go writes it."""
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
