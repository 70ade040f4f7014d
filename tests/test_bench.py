"""The benchmark: its monorepo compiles, and its figures follow from the samples."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import report, tools
from bench.ci_row import bytes_on_disk
from bench.delay import Line, behind
from bench.measure import (
    OURS,
    Outcome,
    Sample,
    median_cpu_ratio,
    median_ratio,
    take_turns,
    typical_requests,
)
from bench.monorepo import Monorepo, Shape, go_sum_lines, sources, write_proxy
from bench.registry import (
    BASE_PLATFORMS,
    Position,
    Registry,
    Requests,
    base_blobs,
    base_index,
    base_manifests,
    count_requests,
)
from bench.rows import ROWS
from bench.tools import GoBuild, Setting, clean_environment


def _go(*arguments: str, cwd: Path, **extra: str) -> str:
    if shutil.which("go") is None:
        pytest.skip("go is not on PATH")
    env = {**os.environ, "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    env.update(GOSUMDB="off", **extra)
    done = subprocess.run(["go", *arguments], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _monorepo(root: Path, shape: Shape) -> Monorepo:
    if shutil.which("git") is None:
        pytest.skip("git is not on PATH")
    monorepo = Monorepo(root, shape)
    monorepo.generate()
    return monorepo


def _first_party(root: Path, *patterns: str) -> dict[str, set[str]]:
    """Import path of a service -> the packages of the module that it is made of."""
    listed = _go("list", "-f", "{{.ImportPath}} {{.Deps}}", *patterns, cwd=root)
    found = {}
    for line in listed.splitlines():
        name, _, deps = line.partition(" ")
        found[name] = {d for d in deps.strip("[]").split() if d.startswith("example.com/bench")}
    return found


@pytest.mark.parametrize("tiny", [False, True])
def test_the_generated_module_compiles_and_is_formatted(tmp_path: Path, tiny: bool) -> None:
    monorepo = _monorepo(tmp_path, Shape(services=3, tiny=tiny))
    _go("vet", "./...", cwd=tmp_path)
    if shutil.which("gofmt"):
        done = subprocess.run(
            ["gofmt", "-l", "."], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout == ""
    assert all((tmp_path / path / "BUILD").is_file() for path in monorepo.services)


def test_images_that_share_programs_differ_in_a_label(tmp_path: Path) -> None:
    monorepo = _monorepo(tmp_path, Shape(services=5, programs=2, tiny=True))
    _go("vet", "./...", cwd=tmp_path)
    texts = [(tmp_path / path / "BUILD").read_text() for path in monorepo.services]
    assert len(set(texts)) == 5
    assert [text.count("go_executable(") for text in texts] == [1, 1, 0, 0, 0]
    assert [(tmp_path / path / "main.go").exists() for path in monorepo.services] == (
        [True, True, False, False, False]
    )
    monorepo.edit_service()
    assert "service 1, edit 1" in (tmp_path / monorepo.services[1] / "main.go").read_text()


def test_a_leaf_is_of_five_services_and_depths_differ(tmp_path: Path) -> None:
    _monorepo(tmp_path, Shape(services=12))
    found = _first_party(tmp_path, "./services/...")
    users = [name for name, deps in found.items() if "example.com/bench/pkg/leaf/leaf0" in deps]
    assert len(users) == 5
    assert any("embed" in content for content in sources(Shape(services=12)).values())
    assert {len(name.split("/")) for name in found} == {4}


def test_every_edit_is_a_new_program(tmp_path: Path) -> None:
    monorepo = _monorepo(tmp_path / "repo", Shape(services=2, tiny=True))

    def output(service: str) -> str:
        return _go("run", f"./{service}", cwd=monorepo.root)

    first, last = monorepo.services[0], monorepo.services[-1]
    seen = {output(first)}
    for _ in range(2):
        monorepo.edit_leaf()
        seen.add(output(first))
    assert len(seen) == 3
    before = output(first), output(last)
    monorepo.edit_service()
    assert output(first) == before[0]
    assert output(last) != before[1]


def test_a_readme_commit_leaves_programs_alone_and_the_tree_clean(tmp_path: Path) -> None:
    monorepo = _monorepo(tmp_path, Shape(services=1, tiny=True))
    git = ["git", "-C", str(tmp_path)]
    before = subprocess.check_output([*git, "rev-parse", "HEAD"])
    monorepo.edit_readme()
    assert subprocess.check_output([*git, "rev-parse", "HEAD"]) != before
    changed = subprocess.check_output([*git, "diff", "--name-only", "HEAD~1"], text=True).split()
    assert changed == ["README.md", "services/svc-000/README.md"]
    assert subprocess.check_output([*git, "status", "--porcelain"]) == b""


def test_the_third_party_module_comes_from_the_proxy(tmp_path: Path) -> None:
    monorepo = _monorepo(tmp_path / "repo", Shape(services=1, tiny=True, third_party=True))
    write_proxy(tmp_path / "proxy", 3)
    monorepo.bump_third_party()
    # Go checks both hashes that the generator wrote into go.sum.
    _go(
        *("build", "-modcacherw", "-o", os.devnull, "./cmd/tool"),
        cwd=monorepo.root,
        GOPROXY=f"file://{tmp_path / 'proxy'}",
        GOMODCACHE=str(tmp_path / "modules"),
    )
    assert (monorepo.root / "go.sum").read_text() == "".join(go_sum_lines(2))


def test_the_base_index_is_whole() -> None:
    blobs, manifests = base_blobs(), base_manifests()
    assert len(manifests) == len(BASE_PLATFORMS)
    for content, _ in manifests:
        manifest = json.loads(content)
        for descriptor in (manifest["config"], *manifest["layers"]):
            assert len(blobs[descriptor["digest"]]) == descriptor["size"]
    index = json.loads(base_index([descriptor for _, descriptor in manifests]))
    assert [m["platform"]["architecture"] for m in index["manifests"]][:2] == ["amd64", "arm64"]


def test_requests_are_counted_from_the_access_log() -> None:
    log = (
        'time="..." level=info msg="response completed" http.request.method=HEAD\n'
        '127.0.0.1 - - [23/Nov/2026:21:00:00 +0000] "HEAD /v2/a/manifests/latest HTTP/1.1" 200 5\n'
        '127.0.0.1 - - [23/Nov/2026:21:00:00 +0000] "PUT /v2/a/blobs/uploads/x?y HTTP/1.1" 201 0\n'
        '127.0.0.1 - - [23/Nov/2026:21:00:00 +0000] "HEAD /v2/b/blobs/sha256:0 HTTP/1.1" 404 0\n'
        '127.0.0.1 - - [23/Nov/2026:21:00:00 +0000] "GET /debug/health HTTP/1.1" 200 0\n'
    )
    counted = count_requests(log)
    assert counted.by_method == {"HEAD": 2, "PUT": 1}
    assert str(counted) == "3 (2 HEAD, 1 PUT)"


def _samples(*seconds: float, heads: int = 1) -> list[Sample]:
    return [Sample(s, Requests({"HEAD": heads})) for s in seconds]


def test_ratios_are_of_the_same_turn() -> None:
    # Something slows both tools in the second turn. The ratio of the medians would be 0.15.
    assert median_ratio(_samples(1.0, 9.0, 1.5), _samples(10.0, 90.0, 5.0)) == pytest.approx(0.1)
    mixed = [*_samples(1, heads=9), *_samples(1, heads=2), *_samples(1, heads=3)]
    assert typical_requests(mixed).total == 3


class NoRegistry(Registry):
    def __init__(self) -> None:
        pass

    def position(self) -> Position:
        return Position(0)

    def requests_since(self, position: Position) -> Requests:
        return Requests({})


def test_tools_take_turns_and_the_warm_up_is_dropped() -> None:
    order: list[str] = []
    samples = take_turns(
        NoRegistry(),
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")},
        runs=2,
        before_turn=lambda: order.append("|"),
        say=lambda line: None,
    )
    assert "".join(order) == "|ab|ba|ab"
    assert {name: len(found) for name, found in samples.items()} == {"a": 2, "b": 2}


def test_cpu_seconds_are_those_of_a_turns_programs_and_of_its_daemon() -> None:
    def work() -> None:
        busy = "import os\nwhile sum(os.times()[:2]) < 0.3: pass"
        subprocess.run([sys.executable, "-c", busy], check=True)

    daemons = {"a": iter([100.0, 107.0]).__next__}
    samples = take_turns(
        NoRegistry(),
        {"a": lambda: None, "b": work},
        runs=1,
        warm_up=0,
        say=lambda line: None,
        daemons=daemons,
    )
    assert samples["a"][0].cpu_seconds == pytest.approx(7.0)
    assert 0.3 <= samples["b"][0].cpu_seconds < 3.0
    # The ratio is of the same turn, as that of the times.
    ours = [Sample(1.0, Requests({}), cpu) for cpu in (1.0, 9.0, 1.5)]
    theirs = [Sample(1.0, Requests({}), cpu) for cpu in (10.0, 90.0, 5.0)]
    assert median_cpu_ratio(ours, theirs) == pytest.approx(0.1)


def test_the_table_names_ratio_target_and_what_was_skipped() -> None:
    outcome = Outcome(
        {OURS: _samples(0.5, 0.3, 0.4), "ko": _samples(5.0, 3.0, 4.0, heads=7)},
        figures={"PUT requests": 0},
        notes=["docker is not on PATH"],
    )
    rows = [
        report.Finished("noop", "no-op", 0.12, outcome),
        report.Finished("remote", "with a remote cache", None, skipped="no server"),
    ]
    table = report.table(rows)
    assert "| no-op | ko_pants | 0.40 s | 3 | 1 (1 HEAD) |  |  |" in table
    assert "|  | ko | 4.00 s | 3 | 7 (7 HEAD) | 0.1 | ≤ 0.12 |" in table
    assert "skipped: no server" in table
    assert table.endswith("* no-op: docker is not on PATH\n")
    # A Markdown table has the same number of cells in every line.
    assert {len(re.findall(r"\|", x)) for x in table.splitlines() if x.startswith("|")} == {8}


def test_the_json_has_every_sample(tmp_path: Path) -> None:
    outcome = Outcome({OURS: _samples(0.5, 0.3), "ko": _samples(5.0, 6.0)})
    rows = [report.Finished("a", "A", None, outcome), report.Finished("b", "B", None, skipped="x")]
    path = tmp_path / "out" / "result.json"
    report.write(path, report.to_json(rows, report.machine(), {"runs": 2}))
    document = json.loads(path.read_text())
    first, second = document["rows"]
    assert first["tools"]["ko"]["seconds"] == [5.0, 6.0]
    assert first["ratios"] == {"ko": 0.075}
    assert second["skipped"] == "x"
    assert document["machine"]["cores"] >= 1
    assert document["options"] == {"runs": 2}


def test_rows_have_names_of_their_own_and_say_what_they_do() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.title and row.setup and row.measured and row.peer for row in ROWS)


def test_a_users_settings_do_not_reach_the_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOFLAGS", "-buildvcs=false")
    monkeypatch.setenv("KO_DOCKER_REPO", "registry.example.com")
    found = clean_environment({"GOENV": "off"})
    assert "GOFLAGS" not in found
    assert "KO_DOCKER_REPO" not in found
    assert found["GOENV"] == "off"
    assert found["PATH"] == os.environ["PATH"]


def test_the_floor_is_one_go_build_per_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(tools, "run", lambda argv, *, env, **_: calls.append((argv, env)))
    library = tmp_path / "library"
    library.mkdir()
    (library / "compiled").touch()
    setting = Setting(tmp_path / "repo", tmp_path / "state", Registry(tmp_path / "registry"))
    setting.standard_library, setting.platforms = library, ("linux/amd64", "linux/arm/v7")
    go = GoBuild(setting)
    go.build(["services/a", ""])
    state = tmp_path / "state" / "go-0"
    for number, (argv, _) in enumerate(calls):
        assert argv[2:] == [
            *("-trimpath", "-buildvcs=false", f"-o={state}/out/{number}/", "./services/a", ".")
        ]
    assert [(env["GOARCH"], env.get("GOARM")) for _, env in calls] == [
        ("amd64", None),
        ("arm", "7"),
    ]
    assert {(env["CGO_ENABLED"], env["GOCACHE"]) for _, env in calls} == {("0", f"{state}/gocache")}
    assert (state / "gocache" / "compiled").is_file()
    go.forget()
    go.build(["services/a"])
    assert (tmp_path / "state" / "go-1" / "gocache" / "compiled").is_file()


def test_a_proxy_counts_the_bytes_of_both_directions() -> None:
    line = Line(0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(100) == b"question"
                connection.sendall(b"a longer answer")

        thread = threading.Thread(target=answer)
        thread.start()
        with behind(f"127.0.0.1:{server.getsockname()[1]}", line) as address:
            host, _, port = address.partition(":")
            with socket.create_connection((host, int(port)), timeout=10) as client:
                client.sendall(b"question")
                assert client.makefile("rb").read(15) == b"a longer answer"
        thread.join(10)
    assert (line.connections, line.bytes_sent, line.bytes_received) == (1, 8, 15)


def test_holes_of_files_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "full").write_bytes(os.urandom(100_000))
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(100_000_000)
    (tmp_path / "link").symlink_to("directory/full")
    assert 100_000 <= bytes_on_disk(tmp_path) < 1_000_000
