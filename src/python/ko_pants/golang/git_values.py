"""What templates ask of git: the commands, and what their output and their errors mean.

The values are those of ko's pkg/internal/git/info.go. Where ko goes on with a made-up value (not a
repository, no commit, no tag: `v0.0.0`), there is a problem here instead.
"""

from __future__ import annotations

from ko_pants.oci.image_config import rfc3339

# Name of a question -> the arguments of git, and the values of `{{.Git.X}}` that it answers.
QUESTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "branch": (("rev-parse", "--abbrev-ref", "HEAD"), ("Branch",)),
    "commit": (
        ("-c", "log.showSignature=false", "show", "-s", "--format=%h%n%H%n%ct", "HEAD", "--"),
        ("ShortCommit", "FullCommit", "CommitDate", "CommitTimestamp"),
    ),
    "state": (("status", "--porcelain"), ("IsDirty", "IsClean", "TreeState")),
    "tag": (("describe", "--tags", "--abbrev=0", "HEAD"), ("Tag",)),
}
IS_SHALLOW = ("rev-parse", "--is-shallow-repository")

# Variables of git that say where the repository is and how it is read.
VARIABLES = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CEILING_DIRECTORIES"),
    *("GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_CONFIG", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"),
    *("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_ATTR_NOSYSTEM"),
    *("HOME", "XDG_CONFIG_HOME", "PATH"),
)

# What git says of a repository without commits; each command says it in its own way.
_NO_COMMIT = ("unknown revision", "bad revision 'HEAD'", "valid object name HEAD")


def question_of(name: str) -> str:
    """The question that answers `{{.Git.<name>}}`."""
    return next(question for question, (_, names) in QUESTIONS.items() if name in names)


def read_answer(question: str, output: str) -> dict[str, str]:
    """The values that git's output gives."""
    if question == "state":
        dirty = bool(output.strip())
        return {
            "IsDirty": "true" if dirty else "false",
            "IsClean": "false" if dirty else "true",
            "TreeState": "dirty" if dirty else "clean",
        }
    lines = output.splitlines()
    if question == "commit":
        short, full, seconds = lines[:3]
        return {
            "ShortCommit": short,
            "FullCommit": full,
            "CommitTimestamp": seconds,
            "CommitDate": rfc3339(int(seconds)),
        }
    return {"branch": {"Branch": lines[0]}, "tag": {"Tag": lines[0]}}[question]


def explain_failure(question: str, stderr: str, *, directory: str, shallow: bool) -> str:
    """Why there is no answer, and what to do.

    :param stderr: of git, which ran with LC_ALL=C.
    :param directory: where it ran.
    :param shallow: the repository is a shallow clone.
    """
    said = stderr.strip()
    if "not a git repository" in said:
        return f"{directory} is in no git repository (git says: {said})"
    if any(words in said for words in _NO_COMMIT):
        return f"the git repository of {directory} has no commit yet"
    if question == "tag" and ("No names found" in said or "No tags can describe" in said):
        hint = (
            "the clone is shallow: have CI fetch tags and history, for example with "
            "`git fetch --unshallow --tags`"
            if shallow
            else "make one with `git tag`, fetch them with `git fetch --tags`, or use "
            "{{.Git.ShortCommit}}"
        )
        return f"git finds no tag at HEAD or before it; {hint}"
    arguments = " ".join(QUESTIONS[question][0])
    return f"`git {arguments}` failed in {directory}: {said or 'without a message'}"
