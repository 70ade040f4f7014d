"""The site of the docs, as `scripts/docs` builds it, and the texts that its hooks make fit.

Only the environment of mkdocs comes from the network, once, as that of the tests does.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple
from urllib.parse import unquote, urlsplit

import pytest
from docs_site import links as docs_links
from docs_site.hooks import PAGES as PAGES_OF_THE_ROOT
from docs_site.hooks import bars_in_code, indent_lists, lines_with_code, rewrite_links
from integration.workspace import tool

REPO = Path(__file__).resolve().parent.parent

# What scripts/docs reads, beside what the pages link to.
PARTS = (
    *(
        "docs",
        "examples",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "mkdocs.yml",
        "pants.toml",
    ),
    *("requirements.txt", "requirements-go.txt", "requirements-docs.txt"),
    *("scripts/docs", "scripts/docs_site", "scripts/environment.sh"),
)


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: List[str] = []
        self.loaded: List[str] = []
        self.ids: Set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") not in ("prev", "next", "canonical"):
            self.loaded.append(values["href"])
        self.loaded += [values["src"]] if "src" in values else []


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(root / "scripts" / "docs"), "--site-dir", str(site)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("docs") / "site"
    done = build(REPO, directory)
    assert done.returncode == 0, done.stdout
    return directory


@pytest.fixture(scope="module")
def pages(site: Path) -> Dict[Path, Page]:
    # The page for what is not there has links from the root of a server.
    return {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if path.name != "404.html"
    }


def test_every_page_of_the_docs_is_there(site: Path) -> None:
    wanted = {path.relative_to(REPO / "docs") for path in (REPO / "docs").rglob("*.md")}
    wanted |= {Path(page) for page in PAGES_OF_THE_ROOT.values()}
    assert [str(p) for p in sorted(wanted) if not (site / p.with_suffix(".html")).is_file()] == []


def test_links_of_the_site_lead_somewhere(site: Path, pages: Dict[Path, Page]) -> None:
    problems = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            found = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            file = found / "index.html" if found.is_dir() else found
            if not file.is_file():
                problems.append(f"{path.name}: {link}: no such file")
            elif parts.fragment and unquote(parts.fragment) not in pages[file].ids:
                problems.append(f"{path.name}: {link}: no such anchor")
    assert problems == []


def test_a_list_is_no_paragraph(site: Path) -> None:
    paragraph = re.compile(r"<p>(?:(?!</p>).)*\n(?:\* |\d+\. |\|)(?:(?!</p>).)*</p>", re.DOTALL)
    for path in site.rglob("*.html"):
        found = paragraph.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.name}: {found and found.group()}"


def test_pages_load_nothing_from_elsewhere(pages: Dict[Path, Page]) -> None:
    assert all(page.loaded for page in pages.values())
    loaded = {address for page in pages.values() for address in page.loaded}
    assert [a for a in sorted(loaded) if urlsplit(a).netloc or urlsplit(a).scheme] == []


def test_the_site_has_no_path_of_the_machine(site: Path) -> None:
    places = [str(place).encode() for place in (REPO, Path.home()) if place != Path("/")]
    # A home as short as /root is in texts about other machines.
    places = [place for place in places if place.count(b"/") > 1]
    found = [p for p in site.rglob("*") if p.is_file() and any(s in p.read_bytes() for s in places)]
    assert found == []


def test_search_knows_headings_of_every_page(site: Path, pages: Dict[Path, Page]) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    known = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert known >= {str(path.relative_to(site)) for path in pages}


def test_there_are_two_themes(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert 'data-md-color-scheme="default"' in page
    assert 'data-md-color-scheme="slate"' in page


def test_a_browser_shows_a_page_without_a_server(site: Path, tmp_path: Path) -> None:
    shown = subprocess.run(
        [
            *(tool("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *(f"--user-data-dir={tmp_path / 'profile'}", (site / "guide.html").as_uri()),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=120,
        check=True,
    ).stdout.decode()
    # The theme's script, which is a file of the site too, has run: code can be copied.
    assert 'class="md-code__button"' in shown
    assert 'id="one-program"' in shown


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    for part in PARTS:
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        if (REPO / part).is_dir():
            shutil.copytree(REPO / part, root / part)
        else:
            shutil.copy(REPO / part, root / part)
    with (root / "docs" / "guide.md").open("a") as guide:
        guide.write("\n[a](no-such-page.md) [b](reference.md#no-such-heading) [c](../no/file.py)\n")
    (root / "docs" / "forgotten.md").write_text("# Forgotten\n")
    done = build(root, tmp_path / "site")
    assert done.returncode != 0
    for word in ("no-such-page.md", "no-such-heading", "no/file.py", "forgotten.md"):
        assert word in done.stdout


LINKS = [
    # (page, its line, the line of the site)
    ("README.md", "[a](docs/guide.md)", "[a](guide.md)"),
    ("README.md", "[a](docs/guide.md#x) [b](CHANGELOG.md)", "[a](guide.md#x) [b](changelog.md)"),
    ("README.md", "[run](.ci/run)", "[run](source/.ci/run.txt)"),
    ("README.md", "[a](#why) [b](https://ko.build)", "[a](#why) [b](https://ko.build)"),
    ("docs/guide.md", "[a](../README.md#why)", "[a](index.md#why)"),
    ("docs/guide.md", '[a](../CONTRIBUTING.md "b")', '[a](contributing.md "b")'),
    ("docs/guide.md", "[a](reference.md)", "[a](reference.md)"),
    ("docs/guide.md", "[a](../LICENSE)", "[a](source/LICENSE.txt)"),
    ("docs/guide.md", "[a](../tests/test_docs.py)", "[a](source/tests/test_docs.py.txt)"),
    ("docs/reference/x.md", "[a](../../README.md)", "[a](../index.md)"),
    ("docs/reference/x.md", "[a](../guide.md)", "[a](../guide.md)"),
    # A directory is its README.
    ("docs/guide.md", "[a](..)", "[a](index.md)"),
    ("README.md", '<img src="docs/site.css">', '<img src="site.css">'),
    ("README.md", "`[a](docs/guide.md)` is code", "`[a](docs/guide.md)` is code"),
    ("README.md", "[`a`](docs/guide.md)", "[`a`](guide.md)"),
    # Left as it is, so that mkdocs complains.
    ("README.md", "[a](docs/none.md)", "[a](docs/none.md)"),
]


@pytest.mark.parametrize(("page", "line", "expected"), LINKS)
def test_links_lead_to_the_pages_of_the_site(page: str, line: str, expected: str) -> None:
    assert rewrite_links(line, page) == expected


LISTS = [
    ("* a\n* b", "* a\n* b"),
    ("text\n* a", "text\n\n* a"),
    ("* a\n  b", "* a\n    b"),
    ("1. a\n   b\n\n   c\n\nd", "1. a\n    b\n\n    c\n\nd"),
    ("* a\n  * b\n    c\n* d", "* a\n    * b\n        c\n* d"),
    ("* a\n\n  ```\n    x\n  ```\n* b", "* a\n\n    ```\n      x\n    ```\n\n* b"),
    # A paragraph goes on where it began, however its lines are indented.
    ("* a\nb", "* a\n    b"),
    ("```\n* a\n  b\n```", "```\n* a\n  b\n```"),
    ("* a\n\n```\nb\n```", "* a\n\n```\nb\n```"),
]


@pytest.mark.parametrize(("text", "expected"), LISTS)
def test_lists_are_indented_as_python_markdown_wants_them(text: str, expected: str) -> None:
    assert indent_lists(text) == expected


def test_code_is_what_stands_between_fences_of_one_length() -> None:
    text = "a\n````\n```\nb\n```\n````\nc"
    code = [line for is_code, line in lines_with_code(text) if is_code]
    assert code == ["````", "```", "b", "```", "````"]


class Answers(http.server.BaseHTTPRequestHandler):
    """A server some of whose pages are gone."""

    def do_HEAD(self) -> None:
        self.send_response({"/gone": 404, "/get-only": 405}.get(self.path, 200))
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/gone" else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as answers:
        threading.Thread(target=answers.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{answers.server_address[1]}"
        finally:
            answers.shutdown()


def test_external_links_are_asked(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    with server() as base:
        (tmp_path / "README.md").write_text(
            f"[a]({base}/there#part)\n\n```\n[b]({base}/in-code)\n```\n<{base}/gone>\n"
        )
        (tmp_path / "docs" / "a.md").write_text(f"[c]({base}/get-only) [d]({base}/gone)\n")
        found = docs_links.find_addresses(tmp_path)
        assert set(found) == {f"{base}/{page}" for page in ("there", "gone", "get-only")}
        assert docs_links.check(found) == [f"README.md:6, docs/a.md:1: {base}/gone: HTTP 404"]
    assert docs_links.problem(f"{base}/there")


@pytest.mark.parametrize(
    ("line", "expected"),
    [("| `a \\| b` | c \\| d |", "| `a | b` | c \\| d |"), ("`a \\| b`", "`a \\| b`")],
)
def test_code_in_a_table_has_no_escapes(line: str, expected: str) -> None:
    assert bars_in_code(line) == expected
