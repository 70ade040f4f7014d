"""Makes the screenshots of docs/images. They show a page of made-up services.

PYTHONPATH=src/python:tests python -m publish_page.screenshots
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from publish_page.browser import PHONE, chromium
from publish_page.sample_pages import edited

from ko_pants.publish_page.document import render

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        page = Path(directory) / "publish.html"
        page.write_text(render(edited()), encoding="utf-8")
        with chromium(Path(directory) / "profile") as browser, browser.tab() as tab:
            tab.call("Emulation.setScrollbarsHidden", hidden=True)
            tab.open(page.as_uri(), (1120, 1290), "light")
            tab.screenshot(IMAGES / "publish-page.png")
            tab.open(page.as_uri(), PHONE, "dark")
            tab.screenshot(IMAGES / "publish-page-phone.png")


if __name__ == "__main__":
    main()
