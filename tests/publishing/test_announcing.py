"""One process speaks for all images of which the same is to be said."""

from __future__ import annotations

from ko_pants.publishing.announcing import Announcements

MOVED = "it was there, only the tags were not"


def announcements(*texts: str) -> Announcements:
    """Images 0, 1, ... with a name each."""
    made = Announcements()
    for number, text in enumerate(texts):
        made.add(number, (f"name{number}",), text)
    return made


def test_each_image_has_its_own_names_until_somebody_speaks() -> None:
    made = announcements(MOVED, MOVED)
    assert [made.is_silent(n) for n in (0, 1)] == [False, False]
    assert [made.names(n) for n in (0, 1)] == [("name0",), ("name1",)]


def test_the_first_process_speaks_for_those_that_have_the_same_text() -> None:
    made = announcements(MOVED, "1 of 2 blobs were missing", MOVED, MOVED)
    assert made.others(2) == [0, 3]
    made.speak(2, [0, 3])
    assert [made.is_silent(n) for n in range(4)] == [True, False, False, True]
    assert made.names(2) == ("name2", "name0", "name3")
    assert made.names(0) == ()
    assert made.others(1) == []
    made.speak(1, [])
    assert made.names(1) == ("name1",)


def test_who_was_not_spoken_for_is_so_later_by_another() -> None:
    # The tags of image 1 could not be moved when image 0 spoke.
    made = announcements(MOVED, MOVED, MOVED, MOVED)
    made.speak(0, [2])
    assert made.others(1) == [3]
    made.speak(1, [3])
    assert made.names(0) == ("name0", "name2")
    assert made.names(1) == ("name1", "name3")


def test_of_an_image_that_is_not_noted_nothing_is_the_same() -> None:
    made = announcements(MOVED)
    assert made.others(7) == []
    assert not made.is_silent(7)


class Compared(str):
    """A text that counts how often it is compared with another."""

    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Compared.comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_images_of_which_different_things_are_said_are_not_compared_with_each_other() -> None:
    images = 500
    made = announcements(*(Compared(f"{n} blobs were missing") for n in range(images)))
    for number in range(images):
        assert made.others(number) == []
        made.speak(number, [])
    assert Compared.comparisons <= images
