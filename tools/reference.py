"""The pages of the reference and the lessons, made from the code they are about.

Nothing here is written down twice: the command line's page is its own help, the Python page its docstrings, and each
model family's lesson is the docstring of its file with the examples executed. `mkdocs build` asks for all of them
(`tools/site.py`), so that a new command, metric or family appears by itself.
"""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import os
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import lingqu
from lingqu import cli, errors
from lingqu.metrics import METRICS
from lingqu.models import FAMILIES, find_family
from lingqu.models.family import SIZES, Family
from lingqu.tasks import OURS, find_task

# What a team programs against, module by module; the names are those that each module calls its own.
API = {
    "lingqu": lingqu.__all__,
    "lingqu.bundle.read": ["Bundle"],
    "lingqu.contract": import_module("lingqu.contract").__all__,
    "lingqu.data.labels": ["LabelTask"],
    "lingqu.models": ["Family", "Facts", "Examples", "find_family", "family_names"],
    "lingqu.metrics": ["Metric", "find_metric"],
    "lingqu.store": ["Store"],
    "lingqu.registry": ["Registry", "Version"],
}
WIDTH = "100"


def pages() -> dict[str, str]:
    """Path below docs/ -> Markdown, for everything that is generated."""
    made = {
        "reference/command-line.md": command_line(),
        "reference/routes.md": routes(),
        "reference/python.md": python(),
        "reference/tasks.md": tasks(),
        "reference/metrics.md": metrics(),
        "reference/errors.md": error_tree(),
        "lessons/index.md": lesson_index(),
    }
    return made | {f"lessons/{name}.md": lesson(name) for name in FAMILIES}


