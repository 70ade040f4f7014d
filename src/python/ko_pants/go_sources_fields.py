"""The fields of what `go_sources` generates for a package, and the one that asks for it."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Iterable, Optional

from pants.engine.addresses import Address
from pants.engine.target import (
    Dependencies,
    MultipleSourcesField,
    StringField,
    StringSequenceField,
)

from ko_pants.literal_globs import literal_glob


class TargetUnit(Enum):
    """What `go_sources` generates a target for."""

    FILE = "file"
    PACKAGE = "package"
    PROGRAM = "program"


class GoSourcesTargetUnitField(StringField):
    alias = "one_target_per"
    default = TargetUnit.FILE.value
    valid_choices = TargetUnit
    help = (
        "What there is a target for: `file`, `package` or `program`.\n\n"
        "`file` means a `go_source` for each file, so that an image depends on the files that its "
        "program reads, and on no others. `package` means a `go_package_sources` for each "
        "directory, and one for all `_test.go` files. An image depends on the packages that its "
        "program reads, so `--changed-dependents` names it also when another file of such a "
        "package changes, for example one for another operating system. It never names fewer "
        "images. Repositories of thousands of files take less memory with `package`.\n\n"
        "`program` means the same, but a main package and the packages of its `internal` "
        "directory, which Go lets nobody else import, are one target. A main package that has "
        "another one below it is a package like the others.\n\n"
        "Default: `'file'`. Example: `one_target_per='program'`."
    )

    @property
    def unit(self) -> TargetUnit:
        """The value, or the default."""
        return TargetUnit(self.value)


class GoPackageSourcesField(MultipleSourcesField):
    """Paths, whatever characters they have: the generator puts files here that it has found."""

    uses_source_roots: ClassVar[bool] = False
    help = (
        "The files, relative to the BUILD file. They are paths, not globs.\n\n"
        "Default: none. Example: `sources=['pkg/greet/greet.go']`."
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[tuple[str, ...]]:
        # Without the checks of the base class, which takes `*` and `!` for globs.
        return StringSequenceField.compute_value.__func__(  # type: ignore[attr-defined,no-any-return]
            cls, raw_value, address
        )

    @property
    def globs(self) -> tuple[str, ...]:
        """The paths as globs that match them alone."""
        return tuple(map(literal_glob, self.value or ()))


class GoPackageSourcesDependenciesField(Dependencies):
    pass
