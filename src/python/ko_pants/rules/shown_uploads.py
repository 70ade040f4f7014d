"""A step of the engine for as long as an image is uploaded.

Uploads go on in threads of ours, of which Pants' user interface knows nothing. It shows steps that
run, so there is one which waits.
"""

from __future__ import annotations

import itertools
import time

from pants.engine.rules import _uncacheable_rule
from pants.util.logging import LogLevel

from ko_pants.engine import pauses
from ko_pants.products import PauseRequest, UploadShown, UploadShownRequest
from ko_pants.rules.pause import no_pause
from ko_pants.rules.publish_run import RunOfImages

# The engine remembers requests by value.
_numbers = itertools.count()
# A run is longer by as much at most.
_TICK_SECONDS = 0.05
# As many as a user interface has lines for. The step of each holds a part of the engine's time.
_MAX_SHOWN = 8


def shown_upload(run: RunOfImages, target: str) -> UploadShownRequest | None:
    """What shows the uploads of an image; None if there is nothing to show, or enough is shown."""
    uploads = run.publishing.uploads.progress.uploads_of(target)
    if not uploads or run.shown_uploads >= _MAX_SHOWN:
        return None
    size = sum(upload.size for upload in uploads)
    text = f"{target} ({uploads[0].platforms}), {size / 1e6:.1f} MB"
    return UploadShownRequest(next(_numbers), target, text)


# At the level `info` each would be a line of the log, too.
@_uncacheable_rule(desc="Upload", level=LogLevel.DEBUG)
async def show_upload(request: UploadShownRequest, run: RunOfImages) -> UploadShown:
    """Wait; one thread of the engine is held for all images together."""
    run.shown_uploads += 1
    try:
        while run.publishing.uploads.progress.uploads_of(request.target):
            # Those who ask in the same moment share a pause.
            tick = int(time.monotonic() / _TICK_SECONDS) + 1
            await pauses((PauseRequest(-tick, tick * _TICK_SECONDS), no_pause()))
    finally:
        run.shown_uploads -= 1
    return UploadShown()