def table(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    r"""A Markdown table.

    >>> print(table(["a", "b"], [[1, "x|y"]]), end="")
    | a | b |
    |---|---|
    | 1 | x\|y |
    """
    names = list(names)
    lines = [names, ["---"] * len(names), *rows]
    cells = (["" if cell is None else str(cell).replace("|", "\\|") for cell in line] for line in lines)
    return "".join("|" + "|".join(line) + "|\n" if line[0] == "---" else f"| {' | '.join(line)} |\n" for line in cells)


def fenced(text: str, language: str = "text") -> str:
    """A fenced block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def described(text: str) -> str:
    r"""A docstring as Markdown: examples become fenced blocks, indented drawings and formulas stay as they are.

    >>> described("One.\n\n>>> 1 + 1\n2\n\nTwo.").splitlines()
    ['One.', '', '```pycon', '>>> 1 + 1', '2', '```', '', 'Two.']
    """
    paragraphs = [one for one in re.split(r"\n{2,}", inspect.cleandoc(text)) if one.strip()]
    parts: list[str] = []
    for example, group in groupby(paragraphs, key=lambda one: one.lstrip().startswith(">>>")):
        if example:
            parts.append(fenced("\n".join(group).replace("<BLANKLINE>", ""), "pycon"))
        else:
            parts += [_prose(one) for one in group]
    return "\n".join(parts)


def _prose(paragraph: str) -> str:
    """A paragraph as it is; one that is indented as a whole is a drawing or a formula."""
    lines = paragraph.splitlines()
    if all(line.startswith("    ") for line in lines):
        return fenced(dedent(paragraph))
    # Outside of `code`, a word such as <= must not look like a tag.
    return re.sub(r"(`[^`]*`)|([<>])", lambda found: found[1] or f"\\{found[2]}", paragraph) + "\n"


def routes() -> str:
    """Every address of the service, from its own table."""
    from lingqu.serve.routes import ROUTES

    rows = (
        (
            f"`{' '.join(route.methods)}`",
            f"`{route.path}`",
            "open" if route.scopes is None else " or ".join(route.scopes),
            route.about,
        )
        for route in ROUTES
    )
    return (
        "# Routes\n\nEvery address that the service answers; any other is 404, and any other method 405. Where keys are wanted, "
        "a key needs one of the scopes named here.\n\n"
        + table(("methods", "path", "scope", "what it gives"), rows)
        + "\n`/` and `/page/…` are the page for users: files without a key, which ask by the routes above.\n"
    )


def command_line() -> str:
    """Every command with its help, as it prints it."""
    parts = ["# Command line\n", "Each page below is what `lingqu COMMAND --help` prints.\n", f"{cli.ENDS}\n"]
    parts.append(table(["command", "what it does"], ([f"[`{n}`](#{n})", about] for n, (_, about, _) in _commands())))
    for name, (_, about, _) in _commands():
        parts += [f"## {name}\n", f"{about[0].upper()}{about[1:]}.\n", fenced(_help(name))]
    return "\n".join(parts)


def _commands() -> list[tuple[str, Any]]:
    return list(cli.COMMANDS.items())


def _help(verb: str) -> str:
    # The console takes its width once, when it is loaded: that must not be while COLUMNS is ours.
    import_module("lingqu.cli.present")
    told = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        with contextlib.redirect_stdout(told):
            cli.call([verb, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return told.getvalue()


def python() -> str:
    """Every public name with its signature and its docstring."""
    parts = [
        "# Python\n",
        "What a team programs against. `import lingqu` costs next to nothing; names load on first use.\n",
    ]
    for module, names in API.items():
        parts.append(f"## {module}\n")
        parts += [_entry(getattr(import_module(module), name), name, 3) for name in names]
    return "\n".join(parts)


def _entry(value: Any, name: str, level: int) -> str:
    head = f"{'#' * level} {name}\n"
    if inspect.isclass(value):
        fields = _signature(value) if "__init__" in vars(value) else ""
        own = [_method(value, one) for one in vars(value) if not one.startswith("_") and one != "model_post_init"]
        about = described(inspect.getdoc(value) or "")
        return "\n".join([head, fenced(f"class {name}{fields}", "python"), about, *filter(None, own)])
    if inspect.isroutine(value):
        return "\n".join([head, fenced(f"{name}{_signature(value)}", "python"), described(inspect.getdoc(value) or "")])
    return "\n".join([head, fenced(f"{name} = {value!r}" if len(repr(value)) < 200 else name, "python")])


def _method(owner: type, name: str) -> str:
    """A method or property that has words of its own, as an item of a list."""
    value = vars(owner)[name]
    function = getattr(value, "__func__", value.fget if isinstance(value, property) else value)
    if not inspect.isfunction(function) or not function.__doc__:
        return ""
    sentence = inspect.cleandoc(function.__doc__).split("\n\n")[0].replace("\n", " ")
    shown = name if isinstance(value, property) else f"{name}{_signature(function)}"
    return f"- `{shown}`: {sentence}\n"


def _signature(value: Any) -> str:
    """The signature in one line, without `self`, annotations as they are written."""
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(value)))
    text = re.sub(r"<function (\w+) at 0x\w+>", r"\1", text)
    return re.sub(r"\((self|cls)(, )?", "(", text)


def tasks() -> str:
    """Every task: what goes in, what comes out, which models it tries, what it is judged by."""
    parts = ["# Tasks\n", "What can be learned. `lingqu tasks` lists these and those of installed packages.\n"]
    for name in OURS:
        task = find_task(name)
        columns = [(f"`{one.name}`", one.kind, one.about) for one in (*task.columns, task.target)]
        ladder = ", ".join(f"[{one}](../lessons/{one}.md)" if one in FAMILIES else one for one in task.ladder)
        judged = ", ".join(f"**{one}**" if one == task.decide_by else one for one in task.metrics)
        parts += [
            f"## {name}\n",
            f"{task.about}\n",
            table(["column", "kind", "what it is"], columns),
            f"Models, from the cheapest: {ladder}. Metrics, the deciding one in bold: {judged}.\n",
        ]
    return "\n".join(parts)


def metrics() -> str:
    """Every metric with its range and what it needs."""
    rows = [
        (
            f"`{one.name}`",
            one.kind,
            one.about,
            "higher" if one.higher_is_better else "lower",
            " to ".join(f"{end:g}".replace("inf", "∞") for end in one.range),
            one.needs,
        )
        for one in METRICS.values()
    ]
    head = "# Metrics\n\nNames are those of scikit-learn and torchmetrics. Any of them may stand under `gates` with a limit.\n\n"
    return head + table(["name", "of", "what it is", "better", "range", "needs"], rows)


def error_tree() -> str:
    """Every exception that is raised on purpose, its place in the tree and its exit status."""
    kinds = [
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.LingquError)
    ]
    rows = [
        (f"`{kind.__name__}`", f"`{kind.__bases__[0].__name__}`", kind.exit_status, inspect.getdoc(kind))
        for kind in kinds
    ]
    return (
        f"# Errors\n\n{described(errors.__doc__ or '')}\n"
        f"{table(['exception', 'is a', 'exit status', 'what it means'], rows)}\n"
        "Every one of them holds `problems`: what was expected, what was found, what to do next, and where.\n"
    )


def lesson_index() -> str:
    """The families side by side."""
    rows = [
        (f"[{name}]({name}.md)", family.about, ", ".join(family.fronts), ", ".join(_tried_by(name)) or "when asked for")
        for name, family in ((name, find_family(name)) for name in FAMILIES)
    ]
    return (
        "# Lessons: the model families\n\nOne family a file, each to be read alone: formula, source, shapes, and an example "
        "that was executed when this page was built.\n\n" + table(["family", "what it is", "reads", "tried by"], rows)
    )


def lesson(name: str) -> str:
    """One family: its docstring, its executed examples, its numbers per size, and its file."""
    family = find_family(name)
    module = import_module(FAMILIES[name].split(":")[0])
    file = Path(inspect.getfile(module))
    tried = ", ".join(f"[{task}](../reference/tasks.md#{task})" for task in _tried_by(name))
    return "\n".join(
        [
            f"# {name}\n",
            f"**{family.about}**\n",
            described(module.__doc__ or ""),
            "## Where it is used\n",
            (f"On the ladder of {tried}. " if tried else "No ladder tries it by itself. ")
            + f"Ask for it with `model: {name}`.\n",
            "## Examples, executed\n",
            *_examples(module),
            "## Its numbers for each size\n",
            _sizes(family),
            "## The whole file\n",
            f'??? quote "models/{file.name}, {len(file.read_text(encoding="utf-8").splitlines())} lines"\n',
            _indented(fenced(file.read_text(encoding="utf-8"), "python")),
        ]
    )


def _tried_by(name: str) -> list[str]:
    return [task for task in OURS if name in find_task(task).ladder]


def _examples(module: ModuleType) -> Iterator[str]:
    """Each example of the file with what it prints now; one that prints something else stops the build."""
    for test in doctest.DocTestFinder().find(module, module.__name__):
        if not test.examples:
            continue
        told: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
        runner.run(test, out=told.append)
        if runner.failures:
            raise ValueError(f"an example of {test.name} gives something else:\n{''.join(told)}")
        # Those of the file's own docstring stand above already.
        if test.name != module.__name__:
            yield f"### {test.name.removeprefix(module.__name__ + '.')}\n"
            yield described(test.docstring or "")


def _sizes(family: Family) -> str:
    """Settings by size, those of the network and of its training first, then those of the front that feeds it."""
    by_size = [family.settings(size) for size in SIZES]
    rows = [
        (f"`{key}`", *(_short(one.get(key)) for one in by_size)) for key in dict.fromkeys(k for s in by_size for k in s)
    ]
    for front in family.fronts:
        fed = [family.front_settings(size, front) for size in SIZES]
        rows += [
            (f"`{front}.{key}`", *(_short(one.get(key)) for one in fed))
            for key in dict.fromkeys(k for s in fed for k in s)
        ]
    return table(["setting", *SIZES], rows) if rows else "None: nothing about it depends on the size.\n"


def _short(value: Any) -> str:
    return (
        "" if value is None else f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    )


def _indented(text: str) -> str:
    return "".join(f"    {line}" if line.strip() else line for line in text.splitlines(keepends=True))
