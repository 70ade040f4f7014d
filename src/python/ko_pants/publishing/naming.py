"""ko's strategies for the names of images, as templates of a repository.

Source: ko 0.19.1, pkg/commands/options/publish.go (the flags) and pkg/publish/default.go (lower
case).
"""

from __future__ import annotations

from ko_pants.errors import KoPantsError

#: The default of `[ko].default_repository`.
DEFAULT_REPOSITORY = "{name}"

#: ko's strategies by the names of their flags; `md5` is ko's default. `bare` adds nothing to
#: `KO_DOCKER_REPO`.
STRATEGIES = {
    "md5": "{base}-{md5}",
    "preserve-import-paths": "{import_path}",
    "base-import-paths": "{base}",
    "bare": "",
}


def default_repository(naming: str, option: str) -> str:
    """The template for targets without `repository`.

    :param naming: `[ko].naming`; empty if it is not set.
    :param option: `[ko].default_repository`.
    :raises KoPantsError: there is no such strategy, or both options are set.
    """
    if not naming:
        return option
    if naming not in STRATEGIES:
        raise KoPantsError(
            f"option [ko].naming: there is no strategy {naming!r}; expected one of "
            + ", ".join(STRATEGIES)
        )
    if option != DEFAULT_REPOSITORY:
        raise KoPantsError(
            f"option [ko].naming is {naming!r} and option [ko].default_repository is {option!r}; "
            f"expected one of them. `naming` stands for the repository {STRATEGIES[naming]!r}"
        )
    return STRATEGIES[naming]
