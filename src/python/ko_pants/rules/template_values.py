"""Fills in the templates of a target.

What comes out is text: a compile has the filled-in flags in its cache key, and nothing of where
their values came from. A target without templates costs a look at its strings.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

from pants.engine.env_vars import EnvironmentVarsRequest
from pants.util.logging import LogLevel

from ko_pants.config_fields import GoOciImageLabelsField
from ko_pants.engine import environment_vars, git_answers, host_tools, run_time
from ko_pants.errors import KoPantsError
from ko_pants.golang.build_environment import build_environment, parse_env_field
from ko_pants.golang.build_flags import check_flags
from ko_pants.golang.git_values import question_of
from ko_pants.golang.go_build import env_argv
from ko_pants.golang.templates import TemplateKey, fill_template, has_template, template_keys
from ko_pants.oci.image_config import rfc3339
from ko_pants.oci.platform import PLATFORM_VARIABLES, Platform
from ko_pants.products import (
    GitAnswerRequest,
    GoBuild,
    GoTools,
    HostToolsRequest,
    RunTimeRequest,
)
from ko_pants.rules.go_process import go_process, run_go
from ko_pants.rules.settings import GoEnvironment, Settings


@dataclass(frozen=True)
class _Values:
    """What keys stand for, on one platform.

    :param general: of git and the time.
    :param problems: why a key of git has no value.
    """

    general: Mapping[TemplateKey, str]
    problems: Mapping[TemplateKey, str]
    env: Mapping[str, str]
    go_env: Mapping[str, str]

    def __call__(self, key: TemplateKey) -> str:
        """The value of a key.

        :raises KoPantsError: it has none.
        """
        if key.group == "Env":
            if key.name in self.env:
                return self.env[key.name]
            raise KoPantsError(
                f"{key} cannot be filled in: the environment of Pants has no variable {key.name}; "
                "set it (it may be empty), or take it out of the template"
            )
        if key.group == "GoEnv":
            return self._go_env(key)
        if key in self.problems:
            raise KoPantsError(f"{key} cannot be filled in: {self.problems[key]}")
        return self.general[key]

    def _go_env(self, key: TemplateKey) -> str:
        value = self.go_env.get(key.name)
        if value is None:
            raise KoPantsError(
                f"{key} cannot be filled in: `go env` has no {key.name}; it has "
                f"{', '.join(sorted(self.go_env))}"
            )
        if "/.ko_pants/" in value or value.startswith("/"):
            raise KoPantsError(
                f"{key} cannot be filled in: {key.name} is a path of the sandbox that Go runs in, "
                "which is another one in each build"
            )
        return value

    def with_own(self, own: Mapping[str, str], fixed: Mapping[str, str]) -> _Values:
        """The values for flags, which also see the variables of the target, as in ko."""
        known = {name: value for name, value in own.items() if name in self.go_env}
        return dataclasses.replace(
            self,
            env={**self.env, **own, **fixed},
            go_env={**self.go_env, **known, **fixed} if self.go_env else {},
        )


def _fixed(platform: Platform) -> dict[str, str]:
    """The variables of a build that its platform decides."""
    return {"CGO_ENABLED": "0", **platform.go_env()}


async def _go_env(go: GoTools, platform: Platform, outside: GoEnvironment) -> dict[str, str]:
    process = go_process(
        go,
        env_argv(go.toolchain),
        env=build_environment(platform, outside.variables, {}),
        description=f"Ask `go env` for {platform}",
        level=LogLevel.DEBUG,
    )
    result = await run_go("`go env`", go, process)
    if result.exit_code:
        raise KoPantsError(f"`go env` failed: {result.stderr.decode('utf-8', 'replace').strip()}")
    return {str(name): str(value) for name, value in json.loads(result.stdout).items()}


async def _general_values(
    keys: Iterable[TemplateKey], settings: Settings
) -> tuple[dict[TemplateKey, str], dict[TemplateKey, str]]:
    """The values of git and the time, and why some of git have none."""
    values: dict[TemplateKey, str] = {}
    problems: dict[TemplateKey, str] = {}
    of_git = sorted(key for key in keys if key.group == "Git")
    if of_git:
        questions = sorted({question_of(key.name) for key in of_git})
        answers = await git_answers(GitAnswerRequest(question) for question in questions)
        by_question = dict(zip(questions, answers))
        for key in of_git:
            answer = by_question[question_of(key.name)]
            if answer.problem:
                problems[key] = answer.problem
            else:
                values[key] = answer.values[key.name]
    if any(not key.group for key in keys):
        seconds = settings.created
        if seconds is None:
            seconds = (await run_time(RunTimeRequest())).seconds
        values[TemplateKey("", "Date")] = rfc3339(seconds)
        values[TemplateKey("", "Timestamp")] = str(seconds)
    return values, problems


async def _values(
    texts: Sequence[str],
    platforms: Sequence[Platform],
    outside: GoEnvironment,
    settings: Settings,
    environment: str = "",
) -> list[_Values]:
    """What the templates of the texts want, for each platform.

    :param environment: the name of the one of Pants' environments whose Go is asked.
    """
    keys = template_keys(texts)
    general, problems = await _general_values(keys, settings)
    names = sorted(key.name for key in keys if key.group == "Env")
    env = await environment_vars(EnvironmentVarsRequest(names)) if names else {}
    passed = {name: value for name, value in outside.variables.items() if name in names}
    go = None
    if any(key.group == "GoEnv" for key in keys):
        go = (await host_tools(HostToolsRequest(environment=environment))).go
    values = []
    for platform in platforms:
        go_env = await _go_env(go, platform, outside) if go else {}
        of_platform = {"LDFLAGS": "", **env, **passed, **_fixed(platform)}
        values.append(_Values(general, problems, of_platform, go_env))
    return values


def _filled(texts: Iterable[str], values: _Values, where: str) -> tuple[str, ...]:
    try:
        return tuple(fill_template(text, values) for text in texts)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None


def _filled_build(build: GoBuild, platform: Platform, values: _Values) -> GoBuild:
    """The build of one platform.

    :raises KoPantsError: a key without value, or a value that makes a flag of what is refused.
    """
    where = f"{build.owner}, field "
    texts = _filled((value for _, value in build.env), values, f"{where}`env`")
    env = parse_env_field(
        [f"{name}={value}" for (name, _), value in zip(build.env, texts)], where=f"{where}`env`"
    )
    seen = values.with_own(dict(env), _fixed(platform))
    flags = _filled(build.flags, seen, f"{where}`flags`")
    check_flags(flags, where=f"{where}`flags`")
    ldflags = _filled(build.ldflags, seen, f"{where}`ldflags`")
    check_flags([f"-ldflags={' '.join(ldflags)}"], where=f"{where}`ldflags`")
    return dataclasses.replace(build, flags=flags, ldflags=ldflags, env=env)


async def filled_builds(
    build: GoBuild, platforms: Sequence[Platform], outside: GoEnvironment, settings: Settings
) -> tuple[GoBuild, ...]:
    """The build with its templates filled in, for each platform.

    :raises KoPantsError: a template that cannot be filled in; the text names target and field.
    """
    texts = (*build.flags, *build.ldflags, *(value for _, value in build.env))
    if not has_template(texts):
        return (build,) * len(platforms)
    values = await _values(texts, platforms, outside, settings, build.environment)
    return tuple(_filled_build(build, p, of_p) for p, of_p in zip(platforms, values))


async def filled_labels(
    owner: str,
    field: GoOciImageLabelsField,
    platforms: Sequence[Platform],
    outside: GoEnvironment,
    settings: Settings,
    environment: str,
) -> Mapping[str, str]:
    """Labels with their templates filled in.

    :raises KoPantsError: a template that cannot be filled in, or one whose value depends on the
        platform: the labels of an image are the same for all.
    """
    labels: Mapping[str, str] = field.value or {}
    if not has_template(labels.values()):
        return labels
    filled: dict[str, str] = {}
    texts = tuple(labels.values())
    values = await _values(texts, platforms, outside, settings, environment)
    for name, text in labels.items():
        where = f"{owner}, field `{field.alias}`, {name!r}"
        found = {str(p): _filled([text], v, where)[0] for p, v in zip(platforms, values)}
        if len(set(found.values())) > 1:
            raise KoPantsError(
                f"{where}: the value of {text!r} depends on the platform: "
                + ", ".join(f"{value!r} for {platform}" for platform, value in found.items())
                + "; expected one value, for all platforms have the same labels"
            )
        filled[name] = next(iter(found.values()))
    return filled


async def filled_tags(
    owner: str, tags: Sequence[str], outside: GoEnvironment, settings: Settings
) -> tuple[str, ...]:
    """Tags with their templates filled in.

    :raises KoPantsError: a template that cannot be filled in, one whose value depends on the
        platform, or a value that could be taken for a placeholder.
    """
    if not has_template(tags):
        return tuple(tags)
    where = f"{owner}, field `image_tags`"
    try:
        for key in sorted(template_keys(tags)):
            if key.group == "GoEnv" or (key.group == "Env" and key.name in PLATFORM_VARIABLES):
                raise KoPantsError(
                    f"{key} can depend on the platform, and all platforms of an image have the "
                    "same tags; expected a value of git, of the environment or of the time"
                )
        (values,) = await _values(tags, [Platform("linux", "amd64")], outside, settings)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None

    def value(key: TemplateKey) -> str:
        found = values(key)
        if set(found) & set("{}"):
            raise KoPantsError(f"{key} is {found!r}, and a tag has no braces")
        return found

    try:
        return tuple(fill_template(tag, value) for tag in tags)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None
