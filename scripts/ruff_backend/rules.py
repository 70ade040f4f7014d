"""How Pants runs ruff; see register.py. Options, version and configuration are of `[ruff]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable

from pants.backend.python.lint.ruff.subsystem import Ruff, RuffFieldSet
from pants.backend.python.util_rules.pex import PexRequest, VenvPex, VenvPexProcess
from pants.core.goals.fix import FixResult, FixTargetsRequest
from pants.core.goals.fmt import FmtResult, FmtTargetsRequest
from pants.core.goals.lint import LintResult, LintTargetsRequest
from pants.core.util_rules.config_files import ConfigFiles, ConfigFilesRequest
from pants.core.util_rules.partitions import PartitionerType
from pants.core.util_rules.source_files import SourceFiles, SourceFilesRequest
from pants.engine.fs import Digest, MergeDigests, Snapshot
from pants.engine.process import FallibleProcessResult, ProcessResult
from pants.engine.rules import Get, MultiGet, collect_rules, rule
from pants.util.logging import LogLevel
from pants.util.meta import classproperty
from pants.util.strutil import pluralize

LINT = ("check",)
# What it cannot mend is for `lint` to report.
FIX = ("check", "--fix", "--exit-zero")
FORMAT = ("format",)


class RuffLintRequest(LintTargetsRequest):
    """`lint`: `ruff check`."""

    field_set_type = RuffFieldSet
    tool_subsystem = Ruff
    partitioner_type = PartitionerType.DEFAULT_SINGLE_PARTITION

    @classproperty
    def tool_name(cls) -> str:
        """The name in the output."""
        return "ruff check"


class RuffFixRequest(FixTargetsRequest):
    """`fix`, and in `lint` a look whether it would change something: `ruff check --fix`."""

    field_set_type = RuffFieldSet
    tool_subsystem = Ruff
    partitioner_type = PartitionerType.DEFAULT_SINGLE_PARTITION

    @classproperty
    def tool_name(cls) -> str:
        """The name in the output."""
        return "ruff check --fix"


class RuffFormatRequest(FmtTargetsRequest):
    """`fmt`, `fix`, and in `lint` a look whether it would change something: `ruff format`."""

    field_set_type = RuffFieldSet
    tool_subsystem = Ruff
    partitioner_type = PartitionerType.DEFAULT_SINGLE_PARTITION

    @classproperty
    def tool_name(cls) -> str:
        """The name in the output."""
        return "ruff format"


@dataclass(frozen=True)
class RuffRun:
    """A run of ruff.

    :param command: `LINT`, `FIX` or `FORMAT`.
    :param sources: the files that it gets; what it makes of them is the output.
    """

    command: tuple[str, ...]
    sources: Snapshot


@dataclass(frozen=True)
class RuffProcess:
    """The process of a run."""

    # A rule that returns the inner type would be one more way to a ProcessResult for the engine.
    process: VenvPexProcess


@rule(desc="Set up a run of ruff", level=LogLevel.DEBUG)
async def ruff_process(run: RuffRun, ruff: Ruff) -> RuffProcess:
    """The process of a run."""
    files = run.sources.files
    venv, config = await MultiGet(
        Get(VenvPex, PexRequest, ruff.to_pex_request()),
        Get(ConfigFiles, ConfigFilesRequest, ruff.config_request(run.sources.dirs)),
    )
    inputs = await Get(Digest, MergeDigests([run.sources.digest, config.snapshot.digest]))
    named = [f"--config={ruff.config}"] if ruff.config else []
    return RuffProcess(
        VenvPexProcess(
            venv,
            argv=[*run.command, "--no-cache", *named, *ruff.args, *files],
            input_digest=inputs,
            output_files=files,
            description=f"Run ruff {' '.join(run.command)} on {pluralize(len(files), 'file')}.",
            level=LogLevel.DEBUG,
        )
    )


@rule(desc="Lint with ruff", level=LogLevel.DEBUG)
async def ruff_lint(request: RuffLintRequest.Batch[RuffFieldSet, Any]) -> LintResult:
    """What ruff finds; a failure is a result."""
    sources = await Get(SourceFiles, SourceFilesRequest(e.source for e in request.elements))
    made = await Get(RuffProcess, RuffRun(LINT, sources.snapshot))
    result = await Get(FallibleProcessResult, VenvPexProcess, made.process)
    return LintResult.create(request, result, strip_chroot_path=True)


# From here on a failure ends the goal: a file that ruff cannot parse is not one without changes.


@rule(desc="Fix with ruff", level=LogLevel.DEBUG)
async def ruff_fix(request: RuffFixRequest.Batch) -> FixResult:
    """The files as `ruff check --fix` leaves them."""
    made = await Get(RuffProcess, RuffRun(FIX, request.snapshot))
    result = await Get(ProcessResult, VenvPexProcess, made.process)
    return await FixResult.create(request, result, strip_chroot_path=True)


@rule(desc="Format with ruff", level=LogLevel.DEBUG)
async def ruff_format(request: RuffFormatRequest.Batch) -> FmtResult:
    """The files as `ruff format` leaves them."""
    made = await Get(RuffProcess, RuffRun(FORMAT, request.snapshot))
    result = await Get(ProcessResult, VenvPexProcess, made.process)
    return await FmtResult.create(request, result, strip_chroot_path=True)


def rules() -> Iterable[Any]:
    """The rules of this module."""
    return (
        *collect_rules(),
        *RuffLintRequest.rules(),
        *RuffFixRequest.rules(),
        *RuffFormatRequest.rules(),
    )
