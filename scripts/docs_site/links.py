"""Asks every address outside of the repository that a page links to: `scripts/docs --external`.

An address is asked with HEAD, and with GET where the server does not answer HEAD as it answers GET.
What is printed: each address that does not answer with a page, with the places that name it.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterable, Iterator, Mapping

from docs_site.hooks import ROOT, lines_with_code

SECONDS = 20
_ADDRESS = re.compile(r"(?:\]\(|<|(?:src|href)=\")(https?://[^)\s>\"]+)")
# Some servers answer a client that they do not know with 403.
_HEADERS = {"User-Agent": "Mozilla/5.0 (link check of ko_pants)"}


def pages(root: Path) -> Iterator[Path]:
    """The Markdown files of the root, of docs/ and of examples/."""
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", ".github/**/*.md"):
        yield from sorted(root.glob(pattern))


def addresses(text: str) -> Iterator[tuple[int, str]]:
    """Line number and address of each link outside of code, without the anchor."""
    for number, (code, line) in enumerate(lines_with_code(text), 1):
        for match in _ADDRESS.finditer("" if code else line):
            yield number, match.group(1).partition("#")[0]


def find_addresses(root: Path) -> Mapping[str, list[str]]:
    """Each address with the places that name it, as `page:line`."""
    found: dict[str, list[str]] = {}
    for page in pages(root):
        for number, address in addresses(page.read_text(encoding="utf-8")):
            found.setdefault(address, []).append(f"{page.relative_to(root)}:{number}")
    return found


def problem(address: str) -> str | None:
    """What is wrong with an address, or None."""
    head = _asked(address, "HEAD")
    return head and _asked(address, "GET")


def _asked(address: str, method: str) -> str | None:
    request = urllib.request.Request(address, headers=_HEADERS, method=method)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__


def check(found: Mapping[str, Iterable[str]]) -> list[str]:
    """One line for each address that does not answer."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        problems = dict(zip(found, pool.map(problem, found)))
    return [f"{', '.join(found[a])}: {a}: {text}" for a, text in problems.items() if text]


def main() -> int:
    found = find_addresses(ROOT)
    bad = check(found)
    print(
        "".join(f"{line}\n" for line in bad) + f"{len(found)} addresses, {len(bad)} do not answer"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
