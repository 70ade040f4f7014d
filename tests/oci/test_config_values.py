"""What a target may say of its containers, and what is refused."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci.images import AMD64, WINDOWS

from ko_pants.errors import KoPantsError
from ko_pants.oci.config_values import (
    check_annotations,
    check_arguments,
    check_directory,
    check_environment,
    check_names_of_system,
    check_paths_of_system,
    check_signal,
    check_user,
    check_volume,
    exposed_port,
)


def problem(check: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(KoPantsError) as e:
        check(*arguments)
    return str(e.value)


@pytest.mark.parametrize(
    "user",
    [
        *("0", "65532", "65532:65532", "nonroot", "nonroot:nonroot", "root:0", "1000:staff"),
        *("_apt", "a.b-c", "svc$", "2147483647:2147483647", r"CORP\svc", "ContainerUser"),
    ],
)
def test_users(user: str) -> None:
    check_user(user)


@pytest.mark.parametrize(
    "user",
    [
        *("", " ", "a:b:c", ":", "a:", ":a", "a b", " a", "a\n", "a\tb", "a/b", "-1", "+1"),
        *("2147483648", "0:2147483648", "a\0", "a,b", "1:-1"),
    ],
)
def test_what_is_no_user(user: str) -> None:
    text = problem(check_user, user)
    assert text.startswith(f"found {user!r}; expected ")


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("1", "1/tcp"),
        ("8080", "8080/tcp"),
        ("8080/tcp", "8080/tcp"),
        ("5353/udp", "5353/udp"),
        ("9/sctp", "9/sctp"),
        ("65535", "65535/tcp"),
    ],
)
def test_ports(text: str, port: str) -> None:
    assert exposed_port(text) == port


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "65536", "99999", "100000", "-1", "+1", "080", "http", "8080/", "8080/http"),
        *("/tcp", "8080/TCP", "8000-8010", "80:80", "8080 ", "8080\n", "٨", "1.0"),
    ],
)
def test_what_is_no_port(text: str) -> None:
    found = problem(exposed_port, text)
    assert found.startswith(f"found {text!r}; expected a port from 1 to 65535")


@given(st.text(max_size=12))
def test_a_port_is_a_number_of_the_range_or_is_refused(text: str) -> None:
    try:
        number, _, protocol = exposed_port(text).partition("/")
    except KoPantsError:
        return
    assert 1 <= int(number) <= 65535
    assert protocol in ("tcp", "udp", "sctp")
    assert text in (number, f"{number}/{protocol}")


@pytest.mark.parametrize("path", ["/", "/data", "/var/lib/x", "/a b", "C:\\", "C:\\data", "c:/a/b"])
def test_directories(path: str) -> None:
    check_directory(path)


@pytest.mark.parametrize(
    "path",
    [
        *("", "data", "./data", "~", "/data/", "//data", "/a//b", "/a/../b", "/a/.", "/..", "\\a"),
        *("C:", "C:data", "C:\\a\\", "C:\\a\\..\\b", "CD:\\a", "/a\0", "$HOME"),
    ],
)
@pytest.mark.parametrize("check", [check_directory, check_volume])
def test_what_is_no_directory(check: Callable[[str], None], path: str) -> None:
    text = problem(check, path)
    assert text.startswith(f"found {path!r}; expected an absolute path")


@pytest.mark.parametrize("path", ["/", "C:\\", "/a:b", "/data:ro", "/src:/data", "C:\\a:b"])
def test_what_is_a_directory_and_no_volume(path: str) -> None:
    check_directory(path)
    assert problem(check_volume, path).startswith(f"found {path!r}; expected a ")
    check_volume("/data")
    check_volume("C:\\data")


def test_a_path_is_one_of_the_platforms_system() -> None:
    check_paths_of_system(["/", "/data"], [AMD64])
    check_paths_of_system(["C:\\", "d:/data"], [WINDOWS])
    check_paths_of_system([], [AMD64, WINDOWS])
    text = problem(check_paths_of_system, ["/data", "C:\\data"], [AMD64])
    assert "'C:\\\\data' is no absolute path on linux/amd64" in text
    text = problem(check_paths_of_system, ["/data"], [AMD64, WINDOWS])
    assert "'/data' is no absolute path on windows/amd64:10.0.17763.1879" in text
    assert "make two targets" in text


@pytest.mark.parametrize(
    "signal", ["SIGTERM", "SIGINT", "SIGKILL", "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX-14", "1", "64"]
)
def test_signals(signal: str) -> None:
    check_signal(signal)


@pytest.mark.parametrize(
    ("signal", "hint"),
    [
        *(("", ""), ("SIGFOO", ""), ("0", ""), ("65", ""), ("015", ""), ("-9", ""), ("٩", "")),
        *(("SIGRTMIN+16", ""), ("SIGRTMAX-15", ""), ("SIGTERM ", ""), ("SIG", "")),
        *(("TERM", "SIGTERM"), ("sigterm", "SIGTERM"), ("int", "SIGINT")),
    ],
)
def test_what_is_no_signal(signal: str, hint: str) -> None:
    text = problem(check_signal, signal)
    assert text.startswith(f"found {signal!r}; expected a signal of signal(7)")
    assert text.endswith(f"did you mean {hint!r}?" if hint else "from 1 to 64")


def test_environments() -> None:
    check_environment(["A=1", "B=", "C=a=b", "d.e=x y", "http_proxy=a", "HTTP_PROXY=b"])
    check_environment([])


@pytest.mark.parametrize("entry", ["", "A", "=", "=value", " A=1", "A =1", "A=\0", "\0=1", " =1"])
def test_what_sets_no_variable(entry: str) -> None:
    text = problem(check_environment, ["OK=1", entry])
    assert text.startswith(f"found {entry!r}; expected `NAME=value`")


def test_a_variable_has_one_value() -> None:
    assert problem(check_environment, ["A=1", "A=1"]).startswith("found 'A' more than once")
    check_names_of_system(["Path=1", "PATH=2"], [AMD64])
    check_names_of_system(["A=1", "B=2"], [WINDOWS])
    text = problem(check_names_of_system, ["Path=1", "PATH=2"], [AMD64, WINDOWS])
    assert text.startswith("'Path' and 'PATH' are one name on windows/amd64")


def test_arguments_are_any_text_without_nul() -> None:
    check_arguments(["", " ", "--flag=ü", "a\nb"])
    assert "without NUL" in problem(check_arguments, ["ok", "a\0"])


@pytest.mark.parametrize("keys", [[""], [" "], ["ok", " a"], ["a\n"]])
def test_what_is_no_key(keys: Sequence[str]) -> None:
    assert problem(check_annotations, keys).startswith(f"found the key {keys[-1]!r}")


def test_keys_that_are_written_already() -> None:
    check_annotations(["a", "b.c"], ["d"])
    assert problem(check_annotations, ["a", "d"], ["d"]).startswith("'d' says what the base image")
