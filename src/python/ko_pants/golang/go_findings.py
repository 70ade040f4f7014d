"""What Go found in the programs of many images, each finding once.

Images share packages, and platforms share files. So most of what Go says of one program, it says of
others in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator

_NAMED_OWNERS = 3


@dataclass(frozen=True)
class GoOutput:
    """What one run of Go printed.

    :param command: `go build` or `go vet`.
    :param owner: the address of the image.
    :param platform: that of the run.
    :param text: what it printed.
    """

    command: str
    owner: str
    platform: str
    text: str


def findings_of(text: str) -> Iterator[tuple[str, str]]:
    """The findings in a text of Go: the lines `# <package>` above each, and its own lines.

    A line that begins with a blank goes on with the finding before it.
    """
    header: list[str] = []
    finding: list[str] = []
    for line in text.splitlines():
        if line.startswith((" ", "\t")) and finding:
            finding.append(line)
            continue
        if finding:
            yield "\n".join(header), "\n".join(finding)
        if line.startswith("# "):
            header = [*([] if finding else header), line]
            finding = []
        else:
            finding = [line]
    if finding:
        yield "\n".join(header), "\n".join(finding)


def report_of(outputs: Iterable[GoOutput]) -> str:
    """The findings of all runs, those of the same programs and platforms below one heading."""
    seen: dict[tuple[str, str, str], dict[tuple[str, str], None]] = {}
    for output in outputs:
        for header, finding in findings_of(output.text):
            where = seen.setdefault((output.command, header, finding), {})
            where[output.owner, output.platform] = None
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[str, str]]] = {}
    for (command, header, finding), where in seen.items():
        groups.setdefault((command, tuple(where)), []).append((header, finding))
    return "\n\n".join(
        f"{_heading(command, where)}\n{_lines(findings)}"
        for (command, where), findings in groups.items()
    )


def named_owners(owners: Iterable[str]) -> str:
    """The first addresses, each once, and how many more there are."""
    each = tuple(dict.fromkeys(owners))
    named = ", ".join(each[:_NAMED_OWNERS])
    left = len(each) - _NAMED_OWNERS
    return f"{named} and {left} more" if left > 0 else named


def _heading(command: str, where: tuple[tuple[str, str], ...]) -> str:
    platforms = ", ".join(dict.fromkeys(platform for _, platform in where))
    return f"{named_owners(o for o, _ in where)}: `{command}` failed for {platforms}:"


def _lines(findings: list[tuple[str, str]]) -> str:
    lines: list[str] = []
    last = ""
    for header, finding in findings:
        if header and header != last:
            lines.append(header)
        last = header
        lines.append(finding)
    return "\n".join(lines)
