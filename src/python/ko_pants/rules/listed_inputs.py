"""Lists the files that an image is made from, for its record. No file is read but go.mod."""

from __future__ import annotations

from pants.engine.fs import FileEntry, PathGlobs
from pants.engine.rules import rule

from ko_pants.engine import digest_contents, digest_entries, digest_subset
from ko_pants.explanation.program_inputs import is_go_mod, module_inputs
from ko_pants.explanation.record import EMBEDDED_FILE, Input, sorted_inputs
from ko_pants.literal_globs import literal_glob
from ko_pants.products import ImageInputs, InputTree, ListedInputs


def _input_of(tree: InputTree, entry: FileEntry) -> Input:
    path = entry.path
    root, name = tree.paths
    if root and path.startswith(f"{root}/"):
        path = f"{name}/{path[len(root) + 1 :]}"
    embedded = tree.program is not None and path in tree.program.embedded
    executable = ", executable" if entry.is_executable and tree.program is None else ""
    return Input(
        tree.part,
        tree.of,
        tree.platform,
        EMBEDDED_FILE if embedded else tree.kind,
        path,
        f"sha256:{entry.file_digest.fingerprint}{executable}",
    )


async def _modules(tree: InputTree, paths: list[str]) -> list[Input]:
    """What the go.mod files of a compile say."""
    if tree.program is None or not paths:
        return []
    digest = await digest_subset(tree.digest, PathGlobs([literal_glob(path) for path in paths]))
    contents = {found.path: found.content for found in await digest_contents(digest)}
    return [
        Input(tree.part, tree.of, tree.platform, *named)
        for named in module_inputs(contents, tree.program.go_mod)
    ]


@rule
async def list_inputs(inputs: ImageInputs) -> ListedInputs:
    """All inputs, each file by its path and digest."""
    found = list(inputs.inputs)
    for tree in inputs.trees:
        entries = [e for e in await digest_entries(tree.digest) if isinstance(e, FileEntry)]
        found += [_input_of(tree, entry) for entry in entries]
        found += await _modules(tree, [e.path for e in entries if is_go_mod(e.path)])
    return ListedInputs(sorted_inputs(found))
