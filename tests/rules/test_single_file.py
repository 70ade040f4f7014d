from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pants.engine.fs import CreateDigest, Digest, FileContent, FileEntry
from pants.engine.rules import QueryRule, rule
from pants.testutil.rule_runner import RuleRunner

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.rules.single_file import single_file


@dataclass(frozen=True)
class Entry:
    entry: FileEntry


@rule
async def entry_of(digest: Digest) -> Entry:
    return Entry(await single_file(digest))


def test_the_file_of_a_digest() -> None:
    runner = RuleRunner(rules=[entry_of, QueryRule(Entry, [Digest])])
    content = FileContent("a/b", b"hello", is_executable=True)
    digest = runner.request(Digest, [CreateDigest([content])])
    found = runner.request(Entry, [digest]).entry
    assert found.path == "a/b"
    assert found.file_digest.fingerprint == hashlib.sha256(b"hello").hexdigest()
    assert found.file_digest.serialized_bytes_length == 5
