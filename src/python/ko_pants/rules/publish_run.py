"""The run of the publish goal: what all of its images share, and when their registries are asked.

Pants asks for each target by itself. The rules of all targets find the same `PublishRun` here.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pants.base.build_root import BuildRoot
from pants.core.goals.publish import PublishSubsystem
from pants.engine.env_vars import EnvironmentVarsRequest
from pants.engine.internals.session import RunId
from pants.engine.rules import _uncacheable_rule, rule
from pants.option.global_options import GlobalOptions

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.engine import environment_options, environment_vars, pauses
from ko_pants.errors import KoPantsError
from ko_pants.products import (
    EnvironmentOptionsRequest,
    PauseRequest,
    QuestionsAnswered,
    QuestionsAnsweredRequest,
)
from ko_pants.publishing.checking import RepositoryMemory
from ko_pants.publishing.image_refs import ReferencesFile
from ko_pants.publishing.progress import DEFAULT_INTERVAL_SECONDS
from ko_pants.publishing.run import PublishRun
from ko_pants.publishing.signer_settings import SignerSettings
from ko_pants.rules.expected_images import end_first_publish, take_repositories
from ko_pants.rules.layer import open_kocache
from ko_pants.rules.pause import no_pause
from ko_pants.rules.registry_access import RegistryAccess
from ko_pants.rules.run_report import NO_FILES, ReportFiles, RunReport
from ko_pants.rules.session_terminal import SessionTerminal
from ko_pants.rules.settings import Settings, progress_interval
from ko_pants.rules.signer_settings import WantedSigner
from ko_pants.subsystem import KoSubsystem

if TYPE_CHECKING:
    from ko_pants.publishing.timeline import Timeline

# The engine remembers requests by value, so a number must never come twice in a process.
_numbers = itertools.count()

# How long an image waits for the next one to come. Each wait is longer than the one before, by a
# part of the time that has passed.
_FIRST_PAUSE_SECONDS = 0.002
_LONGEST_PAUSE_SECONDS = 0.02
_PAUSE_PER_SECOND_PASSED = 0.05
# How long images that have their answers wait at most for those of the others.
_ANSWERS_SECONDS = 0.2


# Pants' own variable, from the client of a daemon.
_CLIENT_STARTED = "PANTSD_RUNTRACKER_CLIENT_START_TIME"

_MAX_REPOSITORIES = 10_000
_MAX_RUNS = 8

_repositories: BoundedMemory[str, RepositoryMemory] = BoundedMemory(
    name="rules.publish_run: repositories",
    bound=_MAX_REPOSITORIES,
    holds="the image and tags that were seen in a repository last; they decide which question is "
    "asked first, and every answer still comes from the registry",
)


@dataclass(eq=False)
class RunOfImages:
    """The run of one session of Pants.

    :param number: tells it from other runs of this process.
    :param wait: the number of the wait that images join now; see `QuestionsAnsweredRequest`.
    :param report: what is said when it is over.
    :param references: where the references of its images are written; None if nowhere.
    :param shown_uploads: the number of images whose uploads a user interface shows.
    """

    number: int
    run_id: RunId
    access: RegistryAccess
    publishing: PublishRun
    wait: int
    report: RunReport
    references: ReferencesFile | None = None
    shown_uploads: int = 0


@dataclass(frozen=True, eq=False)
class ImagesToPublish:
    """All that the images of a run share.

    It is one, for the engine keeps a list of the images that need a thing, and goes through it when
    an image is published again.

    :param store: the directory of Pants' store.
    :param has_output: somebody reads what becomes of them: `--publish-output`.
    """

    run: RunOfImages
    settings: Settings
    store: str
    has_output: bool


_runs: BoundedMemory[int, RunOfImages] = BoundedMemory(
    name="rules.publish_run: runs",
    bound=_MAX_RUNS,
    holds="the runs of the current session; those of earlier sessions are closed by the next",
)
_runs_lock = threading.Lock()


def find_run(
    run_id: RunId,
    access: RegistryAccess,
    root: str,
    image_refs: str = "",
    signer: SignerSettings | None = None,
    files: ReportFiles = NO_FILES,
    started: float | None = None,
    interval_seconds: float = DEFAULT_INTERVAL_SECONDS,
) -> RunOfImages:
    """The run of this session; a new one ends the runs of earlier sessions.

    The engine may ask twice in one session, for two rules that wait for the answer, and then keep
    the first answer. So the second question must give the same.

    :param files: where the run is reported.
    :param started: when the run began, in seconds since the epoch; None for now.
    :param interval_seconds: the option `[ko].progress_interval`.
    """
    with _runs_lock:
        expected = 0
        for known in _runs.values():
            if known.run_id != run_id:
                _runs.pop(known.number)
                expected = known.publishing.begun
                known.publishing.close()
                end_first_publish()
            elif known.access is access:
                return known
        publishing = PublishRun(
            access.client,
            layout_root=root,
            memory=_repositories,
            expected=expected,
            signer=signer,
            timeline=_timeline() if files.page else None,
            terminal=SessionTerminal,
            interval_seconds=interval_seconds,
        )
        references = ReferencesFile(root, image_refs) if image_refs else None
        run = RunOfImages(
            next(_numbers),
            run_id,
            access,
            publishing,
            next(_numbers),
            RunReport(
                *(root, files, run_id, started or time.time(), access.client.traffic),
                publishing.uploads.timeline,
            ),
            references,
        )
        _runs.put(run.number, run)
        return run


def _timeline() -> Timeline:
    # Not imported where nobody wants a page.
    from ko_pants.publishing.timeline import Timeline

    return Timeline()


def report_of_newest_run() -> RunReport | None:
    """The report of the run that began last, which is the only one that goes on."""
    runs = _runs.values()
    return runs[-1].report if runs else None


async def _run_started() -> float:
    """When the client of this run was started, in seconds since the epoch.

    A client of pantsd tells the daemon. Without a daemon this process is the run.
    """
    found = (await environment_vars(EnvironmentVarsRequest([_CLIENT_STARTED]))).get(_CLIENT_STARTED)
    if found is not None:
        with contextlib.suppress(ValueError):
            return float(found)
    # Pants needs it too.
    psutil = importlib.import_module("psutil")
    return float(psutil.Process().create_time())


@_uncacheable_rule
async def publish_run(
    access: RegistryAccess,
    build_root: BuildRoot,
    settings: Settings,
    signer: WantedSigner,
    ko: KoSubsystem,
    run_id: RunId,
) -> RunOfImages:
    """One for all images of a run.

    :raises KoPantsError: Pants can run no process on this machine.
    """
    options = await environment_options(EnvironmentOptionsRequest())
    if options.execution.remote_execution:
        raise KoPantsError(
            "tags move in a process on this machine, and with [GLOBAL].remote_execution and no "
            "[environments-preview].names Pants can run none here. Expected a name for the workers "
            "and the field `environment` of the images: see docs/remote-execution.md"
        )
    open_kocache(settings.kocache).begin_run()
    started = await _run_started()
    root = build_root.path
    files = ReportFiles(ko.report or "", ko.page or "")
    return find_run(
        *(run_id, access, root, settings.image_refs, signer.settings, files, started),
        interval_seconds=progress_interval(ko),
    )


@rule
async def images_to_publish(
    run: RunOfImages, settings: Settings, goal: PublishSubsystem, pants: GlobalOptions
) -> ImagesToPublish:
    """What each image would ask for by itself."""
    return ImagesToPublish(run, settings, pants.local_store_dir, bool(goal.output))


@_uncacheable_rule
async def await_answers(request: QuestionsAnsweredRequest, run: RunOfImages) -> QuestionsAnswered:
    """Wait as long as images come, have their questions asked together, and wait for answers.

    A rule that waits for an answer of a registry holds one of the engine's threads. There are as
    few as two, so a second one that waits would stop the run, and the questions of images that are
    still to come would be asked one after the other. So there is one wait at a time, for all
    images.

    Each end of a wait wakes the rules of all images, and those without answers wait again. So there
    is none for each answer: a wait ends when all answers have come, when other images come, or when
    it has taken its time.
    """
    if request.number != run.wait:
        # It is over. A daemon begins a run with the requests of the run before.
        return QuestionsAnswered()
    publishing, access = run.publishing, run.access
    started = time.monotonic()
    begun = -1
    while begun != publishing.begun != publishing.expected:
        begun = publishing.begun
        access.client.expect(take_repositories())
        publishing.checks.ask()
        now = time.monotonic()
        seconds = _FIRST_PAUSE_SECONDS + _PAUSE_PER_SECOND_PASSED * (now - started)
        until = now + min(seconds, _LONGEST_PAUSE_SECONDS)
        await pauses((PauseRequest(next(_numbers), until), no_pause()))
    publishing.checks.ask()
    if not publishing.checks.await_answers(_ANSWERS_SECONDS):
        await pauses((no_pause(), no_pause()))
    run.wait = next(_numbers)
    return QuestionsAnswered()
