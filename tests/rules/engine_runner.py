"""A real Pants engine in a temporary build root, with the rules of the backend."""

from __future__ import annotations

import struct
import tempfile
from typing import Any, Iterable, Sequence

import pytest

pytest.importorskip("pants.testutil.rule_runner", reason="needs Pants' test library")

from pants.base.build_root import BuildRoot
from pants.core import target_types as core_targets
from pants.core.goals import package, publish, run
from pants.core.util_rules import archive, distdir
from pants.engine.internals.parametrize import Parametrize
from pants.engine.internals.scheduler import ExecutionError
from pants.engine.target import Target
from pants.testutil.rule_runner import QueryRule, RuleRunner

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants import register
from ko_pants.errors import KoPantsError
from ko_pants.layer_contents import LayerContent
from ko_pants.oci.platform import Platform
from ko_pants.products import GoExecutable, HostTools, HostToolsRequest, LayerRequest
from ko_pants.rules.image_layers import executable_content
from ko_pants.rules.settings import Settings, layer_settings

# Tests use neither the caches nor the environment of this machine.
_CACHES = tempfile.TemporaryDirectory(prefix="ko_pants_test_caches_")
BOOTSTRAP = (
    f"--named-caches-dir={_CACHES.name}/named",
    f"--local-store-dir={_CACHES.name}/store",
)
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "KOCACHE": f"{_CACHES.name}/kocache"}


def rules_of_backend() -> list[Any]:
    """The rules of the plugin, and what they need of Pants' core."""
    return [
        *register.rules(),
        *package.rules(),  # type: ignore[no-untyped-call]
        *publish.rules(),  # type: ignore[no-untyped-call]
        *run.rules(),  # type: ignore[no-untyped-call]
        *distdir.rules(),  # type: ignore[no-untyped-call]
        *core_targets.rules(),  # type: ignore[no-untyped-call]
        *archive.rules(),  # type: ignore[no-untyped-call]
    ]


def new_runner(
    queries: Iterable[tuple[type, Sequence[type]]],
    *,
    rules: Iterable[Any] = (),
    options: Sequence[str] = (),
    target_types: Iterable[type[Target]] = (),
) -> RuleRunner:
    """An engine that answers `queries` (product, requests).

    :param rules: more rules, those of a test.
    :param options: those that an engine cannot change later, such as `--pants-ignore=...`.
    :param target_types: targets of other backends.
    """
    runner = RuleRunner(
        rules=[
            *rules_of_backend(),
            *rules,
            *(QueryRule(product, inputs) for product, inputs in queries),
        ],
        objects={"parametrize": Parametrize, **register.build_file_aliases().objects},
        target_types=[
            *register.target_types(),
            core_targets.ArchiveTarget,
            core_targets.FileTarget,
            core_targets.FilesGeneratorTarget,
            core_targets.GenericTarget,
            core_targets.RelocatedFiles,
            core_targets.ResourceTarget,
            *target_types,
        ],
        bootstrap_args=(*BOOTSTRAP, *options),
    )
    configure(runner)
    return runner


def layer_request(runner: RuleRunner, platform: Platform, content: LayerContent) -> LayerRequest:
    """The request for a layer with the options of this run. Makes the links of its process."""
    tools = runner.request(HostTools, [HostToolsRequest(python_only=True)])
    settings = runner.request(Settings, [])
    return LayerRequest(platform, content, settings.layer_encoding, layer_settings(settings, tools))


def layer_of_executable(runner: RuleRunner, executable: GoExecutable) -> LayerRequest:
    """The layer of an executable."""
    return layer_request(runner, executable.platform, executable_content(executable))


def configure(runner: RuleRunner, *options: str, **env: str) -> None:
    """Begin a new run with these options, and with no other variables than these."""
    # One for the whole process: that of the engine that was made last.
    BuildRoot().path = runner.build_root
    runner.set_options([*BOOTSTRAP, *options], env={**ENVIRONMENT, **env})


def error_of(runner: RuleRunner, product: type, inputs: Sequence[Any]) -> str:
    """The text that a user would see; it must be an error that is meant for users."""
    with pytest.raises(ExecutionError) as e:
        runner.request(product, inputs)
    causes: tuple[BaseException, ...] = e.value.wrapped_exceptions
    assert len(causes) == 1
    (cause,) = causes
    assert isinstance(cause, KoPantsError), repr(cause)
    return str(cause)


def elf(machine: int) -> bytes:
    """The head of a static 64-bit executable: 62 is amd64, 183 is arm64."""
    head = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    head += struct.pack("<HHI", 2, machine, 1) + struct.pack("<QQQ", 0x1000, 64, 0)
    return head + struct.pack("<I6H", 0, 64, 56, 0, 0, 0, 0)
