"""Platforms: `os/arch[/variant][:osversion]`, and what they mean to Go (GOOS, GOARCH, GOARM)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Mapping, Sequence

from ko_pants.errors import KoPantsError

# From `go tool dist list`, without those that need an external linker or run in no container.
_GO_ARCHES: dict[str, tuple[str, ...]] = {
    "linux": (
        *("386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle"),
        *("ppc64", "ppc64le", "riscv64", "s390x"),
    ),
    "windows": ("386", "amd64", "arm", "arm64"),
    "darwin": ("amd64", "arm64"),
    "freebsd": ("386", "amd64", "arm", "arm64", "riscv64"),
    "netbsd": ("386", "amd64", "arm", "arm64"),
    "openbsd": ("386", "amd64", "arm", "arm64", "ppc64", "riscv64"),
    "solaris": ("amd64",),
    "illumos": ("amd64",),
    "wasip1": ("wasm",),
}

# By architecture: the environment variable of Go, and its value for each variant of images.
_VARIANTS: dict[str, tuple[str, dict[str, str]]] = {
    "arm": ("GOARM", {"v5": "5", "v6": "6", "v7": "7"}),
    "arm64": (
        "GOARM64",
        {
            "v8": "v8.0",
            **{f"v8.{n}": f"v8.{n}" for n in range(1, 10)},
            "v9": "v9.0",
            **{f"v9.{n}": f"v9.{n}" for n in range(1, 6)},
        },
    ),
    "amd64": ("GOAMD64", {v: v for v in ("v1", "v2", "v3", "v4")}),
    "386": ("GO386", {"sse2": "sse2", "softfloat": "softfloat"}),
    "ppc64le": ("GOPPC64", {v: v for v in ("power8", "power9", "power10")}),
    "ppc64": ("GOPPC64", {v: v for v in ("power8", "power9", "power10")}),
    "riscv64": ("GORISCV64", {v: v for v in ("rva20u64", "rva22u64", "rva23u64")}),
}

# The variables of Go that depend on the platform of an image.
PLATFORM_VARIABLES = frozenset(
    {"GOOS", "GOARCH", *(variable for variable, _ in _VARIANTS.values())}
)


#: In place of platforms: all that the base image has, and that Go can build for.
ALL = "all"


@dataclass(frozen=True, order=True)
class Platform:
    """A platform as an image index names it (OCI image-spec, image-index.md).

    :param os_features: what it wants of the operating system, such as `win32k`. A base image has
        them; a target does not ask for them, and they are no part of the text.
    """

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.os}/{self.architecture}"
        if self.variant:
            text += f"/{self.variant}"
        if self.os_version:
            text += f":{self.os_version}"
        return text

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `os/arch[/variant][:osversion]` and check that Go can build for it.

        :raises KoPantsError: the text is malformed, or not one of Go's platforms.
        """
        path, _, os_version = text.partition(":")
        parts = path.split("/")
        if len(parts) not in (2, 3) or not all(parts) or text != text.strip():
            raise KoPantsError(
                f"malformed platform {text!r}: expected `os/arch` or `os/arch/variant`, "
                "such as linux/amd64 or linux/arm/v7"
            )
        if parts[0] not in _GO_ARCHES:
            raise KoPantsError(
                f"unknown platform {text!r}: Go has no operating system {parts[0]!r}; "
                f"expected one of {', '.join(sorted(_GO_ARCHES))}"
            )
        if parts[1] not in _GO_ARCHES[parts[0]]:
            raise KoPantsError(
                f"unknown platform {text!r}: Go has no architecture {parts[1]!r} for {parts[0]}; "
                f"expected one of {', '.join(_GO_ARCHES[parts[0]])}"
            )
        variant = parts[2] if len(parts) == 3 else ""
        known = _VARIANTS.get(parts[1], ("", {}))[1]
        if variant and variant not in known:
            raise KoPantsError(
                f"unknown platform {text!r}: {parts[1]} has no variant {variant!r}; "
                + (f"expected one of {', '.join(known)}" if known else "expected none")
            )
        return cls(parts[0], parts[1], variant, os_version)

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Platform:
        """The `platform` object of an index entry or an image config; nothing is checked."""

        def text(key: str) -> str:
            value = obj.get(key)
            return value if isinstance(value, str) else ""

        features = obj.get("os.features")
        return cls(
            text("os"),
            text("architecture"),
            text("variant"),
            text("os.version"),
            tuple(map(str, features)) if isinstance(features, list) else (),
        )

    def to_json(self) -> dict[str, Any]:
        """The `platform` object of an index entry."""
        out: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            out["os.version"] = self.os_version
        if self.os_features:
            out["os.features"] = list(self.os_features)
        if self.variant:
            out["variant"] = self.variant
        return out

    def go_env(self) -> dict[str, str]:
        """The environment variables that make Go build for this platform.

        Without GOARM, Go looks at the machine that it runs on. For arm on Linux and Windows it is
        always set, so that every machine builds the same bytes.
        """
        env = {"GOOS": self.os, "GOARCH": self.architecture}
        variable, values = _VARIANTS.get(self.architecture, ("", {}))
        if self.variant in values:
            env[variable] = values[self.variant]
        elif self.architecture == "arm" and self.os in ("linux", "windows"):
            env["GOARM"] = "7"
        return env

    def matches(self, wanted: Platform) -> bool:
        """True if this platform (of a base image) satisfies `wanted` (of a target).

        As in ko's platform matcher, what `wanted` leaves out is not compared, and a Windows version
        of three components matches any fourth.
        """
        if (self.os, self.architecture) != (wanted.os, wanted.architecture):
            return False
        if wanted.variant and self.variant != wanted.variant:
            return False
        if not wanted.os_version or self.os_version == wanted.os_version:
            return True
        return (
            wanted.os == "windows"
            and wanted.os_version.count(".") == 2
            and self.os_version.rpartition(".")[0] == wanted.os_version
        )


def parse_wanted(values: Sequence[str]) -> tuple[Platform, ...]:
    """The platforms that a target or an option asks for, each once; none for `all`.

    :raises KoPantsError: a platform is unknown or malformed, or there is another beside `all`.
    """
    return _parsed(tuple(values))


# Thousands of images have the same platforms.
@lru_cache(maxsize=1024)
def _parsed(values: tuple[str, ...]) -> tuple[Platform, ...]:
    if values == (ALL,):
        return ()
    if ALL in values:
        raise KoPantsError(
            f"`{ALL}` means every platform of the base image, so nothing can stand beside it; "
            f"found {', '.join(values)}. Leave out `{ALL}`, or the others"
        )
    return tuple(dict.fromkeys(map(Platform.parse, values)))


def is_go_platform(platform: Platform) -> bool:
    """True if Go can build for the system and architecture, whatever the variant."""
    return platform.architecture in _GO_ARCHES.get(platform.os, ())


def go_platforms() -> tuple[Platform, ...]:
    """Every platform that Go can build for, without variants."""
    return tuple(Platform(os, arch) for os, arches in _GO_ARCHES.items() for arch in arches)
