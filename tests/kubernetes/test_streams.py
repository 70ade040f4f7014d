"""Files become one stream: `---` where it is needed, and every byte of theirs."""

from __future__ import annotations

from typing import Mapping

import pytest
import yaml

from ko_pants.kubernetes.references import NotYaml
from ko_pants.kubernetes.streams import joined, read_file, resolved_stream


def stream(files: Mapping[str, bytes]) -> str:
    read = [read_file(path, content) for path, content in files.items()]
    values = {r.value for file in read for r in file.manifest.references}
    return resolved_stream(read, {value: f"resolved/{value[5:]}" for value in values})


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], ""),
        (["a: 1"], "a: 1"),
        (["a: 1\n", "b: 2\n"], "a: 1\n---\nb: 2\n"),
        (["a: 1", "b: 2"], "a: 1\n---\nb: 2"),
        (["a: 1\n", "---\nb: 2\n"], "a: 1\n---\nb: 2\n"),
        (["a: 1\n", "--- {b: 2}\n"], "a: 1\n--- {b: 2}\n"),
        (["a: 1\n", "--- # why\nb: 2\n"], "a: 1\n--- # why\nb: 2\n"),
        (["a: 1\n", "# of b\n\n  # more\n---\nb: 2\n"], "a: 1\n# of b\n\n  # more\n---\nb: 2\n"),
        (["a: 1\n", "# of b\nb: 2\n"], "a: 1\n---\n# of b\nb: 2\n"),
        (["a: 1\n", "---b: 2\n"], "a: 1\n---\n---b: 2\n"),
        (["a: 1\r\n", "b: 2\r\n"], "a: 1\r\n---\r\nb: 2\r\n"),
        (["a: 1\n", "%YAML 1.1\n---\nb: 2\n"], "a: 1\n...\n%YAML 1.1\n---\nb: 2\n"),
        (["a: 1\n...\n", "%YAML 1.1\n---\nb: 2\n"], "a: 1\n...\n%YAML 1.1\n---\nb: 2\n"),
        (["a: b...\n", "%YAML 1.1\n---\nb: 2\n"], "a: b...\n...\n%YAML 1.1\n---\nb: 2\n"),
        (["a: 1\n...\n", "b: 2\n"], "a: 1\n...\n---\nb: 2\n"),
        (["a: |\n  x\n", "", "b: 2\n"], "a: |\n  x\n---\nb: 2\n"),
    ],
)
def test_documents_stay_apart(texts: list[str], expected: str) -> None:
    assert joined(texts) == expected
    documents = [document for text in texts for document in yaml.safe_load_all(text)]
    assert list(yaml.safe_load_all(expected)) == documents


def test_files_without_documents_add_nothing() -> None:
    files = {"a.yaml": b"# nothing\n", "b.yaml": b"a: ko://x\n", "c.json": b" ", "d.yml": b"b: 1\n"}
    assert stream(files) == "a: resolved/x\n---\nb: 1\n"
    assert stream({"a.yaml": b"# nothing\n"}) == ""


def test_only_the_first_byte_order_mark_stays() -> None:
    mark = b"\xef\xbb\xbf"
    assert stream({"a.yaml": mark + b"a: 1\n", "b.yaml": mark + b"b: ko://x\n"}) == (
        "\ufeffa: 1\n---\nb: resolved/x\n"
    )


def test_what_has_braces_and_is_no_yaml_is_a_template() -> None:
    file = read_file("x.yaml", b"{{ if }}\na: ko://x\n{{ end }}\n")
    assert file.is_template
    assert file.manifest.references == ()
    assert resolved_stream([file], {}) == "{{ if }}\na: ko://x\n{{ end }}\n"
    # Quoted, it is YAML.
    assert not read_file("x.yaml", b"a: '{{ .x }}'\nb: ko://x\n").is_template
    with pytest.raises(NotYaml, match=r"^x.yaml:2:1: "):
        read_file("x.yaml", b"a: [\n")


def test_a_large_file_is_read_once_and_aliases_are_not_followed() -> None:
    item = "- &a{0} {{name: x{0}, image: ko://example.com/{0}, other: [*a{0}]}}\n"
    bomb = "a: &a [x, x]\n" + "".join(
        f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}, *{'a' if n == 0 else f'b{n - 1}'}]\n"
        for n in range(40)
    )
    text = "".join(item.format(n) for n in range(1000))
    assert stream({"a.yaml": text.encode(), "b.yaml": bomb.encode()}) == (
        text.replace("ko://", "resolved/") + "---\n" + bomb
    )
