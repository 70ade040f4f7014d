"""The waves of compiles: which image is in which one, and which compile ends it."""

from __future__ import annotations

from ko_pants.compile_waves import Waves


def waves_of(images: int, platforms: int, parallelism: int) -> list[int]:
    """The wave of each image."""
    waves: Waves[tuple[int, int]] = Waves(parallelism)
    return [
        waves.join((image, platform) for platform in range(platforms)) for image in range(images)
    ]


def test_a_wave_has_more_compiles_than_run_at_once() -> None:
    assert waves_of(8, platforms=1, parallelism=2) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert waves_of(8, platforms=2, parallelism=2) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert waves_of(4, platforms=5, parallelism=2) == [0, 1, 2, 3]
    assert max(waves_of(40, platforms=2, parallelism=64)) == 0


def test_the_waves_of_many_images_grow() -> None:
    waves = waves_of(2000, platforms=5, parallelism=2)
    assert waves == sorted(waves)
    assert max(waves) < 80
    assert waves.count(waves[-1]) < 2000 / 4


def test_a_wave_ends_with_its_last_compile() -> None:
    waves: Waves[str] = Waves(1)
    assert [waves.join(names) for names in ("ab", "cd", "ef")] == [0, 1, 2]
    assert [waves.last(wave) for wave in range(3)] == ["b", "d", "f"]


def test_what_others_compile_is_not_waited_for() -> None:
    waves: Waves[str] = Waves(1)
    for names in ("ab", "cd", "ef"):
        waves.join(names)
    assert waves.join("da") == 0
    assert waves.join("ag") == 3
    assert waves.last(3) == "g"
