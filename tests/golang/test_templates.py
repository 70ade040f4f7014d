"""Templates: what is read as one, what is refused, and that Go reads the same."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.errors import KoPantsError
from ko_pants.golang.templates import (
    GIT_NAMES,
    TemplateKey,
    fill_template,
    has_template,
    template_keys,
)

VERSION, TAG, DATE = (
    TemplateKey("Env", "VERSION"),
    TemplateKey("Git", "Tag"),
    TemplateKey("", "Date"),
)
GOOS = TemplateKey("GoEnv", "GOOS")

READ = [
    ("", ""),
    ("-s", "-s"),
    ("{{.Env.VERSION}}", "<Env.VERSION>"),
    ("-X main.v={{.Git.Tag}}", "-X main.v=<Git.Tag>"),
    ("{{ .Date }}", "<.Date>"),
    ("{{\t.GoEnv.GOOS\n}}!", "<GoEnv.GOOS>!"),
    ("{{.Git.Tag}}{{.Date}}", "<Git.Tag><.Date>"),
    ("}} { {{.Timestamp}} }", "}} { <.Timestamp> }"),
    ("{.Git.Tag}", "{.Git.Tag}"),
    ("{{.Env._x1}}", "<Env._x1>"),
]

REFUSED = [
    "{{",
    "a {{.Git.Tag",
    "{{.Git.Tag}",
    "{{}}",
    "{{ }}",
    "{{.}}",
    "{{.Git}}",
    "{{.Env}}",
    "{{.Git.tag}}",
    "{{.Git.Version}}",
    "{{.date}}",
    "{{.Tag}}",
    "{{.Env.A.B}}",
    "{{.Env.A-B}}",
    "{{.Env.}}",
    "{{.Git .Tag}}",
    "{{- .Git.Tag -}}",
    "{{/* a comment */}}",
    "{{{.Git.Tag}}}",
    '{{"{{"}}',
    "{{.Git.Tag | printf}}",
    "{{if .Git.IsDirty}}-dirty{{end}}",
    '{{index .Env "X"}}',
    "{{$x := .Date}}",
    "{{now}}",
]


def shown(key: TemplateKey) -> str:
    return f"<{key.group}.{key.name}>"


@pytest.mark.parametrize(("text", "filled"), READ)
def test_keys_are_replaced_and_the_rest_stays(text: str, filled: str) -> None:
    assert fill_template(text, shown) == filled
    assert has_template([text]) == bool(template_keys([text]))


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused(text: str) -> None:
    assert has_template([text])
    with pytest.raises(KoPantsError) as e:
        template_keys([text])
    message = str(e.value)
    assert repr(text) in message
    assert "{{.Env.NAME}}" in message
    assert "ShortCommit" in message


def test_a_long_template_is_shown_in_part() -> None:
    with pytest.raises(KoPantsError, match=r"\.\.\.' in "):
        template_keys(["{{" + "x" * 500])


def test_keys_of_several_texts() -> None:
    texts = ["{{.Env.VERSION}}{{.Git.Tag}}", "plain", "{{.Date}}", "{{ .GoEnv.GOOS }}"]
    assert template_keys(texts) == {VERSION, TAG, DATE, GOOS}
    assert [str(key) for key in sorted(template_keys(texts))] == [
        "{{.Date}}",
        "{{.Env.VERSION}}",
        "{{.Git.Tag}}",
        "{{.GoEnv.GOOS}}",
    ]


def test_values_are_not_filled_in_again() -> None:
    assert fill_template("{{.Env.VERSION}}", lambda _: "{{.Git.Tag}}") == "{{.Git.Tag}}"


literals = st.text(alphabet="ab{} .\n$%\\\"'", max_size=8).filter(
    lambda text: "{{" not in text and not text.endswith("{")
)
keys = st.one_of(
    st.builds(TemplateKey, st.just("Git"), st.sampled_from(GIT_NAMES)),
    st.builds(
        TemplateKey,
        st.sampled_from(["Env", "GoEnv"]),
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True),
    ),
    st.builds(TemplateKey, st.just(""), st.sampled_from(["Date", "Timestamp"])),
)


@given(st.lists(st.tuples(literals, keys)), literals)
def test_what_is_put_together_comes_apart(pairs: list[tuple[str, TemplateKey]], end: str) -> None:
    text = "".join(literal + str(key) for literal, key in pairs) + end
    assert template_keys([text]) == {key for _, key in pairs}
    assert fill_template(text, str) == text
    assert fill_template(text, lambda _: "") == "".join(literal for literal, _ in pairs) + end


@given(st.text(alphabet='{}.EnvGitTag -|/*"\n', max_size=30))
def test_any_text_is_filled_or_refused(text: str) -> None:
    try:
        filled = fill_template(text, lambda _: "")
    except KoPantsError:
        assert "{{" in text
    else:
        assert filled == text or "{{" in text


GO_PROGRAM = """package main

import (
	"bytes"
	"encoding/json"
	"os"
	"text/template"
)

func main() {
	var texts []string
	json.NewDecoder(os.Stdin).Decode(&texts)
	data := map[string]any{
		"Env": map[string]string{"VERSION": "<Env.VERSION>", "_x1": "<Env._x1>"},
		"GoEnv": map[string]string{"GOOS": "<GoEnv.GOOS>"},
		"Git": map[string]any{"Tag": "<Git.Tag>"},
		"Date": "<.Date>",
		"Timestamp": "<.Timestamp>",
	}
	var found []*string
	for _, text := range texts {
		var out bytes.Buffer
		t, err := template.New("t").Option("missingkey=error").Parse(text)
		if err == nil {
			err = t.Execute(&out, data)
		}
		if err != nil {
			found = append(found, nil)
			continue
		}
		s := out.String()
		found = append(found, &s)
	}
	json.NewEncoder(os.Stdout).Encode(found)
}
"""


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")
def test_go_fills_in_the_same(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(GO_PROGRAM)
    (tmp_path / "go.mod").write_text("module m\n\ngo 1.21\n")
    texts = [text for text, _ in READ]
    done = subprocess.run(
        ["go", "run", "."],
        cwd=tmp_path,
        input=json.dumps(texts).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(done.stdout) == [filled for _, filled in READ]
