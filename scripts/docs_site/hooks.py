"""Hooks of mkdocs (mkdocs.yml): pages are written for GitHub, and are made to fit the site here.

GitHub shows each file where it is; the site has the pages of `docs/` and a few others. So

* pages of the root, and the README of the example, are brought in (`PAGES`);
* a relative link leads to the page that shows the file. A file that no page shows is copied below
  `source/`, as plain text;
* lists are indented as Python-Markdown wants them: by four columns, after an empty line. In code in
  tables it wants no escapes.

Only `on_files` imports mkdocs, so tests can import this file without it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any, Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = "docs/"
SOURCES = "source/"

# File of the repository -> page of the site. Pages of docs/ have the same name in both.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "examples/bookshop/README.md": "example.md",
}

_FENCE = re.compile(r" *(`{3,})")
_ITEM = re.compile(r"( *)([*+-]|\d+\.) +(?=\S)")
_CODE = re.compile(r"(`+[^`]*`+)")
_LINK = re.compile(r'(\]\()([^)\s]+)((?: +"[^"]*")?\))|((?:src|srcset|href)=")([^"]+)(")')
_PICTURES = (".svg", ".png")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the root, and the files that pages link to and no page shows."""
    from mkdocs.structure.files import File

    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    pages = [file.src_uri for file in files.documentation_pages()]
    for source in sorted({s for page in pages for s in linked_sources(source_of(page))}):
        files.append(File.generated(config, shown_at(source), abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The text of a page as the site wants it."""
    source = source_of(page.file.src_uri)
    lines = [
        line if code else rewrite_links(bars_in_code(line), source)
        for code, line in lines_with_code(indent_lists(markdown))
    ]
    return "\n".join(lines)


def source_of(page: str) -> str:
    """The file of the repository that is shown as this page of the site."""
    return next((source for source, at in PAGES.items() if at == page), DOCS + page)


def shown_at(source: str) -> str:
    """Where the site has a file of the repository."""
    if source in PAGES:
        return PAGES[source]
    if source.startswith(DOCS):
        return source[len(DOCS) :]
    return SOURCES + source + ("" if source.endswith(_PICTURES) else ".txt")


def resolve(link: str, source: str) -> str | None:
    """The file of the repository that a link in `source` leads to; None for all other links."""
    path = link.partition("#")[0]
    if not path or re.match(r"[a-z][a-z0-9+.-]*:|/", path):
        return None
    found = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if (ROOT / found).is_dir():
        found = posixpath.normpath(posixpath.join(found, "README.md"))
    return found if (ROOT / found).is_file() else None


def rewrite_links(line: str, source: str) -> str:
    """A line of the page that shows `source`, whose links lead to where the site has the files."""
    here = posixpath.dirname(shown_at(source)) or "."

    def rewritten(match: re.Match[str]) -> str:
        before, link, after = match.group(1, 2, 3) if match.group(2) else match.group(4, 5, 6)
        found = resolve(link, source)
        # What leads nowhere stays as it is, and mkdocs complains about it.
        if found is not None:
            _, mark, anchor = link.partition("#")
            link = posixpath.relpath(shown_at(found), here) + mark + anchor
        return f"{before}{link}{after}"

    parts = _CODE.split(line)
    return "".join(p if i % 2 else _LINK.sub(rewritten, p) for i, p in enumerate(parts))


def bars_in_code(line: str) -> str:
    """A row of a table without the escapes that GitHub wants for `|` in code."""
    parts = _CODE.split(line)
    code = line.startswith("|")
    return "".join(p.replace("\\|", "|") if code and i % 2 else p for i, p in enumerate(parts))


def linked_sources(source: str) -> Iterator[str]:
    """The files that a page links to, and that neither the root nor docs/ has as a page."""
    text = (ROOT / source).read_text(encoding="utf-8")
    for code, line in lines_with_code(text):
        for match in _LINK.finditer("" if code else line):
            found = resolve(match.group(2) or match.group(5), source)
            if found is not None and shown_at(found).startswith(SOURCES):
                yield found


def lines_with_code(text: str) -> Iterator[tuple[bool, str]]:
    """Each line, and whether it is within fenced code (the fences are)."""
    fence = ""
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if fence:
            yield True, line
            if match and match.group(1) == fence and not line.strip().strip("`"):
                fence = ""
        else:
            fence = match.group(1) if match else ""
            yield bool(fence), line


def indent_lists(text: str) -> str:
    """Markdown whose list items continue at four columns for each level, after an empty line."""
    out: list[str] = []
    columns: list[int] = []  # where the text of each open item begins
    code_before = False
    for code, line in lines_with_code(text):
        if code_before and not code and line.strip():
            out.append("")
        code_before = code
        indent = len(line) - len(line.lstrip(" "))
        item = None if code and not _FENCE.match(line) else _ITEM.match(line)
        if line.strip() and (not code or _FENCE.match(line)):
            after_blank = not (out and out[-1].strip())
            if not columns and item and not after_blank:
                out.append("")
            # A line that begins further left than an item's text ends it, but for lazy paragraphs.
            while columns and indent < columns[-1] and (item or after_blank or code):
                columns.pop()
        depth = len(columns)
        within = columns[-1] if columns else 0
        out.append(" " * 4 * depth + line[min(within, indent) :] if line.strip() else line)
        if item:
            columns.append(item.end())
    return "\n".join(out)
