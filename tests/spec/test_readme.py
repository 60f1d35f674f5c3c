"""What the documents show works: the spec, the commands, the task of the contributor's guide, the links."""

import re
import tomllib
from pathlib import Path

import pytest

from lingqu.cli import COMMANDS
from lingqu.errors import SpecError
from lingqu.spec import load_spec
from lingqu.tasks import OURS

ROOT = Path(__file__).parents[2]
READMES = ["README.md", "README.zh-CN.md"]
PAGES = [*READMES, "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", READMES)
def test_the_spec_is_six_lines_that_work(page, tmp_path):
    (text,) = blocks(page, "yaml")
    assert len(text.splitlines()) == 6
    (tmp_path / "tickets.csv").write_text("message,queue\n")
    assert load_spec(text, tasks=OURS, folder=tmp_path).budget_seconds == 600
    (tmp_path / "tickets.csv").unlink()
    with pytest.raises(SpecError, match=r"spec:4: Expected a file or folder for data\.source"):
        load_spec(text, folder=tmp_path)


@pytest.mark.parametrize("page", READMES)
def test_every_command_is_named_and_every_named_command_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"lingqu ([a-z]+)\b", text)) | set(re.findall(r"`([a-z]+)`(?= `|[，,])", text))
    assert set(COMMANDS) <= named
    assert set(re.findall(r"(?:^|`)lingqu ([a-z]+)\b", text, re.MULTILINE)) <= set(COMMANDS)


def test_both_languages_say_the_same():
    english, chinese = ((ROOT / page).read_text(encoding="utf-8") for page in READMES)
    for part in (
        r"^#+ ",
        r"^- \*\*",
        r"\]\((\w[^)]*)\)",
        r"^(lingqu \S+|make \S+|pip \S+)",
        r"`([^`\n]+)`",
    ):
        found = [sorted(re.findall(part, text, re.MULTILINE)) for text in (english, chinese)]
        differ = set(found[0]) ^ set(found[1]) - {"README.md", "README.zh-CN.md"}
        assert differ <= {"README.md", "README.zh-CN.md"}, part
        assert len(found[0]) == len(found[1]), part


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("page", READMES)
def test_the_map_is_whole_and_in_the_order_of_imports(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`([a-z]+(?:/|\.py))`", text)
    source = ROOT / "src" / "lingqu"
    there = {f"{path.name}/" for path in source.iterdir() if (path / "__init__.py").exists()}
    assert {name for name in named if name.endswith("/")} == there
    assert all((source / name).exists() for name in named)
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    layers = [part.strip("()") for layer in contract for part in layer.split(" | ")]
    order = [layers.index(re.sub(r"/|\.py", "", name)) for name in named]
    assert order == sorted(order)


@pytest.mark.parametrize("page", READMES)
def test_it_is_one_screen(page):
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= 50


def test_the_task_of_the_guide_is_a_task():
    (code,) = blocks("CONTRIBUTING.md", "python")
    names: dict = {}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    task = names["QuestionKind"]()
    rows = task.toy(8)
    assert set(rows["label"]) == {"asks", "states"}
    assert rows.names == ("text", "label")
