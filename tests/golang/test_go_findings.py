"""What Go says of many programs: each finding once, with the programs and platforms it is of."""

from __future__ import annotations

import pytest

from ko_pants.golang.go_findings import GoOutput, findings_of, report_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("# p\n", []),
        ("a.go:1:1: x\nb.go:2:2: y\n", [("", "a.go:1:1: x"), ("", "b.go:2:2: y")]),
        (
            "# p\na.go:1:1: x\n\thave (int)\n\twant ()\n# q\n# [q]\nb.go:2:2: y\n",
            [("# p", "a.go:1:1: x\n\thave (int)\n\twant ()"), ("# q\n# [q]", "b.go:2:2: y")],
        ),
    ],
)
def test_findings(text: str, found: list[tuple[str, str]]) -> None:
    assert list(findings_of(text)) == found


def build(owner: str, platform: str, text: str) -> GoOutput:
    return GoOutput("go build", owner, platform, text)


def test_nothing_found_is_an_empty_report() -> None:
    assert report_of([]) == ""


def test_what_programs_and_platforms_share_is_said_once() -> None:
    shared = "# p/lib\nlib/l.go:1:1: undefined: x\nlib/l.go:2:1: undefined: y\n"
    own = "# p/b\nb/main.go:1:1: undefined: z\n"
    report = report_of(
        [
            build("a:a", "linux/amd64", shared),
            build("a:a", "linux/arm64", shared),
            build("b:b", "linux/amd64", shared + own),
            build("b:b", "linux/arm64", shared),
        ]
    )
    assert report == (
        "a:a, b:b: `go build` failed for linux/amd64, linux/arm64:\n"
        "# p/lib\nlib/l.go:1:1: undefined: x\nlib/l.go:2:1: undefined: y\n\n"
        "b:b: `go build` failed for linux/amd64:\n"
        "# p/b\nb/main.go:1:1: undefined: z"
    )


def test_build_and_vet_are_told_apart() -> None:
    report = report_of([build("a:a", "l/a", "x"), GoOutput("go vet", "a:a", "l/a", "x")])
    assert report == "a:a: `go build` failed for l/a:\nx\n\na:a: `go vet` failed for l/a:\nx"


def test_of_many_programs_three_are_named() -> None:
    report = report_of([build(f"a:{n}", "l/a", "x") for n in range(50)])
    assert report == "a:0, a:1, a:2 and 47 more: `go build` failed for l/a:\nx"
