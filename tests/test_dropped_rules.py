"""What Python prints when a Ctrl-C drops a rule that waits."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ko_pants

DROP = """
from ko_pants.dropped_rules import say_nothing_of_dropped_rules

class Waiting:
    def __await__(self):
        yield

async def rule():
    try:
        await Waiting()
    finally:
        raise {raised}("at the end of a rule")

class Other:
    def __del__(self):
        raise {raised}("at the end of something else")

for _ in range({calls}):
    say_nothing_of_dropped_rules()
dropped = {dropped}
if hasattr(dropped, "send"):
    dropped.send(None)
del dropped
print("goes on")
"""


def stderr_of(dropped: str, raised: str, calls: int = 1) -> str:
    script = DROP.format(dropped=dropped, raised=raised, calls=calls)
    source = next(iter(ko_pants.__path__)).rpartition("/")[0]
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "goes on\n"
    return run.stderr


@pytest.mark.parametrize("calls", [1, 3])
def test_the_end_of_a_rule_by_ctrl_c_is_silent(calls: int) -> None:
    assert stderr_of("rule()", "KeyboardInterrupt", calls) == ""


def test_without_it_there_is_a_traceback() -> None:
    assert "Traceback" in stderr_of("rule()", "KeyboardInterrupt", calls=0)


@pytest.mark.parametrize(
    ("dropped", "raised"), [("rule()", "ValueError"), ("Other()", "KeyboardInterrupt")]
)
def test_all_else_is_printed(dropped: str, raised: str) -> None:
    assert f"{raised}: at the end of " in stderr_of(dropped, raised)
