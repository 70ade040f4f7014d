"""The changes between two records, and what they caused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from explanation.records import (
    AMD64,
    APP,
    ARM64,
    RECORD,
    digest,
    plain_records,
    records,
    result,
    source,
    with_inputs,
)
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.explanation.changes import (
    FIRST_PUBLISH,
    NOT_SHOWN,
    UNKNOWN,
    Change,
    changes_between,
    compiles_between,
    counts_of,
)
from ko_pants.explanation.consequences import Compile
from ko_pants.explanation.record import ALL_FLAGS, Deeds, ImageRecord, Input, hidden, sorted_inputs

BOTH = f"{AMD64}, {ARM64}"


def not_built(record: ImageRecord) -> ImageRecord:
    """The record of what would be built."""
    return replace(record, digest="", results=(), deeds=Deeds(), time=0)


def published(record: ImageRecord, **edits: object) -> ImageRecord:
    """The record of the next publish, which made another image."""
    made = replace(record, digest=digest("c"))
    return replace(made, **edits)  # type: ignore[arg-type]


@given(records())
def test_equal_records_have_no_change(record: ImageRecord) -> None:
    assert changes_between(record, record) == ()
    assert compiles_between(record, record) == ()
    assert changes_between(record, not_built(record)) == ()


@given(plain_records(), st.data())
def test_every_single_mutation_is_named(record: ImageRecord, data: st.DataObject) -> None:
    inputs = list(record.inputs)
    index = data.draw(st.integers(0, len(inputs)))
    expected: tuple[str | None, str | None]
    if index == len(inputs):
        entry = Input("config", "", "", "field", "a field that is new", "1")
        inputs.append(entry)
        expected = (None, "1")
    else:
        entry = inputs[index]
        if data.draw(st.booleans()):
            inputs[index] = replace(entry, value=entry.value + "x")
            expected = (entry.value, entry.value + "x")
        else:
            del inputs[index]
            expected = (entry.value, None)
    after = replace(record, inputs=sorted_inputs(inputs))

    for before, now, values in (
        (record, after, expected),
        (after, record, expected[::-1]),
    ):
        (change,) = changes_between(before, now)
        assert (change.kind, change.name) == (entry.kind, entry.name)
        assert (change.before, change.after) == values
        assert change.caused


@given(records(), records())
def test_changes_of_any_two_records_can_be_said(one: ImageRecord, two: ImageRecord) -> None:
    for change in changes_between(one, two):
        assert change.caused
        assert change.before != change.after or change.before == NOT_SHOWN
    compiles_between(one, two)


def test_without_a_record_there_is_one_change() -> None:
    assert changes_between(None, RECORD) == (
        Change(
            FIRST_PUBLISH,
            "app:app",
            None,
            digest("a"),
            ("everything was built, for there is no record to compare with",),
        ),
    )
    (change,) = changes_between(None, not_built(RECORD))
    assert change.after is None
    assert change.caused == ("everything would be built, for there is no record to compare with",)
    assert compiles_between(None, not_built(RECORD)) == (Compile(APP, AMD64), Compile(APP, ARM64))


def test_a_source_file_and_what_it_caused() -> None:
    now = published(
        with_inputs(RECORD, source("app/main.go", "9")),
        results=(result(AMD64, "e"), result(ARM64, "7")),
        deeds=Deeds(
            ((APP, AMD64, "ran"), (APP, ARM64, "local cache")),
            ((digest("e"), "uploaded"),),
            (("registry.example.com/app", "pushed"),),
        ),
    )

    assert changes_between(RECORD, now) == (
        Change(
            "source file",
            "app/main.go",
            digest("1"),
            digest("9"),
            (
                f"compile for {AMD64} ran",
                f"compile for {ARM64} came from the local cache",
                f"the executable for {AMD64} is another, its layer was uploaded",
                f"the executable for {ARM64} is the same",
            ),
        ),
    )


def test_a_comment_made_the_same_image() -> None:
    now = replace(
        with_inputs(RECORD, source("app/main.go", "9")),
        deeds=Deeds(
            ((APP, AMD64, "ran"), (APP, ARM64, "ran")),
            (),
            (("registry.example.com/app", "up to date"),),
        ),
    )

    (change,) = changes_between(RECORD, now)
    assert change.caused == (
        f"compile for {BOTH} ran",
        f"the executable for {BOTH} is the same",
        "the image is the same, so nothing was pushed",
    )


CASES = {
    "a flag": (
        Input("program", APP, "", "flag", "-tags", "osusergo"),
        ("netgo", "osusergo"),
        f"compile for {BOTH} would run",
    ),
    "a flag of one platform": (
        Input("program", APP, ARM64, "flag", "-gcflags", "-N"),
        (None, "-N"),
        f"compile for {ARM64} would run",
    ),
    "a variable": (
        Input("program", APP, "", "environment variable", "GOEXPERIMENT", "none"),
        ("jsonv2", "none"),
        f"compile for {BOTH} would run",
    ),
    "a Go version": (
        Input("program", APP, "", "Go version", "Go", "go1.27.0-abc"),
        ("go1.26.8-abc", "go1.27.0-abc"),
        f"compile for {BOTH} would run",
    ),
    "a base": (
        Input("base", "", "", "base image", "base_image", f"static@{digest('f')}"),
        (f"static@{digest('b')}", f"static@{digest('f')}"),
        "the image would be composed anew, without a compile",
    ),
    "a field": (
        Input("config", "", "", "field", "user", "0"),
        ("65532", "0"),
        "the image would be composed anew, without a compile",
    ),
    "a compressor": (
        Input("layers", "", "", "compressor", "compressor", "none"),
        ("deflate-0.8.1/gzip-1/1MiB", "none"),
        "every added layer would be made",
    ),
    "a file of kodata": (
        Input("files", "kodata", "", "kodata file", "app/kodata/b.html", digest("9")),
        (None, digest("9")),
        "the layer of kodata would be made",
    ),
    "an embedded file": (
        Input("program", APP, "", "embedded file", "app/text.txt", digest("9")),
        (digest("4"), digest("9")),
        f"compile for {BOTH} would run",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_would_be_done(case: str) -> None:
    entry, values, caused = CASES[case]
    now = not_built(with_inputs(RECORD, entry))

    (change,) = changes_between(RECORD, now)

    assert (change.kind, change.name) == (entry.kind, entry.name)
    assert (change.before, change.after) == values
    assert change.caused == (caused,)
    compiled = {of.platform for of in compiles_between(RECORD, now)}
    assert compiled == {p for p in (AMD64, ARM64) if "compile for" in caused and p in caused}


def test_values_that_may_be_secret_are_not_shown() -> None:
    name = "-ldflags -X main.token"
    entry = Input("program", APP, "", "flag", name, hidden(name, "new secret"))

    (change,) = changes_between(RECORD, not_built(with_inputs(RECORD, entry)))

    assert (change.before, change.after) == (NOT_SHOWN, NOT_SHOWN)
    assert hidden("a", "x") != hidden("b", "x")
    assert hidden("a", "x") == hidden("a", "x")
    assert "secret" not in hidden(name, "new secret")


def test_modules_say_it_better_than_their_files() -> None:
    module = Input("program", APP, "", "module", "example.com/lib", "v1.3.0")
    files = (source("app/go.mod", "9"), source("app/go.sum", "9"))

    (change,) = changes_between(RECORD, not_built(with_inputs(RECORD, module, *files)))
    assert (change.kind, change.before, change.after) == ("module", "v1.2.3", "v1.3.0")

    # A comment in go.mod is no module.
    (change,) = changes_between(RECORD, not_built(with_inputs(RECORD, files[0])))
    assert (change.kind, change.name) == ("source file", "app/go.mod")


def test_a_flag_says_it_better_than_all_of_them() -> None:
    one, two = (Input("program", APP, "", "flag", ALL_FLAGS, f"hidden:{n}") for n in (1, 2))
    before = with_inputs(RECORD, one)

    (change,) = changes_between(before, not_built(with_inputs(RECORD, two, CASES["a flag"][0])))
    assert change.name == "-tags"

    (change,) = changes_between(before, not_built(with_inputs(RECORD, two)))
    assert (change.name, change.before) == (ALL_FLAGS, NOT_SHOWN)


def test_a_platform_stands_for_all_that_it_has() -> None:
    platform = Input("image", "", "", "platform", "linux/s390x", "wanted")
    flag = Input("program", APP, "linux/s390x", "flag", "-gcflags", "-N")
    now = not_built(with_inputs(RECORD, platform, flag))

    (change,) = changes_between(RECORD, now)
    assert (change.kind, change.name, change.before) == ("platform", "linux/s390x", None)
    assert change.caused == ("linux/s390x would be added", "compile for linux/s390x would run")
    assert compiles_between(RECORD, now) == (Compile(APP, "linux/s390x"),)

    (change,) = changes_between(replace(now, digest="x", results=RECORD.results), RECORD)
    assert (change.kind, change.after) == ("platform", None)
    assert change.caused == ("linux/s390x was left out",)


def test_a_program_stands_for_all_that_it_has() -> None:
    other = "example.com/other"
    added = (
        Input("image", "", "", "program", other, "compiled"),
        source("other/main.go", "9", of=other),
        Input("program", other, "", "flag", "-tags", "x"),
    )
    now = not_built(with_inputs(RECORD, *added))

    (change,) = changes_between(RECORD, now)
    assert (change.kind, change.name) == ("program", other)
    assert change.caused == (f"compile of {other} for {BOTH} would run",)
    assert compiles_between(RECORD, now) == (Compile(other, AMD64), Compile(other, ARM64))


def test_a_file_of_two_programs_is_one_change() -> None:
    other = "example.com/other"
    program = Input("image", "", "", "program", other, "compiled")
    shared = [source("lib/lib.go", "1", of=of) for of in (APP, other)]
    before = with_inputs(RECORD, program, *shared)
    edited = [source("lib/lib.go", "2", of=of) for of in (APP, other)]

    (change,) = changes_between(before, not_built(with_inputs(before, *edited)))

    assert change.caused == (
        f"compile of {APP} for {BOTH} would run",
        f"compile of {other} for {BOTH} would run",
    )


def test_files_that_are_added_and_left_out() -> None:
    files = Input("image", "", "", "layer of files", "//x:files", "/srv")
    entry = Input("files", "//x:files", "", "file of oci_files", "x/a", digest("9"))
    now = not_built(with_inputs(RECORD, files, entry))

    (change,) = changes_between(RECORD, now)
    assert change.caused == ("the layer of //x:files would be made",)
    (change,) = changes_between(now, not_built(RECORD))
    assert change.caused == ("//x:files would be left out",)


def test_a_layer_of_files_that_was_made() -> None:
    entry = Input("files", "kodata", "", "kodata file", "app/kodata/a.html", digest("9"))
    now = published(
        with_inputs(RECORD, entry),
        results=(result(AMD64, "6", "d"), result(ARM64, "7", "d")),
        deeds=Deeds((), ((digest("d"), "uploaded"),), ()),
    )

    (change,) = changes_between(RECORD, now)

    assert change.caused == ("the layer of kodata was made anew and uploaded",)


def test_an_image_that_differs_by_nothing_that_is_recorded() -> None:
    (change,) = changes_between(RECORD, published(RECORD))

    assert change == Change(
        UNKNOWN,
        "app:app",
        digest("a"),
        digest("c"),
        ("the image is another, and no recorded input is",),
    )


def test_changes_are_in_the_order_of_their_kinds() -> None:
    entries = [CASES[case][0] for case in ("an embedded file", "a field", "a Go version")]
    entries += [source("b.go", "1"), source("a.go", "1")]

    found = changes_between(RECORD, not_built(with_inputs(RECORD, *entries)))

    assert [c.name for c in found] == ["Go", "user", "a.go", "b.go", "app/text.txt"]


def test_what_was_compared_is_counted() -> None:
    assert counts_of(RECORD) == {
        "platform": 2,
        "program": 1,
        "layer of files": 1,
        "Go version": 1,
        "base image": 1,
        "compressor": 1,
        "environment variable": 1,
        "field": 1,
        "flag": 2,
        "module": 1,
        "source file": 3,
        "embedded file": 1,
        "kodata file": 1,
    }
