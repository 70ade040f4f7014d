"""Processes of signers: what they get, what comes of their answers, and how they end."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from ko_pants.artifacts.signing import SigningRequest
from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.publishing.signer import Signer
from ko_pants.publishing.signer_settings import SignerSettings

IMAGE = Descriptor(mt.OCI_MANIFEST, sha256_digest(b"image"), 5)
REQUEST = SigningRequest("//:a", "127.0.0.1:5000", "", "a", ("v1",), True, IMAGE)
PATH = "/usr/bin:/bin"


def answer(**layer: str) -> str:
    """An answer with one artifact of one layer."""
    return json.dumps(
        {
            "artifacts": [
                {
                    "subject": IMAGE.digest,
                    "artifact_type": "text/sig",
                    "layers": [{"media_type": "text/sig", **layer}],
                }
            ]
        }
    )


def write_script(root: Path, *lines: str, name: str = "sign") -> None:
    """A signer, as `./sign`."""
    path = root / name
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def signer(root: Path, *argv: str, **changes: Any) -> Signer:
    """One that runs `./sign`."""
    settings: dict[str, Any] = {
        "argv": argv or ("./sign",),
        "before_tags": True,
        "environment": {"PATH": PATH},
        "build_root": str(root),
        "at_once": 1,
        "timeout_seconds": 60.0,
        **changes,
    }
    return Signer(SignerSettings(**settings), lambda text: text.replace("hunter2", "***"))


def failure(found: Signer) -> str:
    with pytest.raises(KoPantsError) as caught:
        found.sign(REQUEST)
    return str(caught.value)


def test_it_reads_the_request_in_the_build_root_with_its_variables_alone(tmp_path: Path) -> None:
    write_script(tmp_path, "cat > request.json", "env > variables", 'echo "$@" > arguments')
    found = signer(tmp_path, "./sign", "a b", "c", environment={"PATH": PATH, "KEY_REF": "k"})
    assert found.sign(REQUEST) == ()
    assert (tmp_path / "request.json").read_bytes() == REQUEST.content()
    assert (tmp_path / "arguments").read_text() == "a b c\n"
    lines = (tmp_path / "variables").read_text().splitlines()
    names = {line.partition("=")[0] for line in lines}
    # A shell adds some of its own.
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "KEY_REF", "TMPDIR"}


def test_the_image_can_be_an_argument(tmp_path: Path) -> None:
    write_script(tmp_path, 'echo "$@" > arguments')
    assert signer(tmp_path, "./sign", "--key=k", "oci:{reference}", "{other}").sign(REQUEST) == ()
    expected = f"--key=k oci:127.0.0.1:5000/a@{IMAGE.digest} {{other}}\n"
    assert (tmp_path / "arguments").read_text() == expected


def test_a_command_without_a_slash_is_looked_for_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    write_script(tmp_path / "bin", "echo found > mark", name="my-signer")
    path = f"{tmp_path / 'bin'}:{PATH}"
    assert signer(tmp_path, "my-signer", environment={"PATH": path}).sign(REQUEST) == ()
    assert (tmp_path / "mark").read_text() == "found\n"


def test_files_of_the_answer_may_lie_in_its_temporary_directory(tmp_path: Path) -> None:
    text = answer(path="@").replace("@", "'$TMPDIR'/sig")
    write_script(
        tmp_path, 'printf signed > "$TMPDIR/sig"', 'echo "$TMPDIR" > where', f"echo '{text}'"
    )
    (artifact,) = signer(tmp_path).sign(REQUEST)
    assert artifact.content == b"signed"
    assert artifact.subject == IMAGE
    # It is deleted afterwards.
    assert not os.path.exists((tmp_path / "where").read_text().strip())


def test_a_relative_path_is_one_of_the_build_root(tmp_path: Path) -> None:
    (tmp_path / "sigs").mkdir()
    (tmp_path / "sigs" / "a").write_bytes(b"signed")
    write_script(tmp_path, f"echo '{answer(path='sigs/a')}'")
    (artifact,) = signer(tmp_path).sign(REQUEST)
    assert artifact.content == b"signed"


def test_an_agent_that_stays_does_not_hold_up_the_run(tmp_path: Path) -> None:
    # It keeps the outputs of the signer open, and ends when the test lets it.
    os.mkfifo(tmp_path / "stay")
    write_script(tmp_path, "(read -r line < stay) &", "exit 0")
    assert signer(tmp_path).sign(REQUEST) == ()
    (tmp_path / "stay").write_text("end\n")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["echo no key >&2", "exit 3"], ["exit code 3", "It wrote: no key"]),
        (["printf 'a\\n\\033[31mb\\n' >&2", "exit 1"], ["It wrote: a [31mb"]),
        (["kill -9 $$"], ["signal 9"]),
        (["echo hunter2 $MY_TOKEN >&2", "exit 1"], ["It wrote: *** ***"]),
        (["echo signed"], ['the answer: found "signed"', "standard error"]),
        ([f"echo '{answer(path='none')}'"], ["artifacts[0].layers[0].path", "'none' cannot be"]),
        ([f"echo '{answer(path='.')}'"], ["path: found '.', which is no file"]),
        ([f"echo '{answer(path=chr(0xD800))}'"], ["is no path"]),
        (["head -c 70000000 /dev/zero"], ["found 70000000 bytes", "67108864"]),
        (
            ["head -c 40000000 /dev/zero > big", f"echo '{answer(path='big')}'"],
            ["'big' has 40000000 bytes", "33554432"],
        ),
    ],
)
def test_a_failure_names_option_command_image_and_reason(
    tmp_path: Path, lines: list[str], words: list[str]
) -> None:
    write_script(tmp_path, *lines)
    found = signer(tmp_path, environment={"PATH": PATH, "MY_TOKEN": "abcdefgh"})
    text = failure(found)
    for word in ["`./sign` (option [ko].signer)", REQUEST.reference, *words]:
        assert word in text
    assert "hunter2" not in text
    assert "abcdefgh" not in text
    assert len(text) < 2000
    assert text.isprintable()


def test_the_end_of_a_long_complaint_is_shown(tmp_path: Path) -> None:
    write_script(tmp_path, "head -c 5000 /dev/zero | tr '\\0' x >&2", "echo THE END >&2", "exit 1")
    text = failure(signer(tmp_path))
    assert text.endswith("xxTHE END")
    assert len(text) < 1300


def test_the_settings_show_no_variable(tmp_path: Path) -> None:
    found = signer(tmp_path, environment={"PATH": PATH, "MY_TOKEN": "abcdefgh"})
    assert "abcdefgh" not in repr(found.settings)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("absent",), ["option [ko].signer: the command 'absent' is not on", PATH, "`./absent`"]),
        (("./absent",), ["option [ko].signer:", "/./absent is no file", "chmod +x"]),
        (("plain/file",), ["plain/file is no file that can be executed"]),
        (("/absent",), ["option [ko].signer: /absent is no file"]),
    ],
)
def test_a_command_that_is_not_there(
    tmp_path: Path, argv: tuple[str, ...], words: list[str]
) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "file").write_text("text")
    with pytest.raises(KoPantsError) as caught:
        signer(tmp_path, *argv).program()
    for word in words:
        assert word in str(caught.value)


def test_a_script_without_an_interpreter(tmp_path: Path) -> None:
    (tmp_path / "sign").write_text("echo signed\n")
    (tmp_path / "sign").chmod(0o755)
    assert "it cannot be run: Exec format error; does it begin with `#!`?" in failure(
        signer(tmp_path)
    )


def test_a_signer_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "for-ever")
    write_script(tmp_path, "sh -c 'read -r line < for-ever'")
    text = failure(signer(tmp_path, timeout_seconds=0.2))
    assert "longer than 0.2 seconds" in text
    assert "[ko].signer_timeout" in text
    # Nobody reads from the pipe any more: opening it without waiting fails.
    with pytest.raises(OSError, match="No such device"):
        os.open(tmp_path / "for-ever", os.O_WRONLY | os.O_NONBLOCK)


def test_the_end_of_the_run_ends_signers(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    os.mkfifo(tmp_path / "for-ever")
    write_script(tmp_path, "echo > begun", "read -r line < for-ever")
    found = signer(tmp_path)
    failures: list[str] = []
    thread = threading.Thread(target=lambda: failures.append(failure(found)))
    thread.start()
    (tmp_path / "begun").read_text()
    found.close()
    thread.join(30)
    assert "signal 9" in failures[0]
    assert "the run is over" in failure(found)
