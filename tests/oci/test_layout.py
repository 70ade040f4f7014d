"""OCI layouts on disk: written atomically, by several at once, and read with suspicion."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci.images import AMD64, app_layer, config_of, digest

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.image import compose_image, scratch_base
from ko_pants.oci.image_config import ImageConfig
from ko_pants.oci.layout import Layout, find_in_layout, parse_layout_reference
from ko_pants.oci.layout_artifacts import ANNOTATION_REF_NAME


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path / "dist" / "oci"))


def described(content: bytes, media_type: str = mt.OCI_MANIFEST) -> Descriptor:
    return Descriptor(media_type, sha256_digest(content), len(content))


def hexadecimal(descriptor: Descriptor) -> str:
    return descriptor.digest[len("sha256:") :]


def write(layout: Layout, content: bytes) -> Descriptor:
    descriptor = described(content)
    layout.write_blob(descriptor, io.BytesIO(content))
    return descriptor


def files(layout: Layout) -> set[str]:
    return {
        os.path.relpath(os.path.join(directory, name), layout.path)
        for directory, _, names in os.walk(layout.path)
        for name in names
    } - {".lock"}


def index(layout: Layout) -> dict[str, object]:
    return config_of(Path(layout.path, "index.json").read_bytes())


def entries_of(layout: Layout) -> list[Any]:
    entries = index(layout)["manifests"]
    assert isinstance(entries, list)
    return entries


def name_of(entry: dict[str, Any]) -> object:
    return entry.get("annotations", {}).get(ANNOTATION_REF_NAME)


# Writing


@pytest.mark.parametrize(
    "foreign",
    [
        3,
        None,
        {"annotations": None},
        {"annotations": "x"},
        {"annotations": {ANNOTATION_REF_NAME: 3}},
        {"annotations": {ANNOTATION_REF_NAME: ["a"]}},
    ],
    ids=str,
)
def test_an_entry_of_any_shape_stays_as_it_is(layout: Layout, foreign: object) -> None:
    os.makedirs(layout.path)
    Path(layout.path, "index.json").write_text(json.dumps({"manifests": [foreign]}))
    layout.update({"app:latest": described(b"x")})
    first, second = entries_of(layout)
    assert first == foreign
    assert name_of(second) == "app:latest"


def test_annotations_of_a_named_descriptor_stay(layout: Layout) -> None:
    layout.update({"app:v1": replace(described(b"x"), annotations=(("a", "1"),))})
    assert entries_of(layout)[0]["annotations"] == {"a": "1", ANNOTATION_REF_NAME: "app:v1"}


def test_the_marker_of_another_program_stays(layout: Layout) -> None:
    os.makedirs(layout.path)
    Path(layout.path, "oci-layout").write_text('{"imageLayoutVersion": "1.0.0", "more": 1}')
    layout.update({"app:latest": described(b"x")})
    assert "more" in Path(layout.path, "oci-layout").read_text()


def test_a_blob_is_written_hidden_beside_its_place(layout: Layout) -> None:
    # A rename to another file system would not be atomic.
    seen: list[str] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.extend(files(layout))
            return super().read(size)

    layout.write_blob(described(b"x"), Watched(b"x"))
    assert seen
    assert all(name.startswith("blobs/sha256/.incoming-") for name in seen)


def test_a_layout_as_the_image_spec_has_it(layout: Layout) -> None:
    descriptor = write(layout, b"manifest")
    layout.update({"app:latest": descriptor})
    assert files(layout) == {"oci-layout", "index.json", f"blobs/sha256/{hexadecimal(descriptor)}"}
    assert config_of(Path(layout.path, "oci-layout").read_bytes()) == {
        "imageLayoutVersion": "1.0.0"
    }
    assert index(layout) == {
        "schemaVersion": 2,
        "manifests": [
            {**descriptor.to_json(), "annotations": {ANNOTATION_REF_NAME: "app:latest"}},
        ],
    }
    assert os.stat(layout.blob_path(descriptor.digest)).st_mode & 0o777 == 0o644


def test_what_was_written_is_read_back(layout: Layout) -> None:
    descriptor = write(layout, b"manifest")
    layout.update({"app:latest": descriptor, "app:v1": descriptor})
    assert layout.has_blob(descriptor)
    assert layout.read_blob(descriptor) == b"manifest"
    found = layout.references()
    assert set(found) == {"app:latest", "app:v1"}
    assert {d.digest for d in found.values()} == {descriptor.digest}


def test_where_there_is_no_layout_nothing_is_found_and_nothing_made(layout: Layout) -> None:
    assert layout.references() == {}
    assert layout.entries() == ()
    assert not layout.has_blob(described(b"x"))
    assert not os.path.exists(layout.path)


def test_a_name_moves_and_every_other_entry_stays_as_it_is(layout: Layout) -> None:
    old, new, other = (write(layout, content) for content in (b"old", b"new", b"other"))
    foreign = {
        "mediaType": "application/vnd.example+json",
        "digest": digest("foreign"),
        "size": 3,
        "data": "eHl6",
        "artifactType": "application/example",
    }
    layout.update({"app:latest": old, "other:latest": other})
    document = index(layout)
    assert isinstance(document["manifests"], list)
    document["manifests"].append(foreign)
    document["annotations"] = {"ours": "no"}
    Path(layout.path, "index.json").write_text(json.dumps(document))

    layout.update({"app:latest": new})
    assert {name: d.digest for name, d in layout.references().items()} == {
        "app:latest": new.digest,
        "other:latest": other.digest,
    }
    names = [name_of(entry) for entry in entries_of(layout)]
    # The foreign entry has no name. The old one is gone: with two, a reader could take either.
    assert names == ["other:latest", None, "app:latest"]
    assert foreign in entries_of(layout)
    assert index(layout)["annotations"] == {"ours": "no"}


def test_the_order_of_names_does_not_change_the_index(tmp_path: Path) -> None:
    descriptor = described(b"x")
    first, second = Layout(str(tmp_path / "1")), Layout(str(tmp_path / "2"))
    first.update({"a:1": descriptor, "b:1": descriptor})
    second.update({"b:1": descriptor, "a:1": descriptor})
    assert (
        Path(first.path, "index.json").read_bytes() == Path(second.path, "index.json").read_bytes()
    )


@pytest.mark.parametrize(
    "content", [b"", b"manifesT", b"manifest and more"], ids=["empty", "changed", "longer"]
)
def test_a_blob_that_arrives_as_something_else_leaves_nothing(
    layout: Layout, content: bytes
) -> None:
    with pytest.raises(KoPantsError) as e:
        layout.write_blob(described(b"manifest"), io.BytesIO(content))
    assert described(b"manifest").digest in str(e.value)
    assert sha256_digest(content) in str(e.value)
    assert files(layout) == set()


def test_a_wrong_size_in_the_descriptor_is_found(layout: Layout) -> None:
    wrong = Descriptor(mt.OCI_MANIFEST, sha256_digest(b"manifest"), 3)
    with pytest.raises(KoPantsError, match=r"\(3 bytes\) arrived as .*\(8 bytes\)"):
        layout.write_blob(wrong, io.BytesIO(b"manifest"))


def test_a_stream_that_breaks_leaves_nothing(layout: Layout) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        layout.write_blob(described(b"x"), Broken())  # type: ignore[arg-type]
    assert files(layout) == set()


def test_a_reader_sees_no_half_of_a_blob(layout: Layout) -> None:
    content = b"x" * 3_000_000
    descriptor = described(content)
    seen: list[bool] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.append(os.path.exists(layout.blob_path(descriptor.digest)))
            return super().read(size)

    layout.write_blob(descriptor, Watched(content))
    assert len(seen) > 2
    assert not any(seen)
    assert layout.has_blob(descriptor)


def test_memory_does_not_grow_with_the_blob(layout: Layout) -> None:
    asked: list[int] = []

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            asked.append(size or -1)
            return super().read(size)

    content = bytes(5_000_000)
    layout.write_blob(described(content), Counted(content))
    assert all(0 < size <= 1 << 20 for size in asked)


# Several at once


def run_together(*tasks: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def run(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_two_processes_lose_nothing_of_each_other(layout: Layout) -> None:
    program = (
        "import sys\n"
        "from ko_pants.oci.descriptor import Descriptor\n"
        "from ko_pants.oci.layout import Layout\n"
        "layout = Layout(sys.argv[1])\n"
        "print(flush=True)\n"
        "sys.stdin.readline()\n"
        "for n in range(40):\n"
        "    layout.update({f'{sys.argv[2]}:{n}': Descriptor('m', 'sha256:' + 64 * 'a', n)})\n"
    )
    path = os.pathsep.join(p for p in sys.path if p.rstrip("/").endswith("python"))
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, layout.path, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        for name in ("first", "second")
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    # A reader beside them always finds a whole index.
    while any(writer.poll() is None for writer in writers):
        layout.references()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    expected = {f"{name}:{n}" for name in ("first", "second") for n in range(40)}
    assert set(layout.references()) == expected
    assert files(layout) == {"index.json", "oci-layout"}


def test_two_threads_lose_nothing_of_each_other(layout: Layout) -> None:
    def writer(name: str) -> Callable[[], None]:
        def update() -> None:
            for n in range(20):
                Layout(layout.path).update({f"{name}:{n}": described(b"x")})

        return update

    run_together(writer("first"), writer("second"))
    assert len(layout.references()) == 40
    assert files(layout) == {"index.json", "oci-layout"}


def test_the_same_blob_may_be_written_by_several_at_once(layout: Layout) -> None:
    content = bytes(range(256)) * 5000
    run_together(*[lambda: write(layout, content)] * 4)
    assert files(layout) == {f"blobs/sha256/{hexadecimal(described(content))}"}
    assert layout.read_blob(described(content)) == content


# Reading with suspicion


def test_a_blob_of_another_size_is_not_there(layout: Layout) -> None:
    descriptor = write(layout, b"manifest")
    Path(layout.blob_path(descriptor.digest)).write_bytes(b"mani")
    assert not layout.has_blob(descriptor)
    write(layout, b"manifest")
    assert layout.has_blob(descriptor)


def test_a_changed_blob_is_not_handed_out(layout: Layout) -> None:
    descriptor = write(layout, b"manifest")
    Path(layout.blob_path(descriptor.digest)).write_bytes(b"MANIFEST")
    with pytest.raises(KoPantsError) as e:
        layout.read_blob(descriptor)
    assert layout.path in str(e.value)
    assert descriptor.digest in str(e.value)


def test_a_missing_blob_is_named(layout: Layout) -> None:
    with pytest.raises(KoPantsError) as e:
        layout.read_blob(described(b"x"))
    assert layout.path in str(e.value)
    assert described(b"x").digest in str(e.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{]",
        b"[]",
        b"null",
        b'{"manifests":3}',
        b'{"manifests":{"a":1}}',
        b'{"manifests":[3]}',
        b'{"manifests":[{"digest":"sha256:../../x","size":1}]}',
    ],
)
def test_a_damaged_index_is_named(layout: Layout, content: bytes) -> None:
    os.makedirs(layout.path)
    path = Path(layout.path, "index.json")
    path.write_bytes(content)
    with pytest.raises(KoPantsError) as e:
        layout.references()
    assert str(path) in str(e.value)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"manifests":3}', b'{"manifests":{"a":1}}'])
def test_a_damaged_index_is_not_overwritten(layout: Layout, content: bytes) -> None:
    os.makedirs(layout.path)
    path = Path(layout.path, "index.json")
    path.write_bytes(content)
    with pytest.raises(KoPantsError, match=r"index\.json"):
        layout.update({"app:latest": described(b"x")})
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"{}", b'{"manifests":null}', b'{"manifests":[]}'])
def test_an_index_without_entries_is_empty(layout: Layout, content: bytes) -> None:
    # Go writes a nil slice as null.
    os.makedirs(layout.path)
    Path(layout.path, "index.json").write_bytes(content)
    assert layout.references() == {}
    layout.update({"app:latest": described(b"x")})
    assert set(layout.references()) == {"app:latest"}


def test_a_file_in_place_of_the_layout(tmp_path: Path) -> None:
    path = tmp_path / "oci"
    path.write_text("a file")
    with pytest.raises(KoPantsError, match=r"OCI layout .* cannot be read") as error:
        Layout(str(path)).references()
    # A base image is read from a layout that this option does not name.
    assert "layout_path" not in str(error.value)


@pytest.mark.parametrize("obstacle", ["", "oci", "oci/blobs", "oci/blobs/sha256"])
def test_a_file_in_place_of_a_directory_is_named_with_a_way_out(
    tmp_path: Path, obstacle: str
) -> None:
    file = tmp_path / "dist" / obstacle
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a file")
    layout = Layout(str(tmp_path / "dist/oci"))
    with pytest.raises(KoPantsError) as error:
        layout.write_blob(described(b"x"), io.BytesIO(b"x"))
    assert str(error.value).startswith(f"OCI layout {layout.path}: cannot write ")
    assert f"expected a directory, but {file} is a file" in str(error.value)
    assert "[ko].layout_path" in str(error.value)
    assert file.read_text() == "a file"


@pytest.mark.parametrize("link", ["", "oci"])
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, link: str) -> None:
    path = tmp_path / "dist" / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("nowhere")
    layout = Layout(str(tmp_path / "dist/oci"))
    writes: tuple[Callable[[], None], ...] = (
        lambda: layout.write_blob(described(b"x"), io.BytesIO(b"x")),
        lambda: layout.update({"app:latest": described(b"x")}),
    )
    for write in writes:
        with pytest.raises(KoPantsError) as error:
            write()
        assert f"expected a directory, but {path} is a link that leads nowhere" in str(error.value)


def test_the_index_of_a_layout_that_is_a_file_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("a file")
    layout = Layout(str(tmp_path / "dist/oci"))
    for use in (lambda: layout.update({"app:latest": described(b"x")}), layout.references):
        with pytest.raises(KoPantsError, match=r"OCI layout .*/dist is a file; move it away"):
            use()


def test_a_directory_in_place_of_the_index(layout: Layout) -> None:
    os.makedirs(os.path.join(layout.path, "index.json"))
    with pytest.raises(KoPantsError, match=r"expected a file, but .*index\.json is a directory"):
        layout.references()


def test_a_full_disk_is_named_and_leaves_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkstemp

    def full(**arguments: Any) -> tuple[int, str]:
        handle, path = make(**arguments)
        os.close(handle)
        return os.open("/dev/full", os.O_WRONLY), path

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(KoPantsError, match=r"No space left on device; make room, or choose") as e:
        layout.write_blob(described(b"x"), io.BytesIO(b"x"))
    assert layout.path in str(e.value)
    assert files(layout) == set()


def test_an_index_that_does_not_fit_leaves_the_old_one(layout: Layout) -> None:
    layout.update({"app:latest": described(b"x")})
    before = files(layout), layout.references()
    many = {f"app:{number}": described(b"x") for number in range(1000)}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(KoPantsError, match=r"OCI layout .*: cannot write .*; make room"):
            layout.update(many)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (files(layout), layout.references()) == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_layout_that_may_not_be_written_is_named(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(**arguments: Any) -> tuple[int, str]:
        raise OSError(number, os.strerror(number), f"{arguments['dir']}/x")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(KoPantsError) as e:
        layout.write_blob(described(b"x"), io.BytesIO(b"x"))
    assert f"cannot write {layout.path}/blobs/sha256/x: {os.strerror(number)}" in str(e.value)
    assert "make it accessible for this user" in str(e.value)


# References `oci:<directory>[:<name>]`


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oci:dist/oci", ("dist/oci", "")),
        ("oci:dist/oci:app", ("dist/oci", "app")),
        ("oci:dist/oci:app:latest", ("dist/oci", "app:latest")),
        ("oci:/var/oci:shop/app:v1", ("/var/oci", "shop/app:v1")),
        ("oci:dist/oci:sha256:0123", ("dist/oci", "sha256:0123")),
    ],
)
def test_references_to_layouts_are_read_as_by_skopeo(text: str, expected: tuple[str, str]) -> None:
    assert parse_layout_reference(text) == expected


@given(st.text(alphabet=st.characters(blacklist_characters=":")), st.text())
def test_any_directory_and_name_come_back(directory: str, name: str) -> None:
    assert parse_layout_reference(f"oci:{directory}:{name}") == (directory, name)


def test_an_entry_is_found_by_name_and_by_digest_and_alone(layout: Layout) -> None:
    first, second = described(b"1"), described(b"2")
    layout.update({"app:v1": first})
    assert find_in_layout(layout, "").digest == first.digest
    layout.update({"app:v2": second})
    assert find_in_layout(layout, "app:v2").digest == second.digest
    assert find_in_layout(layout, first.digest).digest == first.digest


@pytest.mark.parametrize(
    ("names", "wanted", "words"),
    [
        ((), "", ["expected an image; found none"]),
        ((), "app:v1", ["'app:v1'", "found none"]),
        (
            ("app:v1", "app:v2"),
            "",
            [
                "expected one image, but there are several: name one, `oci:<directory>:<name>`",
                "found app:v1, app:v2",
            ],
        ),
        (("app:v1", "app:v2"), "app", ["named 'app'", "found app:v1, app:v2"]),
        (("app:v1",), "app:v2", ["named 'app:v2'", "found app:v1"]),
    ],
)
def test_what_is_not_there_is_an_error_that_lists_what_is(
    layout: Layout, names: tuple[str, ...], wanted: str, words: list[str]
) -> None:
    layout.update({name: described(name.encode()) for name in names})
    with pytest.raises(KoPantsError) as e:
        find_in_layout(layout, wanted)
    for word in (layout.path, *words):
        assert word in str(e.value)


def test_entries_without_a_name_are_listed_by_digest_and_never_meant_by_no_name(
    layout: Layout,
) -> None:
    os.makedirs(layout.path)
    entries = [described(content).to_json() for content in (b"1", b"2")]
    Path(layout.path, "index.json").write_text(json.dumps({"manifests": entries}))
    with pytest.raises(KoPantsError) as e:
        find_in_layout(layout, "")
    digests = sorted(entry["digest"] for entry in entries)
    assert str(e.value).endswith("found " + ", ".join(digests))
    assert find_in_layout(layout, digests[0]).digest == digests[0]


def test_no_image_in_an_empty_layout_is_not_several(layout: Layout) -> None:
    with pytest.raises(KoPantsError) as e:
        find_in_layout(layout, "")
    assert "several" not in str(e.value)


def test_skopeo_reads_it(layout: Layout) -> None:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("no skopeo")

    def stream(content: bytes) -> BinaryIO:
        return io.BytesIO(content)

    tar = bytes(1024)
    layer = app_layer(
        "binary",
        "",
        diff_id=sha256_digest(tar),
        descriptor=Descriptor(mt.OCI_LAYER_TAR, sha256_digest(tar), len(tar)),
    )
    image = compose_image(scratch_base([AMD64]), {AMD64: [layer]}, ImageConfig("app"))
    layout.write_blob(layer.descriptor, stream(tar))
    for found, content in image.configs().items():
        layout.write_blob(image.blobs()[found], stream(content))
    layout.write_blob(image.descriptor, stream(image.content))
    layout.update({"shop/app:v1": image.descriptor})
    raw = subprocess.run(
        [skopeo, "inspect", "--raw", f"oci:{layout.path}:shop/app:v1"],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert hashlib.sha256(raw).hexdigest() == hexadecimal(image.descriptor)
