"""A page of documentation as a script: its blocks in order, each run or checked by its language.

    python          executed in one namespace; with `>>>` the shown results are compared
    console, sh     each command runs; in console the lines below a `$ command` are what it prints: `...` is anything,
                    and a number with a point may be another one, since times and scores differ between machines
    yaml            a whole spec is checked; a part of one is checked inside the page's last whole spec
    json, toml      parsed
    text            only looked at
    lingqu serve &  runs beside the page until its end, on a free port that is put in the place of 8000
    title="FILE"    whatever the language, the block is also written to that file

A command must end with status 0, unless `$ echo $?` follows and says another one.
"""

from __future__ import annotations

import doctest
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from lingqu.cli import call
from lingqu.loop import check

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```(\w*)([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SHELL = {"curl", "cat", "head", "tail", "ls", "cp", "mv", "mkdir", "rm", "printf", "iconv", "grep", "find", "wc"}
LOOKED_AT = {"text", "csv"}
SLOW = re.compile(r"lingqu (run|demo|tune|compare|explain)\b|\brun\(|import torch|lingqu\.models|pip install -e")


@dataclass(frozen=True)
class Block:
    """One fenced block and where it begins."""

    language: str
    title: str
    text: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page; those in an indented box lose their indent."""
    for found in FENCE.finditer(text):
        indent, language, rest, body = found.groups()
        title = re.search(r'title="([^"]+)"', rest)
        lines = [line.removeprefix(indent) for line in body.splitlines()]
        yield Block(
            language,
            title[1] if title else "",
            "".join(f"{line}\n" for line in lines),
            text.count("\n", 0, found.start()) + 1,
        )


def slow(text: str) -> bool:
    """Whether a page trains or installs something."""
    return any(SLOW.search(block.text) for block in blocks(text) if block.language not in LOOKED_AT)


@dataclass
class Reader:
    """Somebody who follows a page to the letter, in a folder of their own."""

    folder: Path
    captured: Callable[[], Any]
    chdir: Callable[[Path], None]
    setenv: Callable[[str, str], None]
    install: Callable[[Path], None]
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    spec: dict[str, Any] | None = None
    status: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    """The reader's own values of variables for which a page shows an example."""

    port: int = 0
    """Where a service that the page has started listens."""
    _beside: list[subprocess.Popen[str]] = field(default_factory=list)

    def follow(self, page: str, text: str) -> int:
        """Run every block; the first that does not do what the page says is an AssertionError that names its line."""
        self.chdir(self.folder)
        try:
            return self._follow(page, text)
        finally:
            for process in self._beside:
                process.terminate()
                process.communicate(timeout=60)

    def _follow(self, page: str, text: str) -> int:
        count = 0
        for block in blocks(text):
            try:
                self._run(block)
                self._settled()
            except Exception as error:
                raise AssertionError(f"{page}:{block.line}: {type(error).__name__}: {error}") from error
            count += 1
        return count

    def _run(self, block: Block) -> None:
        if self.port:
            block = replace(block, text=block.text.replace(":8000", f":{self.port}"))
        if block.title:
            target = Path(block.title)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        if block.language in LOOKED_AT or (block.title and block.language == "python"):
            return
        run = {
            "python": self._python,
            "console": self._console,
            "sh": self._shell,
            "bash": self._shell,
            "yaml": lambda text: self._yaml(text, block.title or "lingqu.yaml"),
        }.get(block.language)
        if run is not None:
            run(block.text)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        else:
            raise AssertionError(f"a block in '{block.language}', which nobody can run; what is only shown is `text`")

    def _python(self, text: str) -> None:
        if ">>>" not in text:
            exec(compile(text, "<block>", "exec"), self.names)
            return
        test = doctest.DocTestParser().get_doctest(text, self.names, "block", None, 0)
        told: list[str] = []
        runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
        runner.run(test, out=told.append, clear_globs=False)
        self.names.update(test.globs)
        assert not runner.failures, "".join(told)

    def _console(self, text: str) -> None:
        command, expected = "", []
        for line in [*text.splitlines(), "$ "]:
            if not line.startswith("$ "):
                expected.append(line)
                continue
            if command:
                self._command(command, "\n".join(expected))
            command, expected = line[2:], []

    def _shell(self, text: str) -> None:
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                self._command(line, "")

    def _command(self, line: str, expected: str) -> None:
        if line.split() == ["echo", "$?"]:
            assert self.status == int(expected), f"status {self.status}, but the page says {expected}"
            self.status = 0
            return
        self._settled()
        words = shlex.split(line, comments=True)
        self.captured()
        self.status, out, err = self._called(words, line)
        shown = out if self.status == 0 or out.strip() else err
        same = doctest.OutputChecker().check_output(f"{rounded(expected)}\n", rounded(shown), FLAGS)
        if expected.strip() and not same:
            raise AssertionError(f"`{line}` printed\n{shown}\nbut the page shows\n{expected}")
        self._why = err

    _why = ""

    def _settled(self) -> None:
        assert self.status == 0, f"status {self.status}: {self._why}"

    def _called(self, words: list[str], line: str) -> tuple[int, str, str]:
        verb, rest = words[0], words[1:]
        if words[:2] == ["lingqu", "serve"] and words[-1] == "&":
            return self._serve(words[2:-1])
        if verb == "lingqu" and "|" not in words:
            status = call(rest)
            told = self.captured()
            return status, told.out, told.err
        if verb == "cd":
            self.chdir(Path(rest[0]).resolve())
        elif verb == "export":
            name, value = rest[0].split("=", 1)
            self.setenv(name, self.environment.get(name, value))
        elif verb == "make":
            assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"no target {rest[0]}"
        elif words[:2] == ["pip", "install"]:
            self._pip(rest[1:])
        elif words[:2] == ["git", "clone"]:
            pass
        elif verb == "python":
            return self._process([sys.executable, *rest])
        else:
            assert verb in {*SHELL, "lingqu"}, f"the command {verb}"
            return self._process(["bash", "-c", f'lingqu() {{ {sys.executable} -m lingqu "$@"; }}; {line}'])
        return 0, "", ""

    def _serve(self, words: list[str]) -> tuple[int, str, str]:
        """A service that answers until the page ends."""
        command = [sys.executable, "-m", "lingqu", "serve", *words, "--port", "0", "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._beside.append(process)
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told, "the service did not begin"
        self.port = int(json.loads(told)["url"].rpartition(":")[2])
        return 0, "", ""

    def _pip(self, words: list[str]) -> None:
        """A reader's own package is installed; of lingqu it is only asked that the extra is one."""
        if words == ["-e", "."]:
            self.install(Path.cwd())
            return
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
            "optional-dependencies"
        ]
        for word in words:
            for extra in re.findall(r"\[([a-z,]+)\]", word):
                assert set(extra.split(",")) <= set(extras), f"no extra {extra}"

    def _process(self, words: list[str]) -> tuple[int, str, str]:
        done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
        return done.returncode, done.stdout, done.stderr

    def _yaml(self, text: str, file: str) -> None:
        value = yaml.safe_load(text)
        if {"name", "task", "data"} <= set(value):
            Path(file).write_text(text, encoding="utf-8")
            self._command(f"lingqu check {file}", "")
            self.spec = value
        else:
            assert self.spec is not None, "a part of a spec, and no whole one before it"
            check(merged(self.spec, value))


def rounded(text: str) -> str:
    """The text with every number that has a point made the same."""
    return re.sub(r"\d+\.\d+", "0.0", text)


def merged(whole: Any, part: Any) -> Any:
    """The spec with the settings of a part put into it."""
    if not (isinstance(whole, dict) and isinstance(part, dict)):
        return part
    return {**whole, **{name: merged(whole.get(name), value) for name, value in part.items()}}


def install(package: Path, site: Path) -> None:
    """Install a reader's package into a folder of its own, built by what is here, with nothing fetched."""
    copy = site.parent / "building"
    shutil.copytree(package, copy)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(site), str(copy)],
        check=True,
        env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
    )
    shutil.rmtree(copy)
    importlib.invalidate_caches()
