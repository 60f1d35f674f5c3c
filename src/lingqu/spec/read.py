r"""A spec from a file, from text, or from Python values, with every problem told at once.

>>> text = "name: router\ntask: text-classification\ndata: {source: sklearn:digits}\ntrain: {lr: 0.001}\n"
>>> load_spec(text).train.learning_rate
0.001
>>> load_spec(text + "bugdet: 5 min\n")
Traceback (most recent call last):
lingqu.errors.SpecError: spec:5: Expected a setting of the spec, found 'bugdet'. Did you mean 'budget'?
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lingqu.errors import Problem, SpecError
from lingqu.spec.names import Known
from lingqu.spec.parse import Parsed, parse
from lingqu.spec.problems import Reading
from lingqu.spec.settings import Spec


def load_spec(
    source: str | Path | Mapping[str, Any] | Spec,
    *,
    tasks: Iterable[str] | Mapping[str, Iterable[str]] | None = None,
    metrics: Iterable[str] | None = None,
    models: Iterable[str] | None = None,
    folder: Path | None = None,
) -> Spec:
    """The spec in a file, in YAML text (a string of several lines) or in a mapping; SpecError with all problems.

    Names are checked against the tables given; `tasks` may map each task to the roles of its columns. Relative paths start
    from `folder`: the file's own unless given, or the current one.

    >>> load_spec({"name": "a", "task": "t", "data": {"source": "sklearn:iris"}}, tasks=["t"]).name
    'a'
    """
    known = Known.of(tasks, metrics, models)
    if isinstance(source, Spec):
        return _validate(source.model_dump(mode="json"), Reading(known, folder=folder or source.folder))
    if isinstance(source, Mapping):
        return _validate(source, Reading(known, folder=folder or Path.cwd()))
    if isinstance(source, str) and "\n" in source:
        return _from_text(source, "spec", known, folder or Path.cwd())
    path = Path(source)
    return _from_text(_read(path), str(source), known, folder or path.absolute().parent)


def _from_text(text: str, file: str, known: Known, folder: Path) -> Spec:
    parsed: Parsed = parse(text)
    reading = Reading(known, file, parsed.lines, parsed.refused, folder)
    for line, problem in parsed.problems:
        located = Problem(problem.expected, problem.found, problem.next, f"{file}:{line}")
        reading.problems.append((line, located))
    return _validate({} if parsed.value is None else parsed.value, reading)


def _validate(value: Any, reading: Reading) -> Spec:
    return Spec.model_validate(value, context=reading)


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        advice = "Make one: lingqu new NAME --task TASK --data FILE"
        raise SpecError(Problem("a spec", f"no file {str(path)!r}", advice)) from None
    except IsADirectoryError:
        raise SpecError(Problem("a spec", f"the folder {str(path)!r}", "Name the YAML file in it.")) from None
    except OSError as error:
        raise SpecError(
            Problem(
                "a spec that can be read", f"{str(path)!r}: {error.strerror}", "Check the path, and who may read it."
            )
        ) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02X}"
        raise SpecError(Problem("text in UTF-8", found, "Save the file as UTF-8.", f"{path}:{line}")) from None
