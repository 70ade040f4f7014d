"""What outlives a run: bounded, oldest out, and listed with its name, bound and reason."""

from __future__ import annotations

import threading

import pytest

from ko_pants import daemon_memory
from ko_pants.daemon_memory import BoundedMemory, all_memories, clear_all


@pytest.fixture(autouse=True)
def _no_memory_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_memory, "_memories", [])


def memory(bound: int = 3) -> BoundedMemory[str, int]:
    return BoundedMemory(name="tests", bound=bound, holds="numbers, which never change")


def test_what_was_put_is_found() -> None:
    numbers = memory()
    assert numbers.get("a") is None
    assert "a" not in numbers
    numbers.put("a", 1)
    numbers.put("a", 2)
    assert numbers.get("a") == 2
    assert numbers.get("b", 7) == 7
    assert "a" in numbers
    assert len(numbers) == 1


def test_the_oldest_entry_goes_when_there_are_too_many() -> None:
    numbers = memory(3)
    for key in "abcd":
        numbers.put(key, ord(key))
    assert numbers.values() == [ord(key) for key in "bcd"]


def test_an_entry_that_is_put_again_is_the_newest() -> None:
    numbers = memory(3)
    for key in "abcad":
        numbers.put(key, ord(key))
    assert numbers.values() == [ord(key) for key in "cad"]


def test_an_entry_is_replaced_without_loss_of_another() -> None:
    numbers = memory(2)
    for key in "abb":
        numbers.put(key, ord(key))
    assert numbers.values() == [ord("a"), ord("b")]


def test_setdefault_keeps_the_first_value_and_the_bound() -> None:
    numbers = memory(2)
    assert numbers.setdefault("a", 1) == 1
    assert numbers.setdefault("a", 2) == 1
    numbers.setdefault("b", 3)
    assert numbers.setdefault("c", 4) == 4
    assert numbers.values() == [3, 4]


def test_pop_removes_an_entry_once() -> None:
    numbers = memory()
    numbers.put("a", 1)
    assert (numbers.pop("a"), numbers.pop("a")) == (1, None)
    assert len(numbers) == 0


def test_every_memory_is_listed_and_cleared() -> None:
    first, second = memory(), memory()
    first.put("a", 1)
    second.put("b", 2)
    listed = [(m.name, m.bound, m.holds, len(m)) for m in all_memories()]
    assert listed == [("tests", 3, "numbers, which never change", 1)] * 2
    read = first.get
    clear_all()
    assert len(first) == len(second) == 0
    # A reader that had taken the method sees the empty memory too.
    assert read("a") is None


def test_many_threads_do_not_exceed_the_bound() -> None:
    numbers = memory(8)
    barrier = threading.Barrier(4)

    def put(start: int) -> None:
        barrier.wait()
        for number in range(500):
            numbers.put(str(start * 1000 + number), number)

    threads = [threading.Thread(target=put, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(numbers) == 8
