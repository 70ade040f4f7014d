"""Records for tests."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from ko_pants.explanation.record import (
    COMPILED,
    FILE_KINDS,
    KINDS,
    PARTS,
    Deeds,
    ImageRecord,
    Input,
    PlatformResult,
    sorted_inputs,
)

AMD64, ARM64 = "linux/amd64", "linux/arm64"
APP = "example.com/app"


def digest(character: str) -> str:
    """A digest that is easy to tell from others."""
    return "sha256:" + character * 64


def source(name: str, value: str, of: str = APP) -> Input:
    """A source file of a program."""
    return Input("program", of, "", "source file", name, digest(value))


INPUTS = (
    Input("image", "", "", "platform", AMD64, "wanted"),
    Input("image", "", "", "platform", ARM64, "wanted"),
    Input("image", "", "", "program", APP, COMPILED),
    Input("image", "", "", "layer of files", "kodata", "/var/run/ko"),
    Input("base", "", "", "base image", "base_image", f"static@{digest('b')}"),
    Input("layers", "", "", "compressor", "compressor", "deflate-0.8.1/gzip-1/1MiB"),
    Input("config", "", "", "field", "user", "65532"),
    Input("program", APP, "", "Go version", "Go", "go1.26.8-abc"),
    Input("program", APP, "", "flag", "-tags", "netgo"),
    Input("program", APP, "", "flag", "-ldflags -X main.token", "hidden:0123456789abcdef"),
    Input("program", APP, "", "environment variable", "GOEXPERIMENT", "jsonv2"),
    Input("program", APP, "", "module", "example.com/lib", "v1.2.3"),
    source("app/main.go", "1"),
    source("app/go.mod", "2"),
    source("app/go.sum", "3"),
    Input("program", APP, "", "embedded file", "app/text.txt", digest("4")),
    Input("files", "kodata", "", "kodata file", "app/kodata/a.html", digest("5")),
)


def result(platform: str, executable: str, kodata: str = "8") -> PlatformResult:
    """What came of a platform."""
    layers = (("kodata", digest(kodata)), (APP, digest(executable + executable)[:71]))
    return PlatformResult(platform, digest(executable), ((APP, digest(executable)),), layers)


RECORD = ImageRecord(
    "app:app",
    sorted_inputs(INPUTS),
    digest("a"),
    (result(AMD64, "6"), result(ARM64, "7")),
    Deeds(
        ((APP, AMD64, "ran"), (APP, ARM64, "remote cache")),
        ((digest("8"), "uploaded"), (digest("6"), "uploaded"), (digest("7"), "mounted")),
        (("registry.example.com/app", "pushed"),),
    ),
    time=1_700_000_000,
)


def with_inputs(
    record: ImageRecord, *inputs: Input, without: tuple[Input, ...] = ()
) -> ImageRecord:
    """The record with inputs exchanged or added, and others left out."""
    kept = [found for found in record.inputs if found not in without]
    return replace(record, inputs=sorted_inputs([*kept, *inputs]))


_names = st.text(max_size=8)
_inputs = st.builds(
    Input,
    st.sampled_from(PARTS),
    st.sampled_from(["", APP, "kodata"]),
    st.sampled_from(["", AMD64, ARM64]),
    st.sampled_from(KINDS),
    st.one_of(st.sampled_from(["go.mod", "a/b.go", "a/c.go", "d", "/"]), _names),
    st.one_of(st.sampled_from([digest("1"), digest("2")]), _names),
)
_pairs = st.lists(st.tuples(_names, _names), max_size=3).map(tuple)


@st.composite
def records(draw: st.DrawFn) -> ImageRecord:
    """Any record; many have more in them than a publish would write."""
    results = st.builds(PlatformResult, _names, _names, _pairs, _pairs)
    triples = st.lists(st.tuples(_names, _names, _names), max_size=3).map(tuple)
    return ImageRecord(
        draw(_names),
        sorted_inputs(draw(st.lists(_inputs, max_size=12))),
        draw(_names),
        tuple(draw(st.lists(results, max_size=2))),
        draw(st.builds(Deeds, triples, _pairs, _pairs)),
        draw(st.integers(0, 2**40)),
    )


def plain_records() -> st.SearchStrategy[ImageRecord]:
    """Records in which no input stands for others."""
    owners = ("platform", "program", "layer of files")
    return records().map(
        lambda r: replace(r, inputs=tuple(i for i in r.inputs if i.kind not in owners))
    )


assert set(FILE_KINDS) < set(KINDS)
