"""The command line: parse, call, print.

`--json` prints one JSON object on standard output, `{"error": …}` when it fails, and everything else on standard error.
Exit status: 0 done, 1 the work failed or a gate said no, 2 the request was wrong, 3 no memory was left; 130 and 143 when
it was asked to stop. What lingqu raises on purpose is one plain sentence; a bug keeps its traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from lingqu import __version__
from lingqu.cli.visible import visible
from lingqu.errors import LingquError, MemoryLimitError, MissingPackageError, Problem, RequestError, near

PARTS = "lingqu.cli"
STOPPED = "\nStopped. Nothing is lost: the same command goes on from here.\n"
CHILD = "LINGQU_CHILD"
"""Stands in the environment of what cli/children.py begins."""
MORE_MEMORY = "Choose a smaller size or fewer rows, or give the process more memory; what is done is kept."

ENDS = (
    "Exit status: 0 done; 1 the work failed, a gate said no or an alarm stands; 2 the request was wrong; 3 no memory was "
    "left; 130 Ctrl-C and 143 SIGTERM, but 0 for a `lingqu serve` that has ended in good order. With --json one JSON object "
    'stands on standard output, {"error": ...} when it fails, and everything else on standard error.'
)
"""What scripts must know; `lingqu --help` and the reference tell it."""

# verb: (where its function lives, one sentence, its arguments). Functions are imported when their verb is called, so
# that `lingqu --help` is instant.
Argument = tuple[tuple[str, ...], dict[str, object]]


def _arg(*names: str, **settings: object) -> Argument:
    return names, settings


def _spec(text: str) -> str:
    """The file of a spec; of a folder, the one that `lingqu new` writes there."""
    return str(Path(text) / "lingqu.yaml") if Path(text).is_dir() else text


def _whole(option: str, low: int, high: int | None = None, advice: str = "") -> Callable[[str], int]:
    """What reads the whole number of an option; its RequestError goes past argparse as it is."""

    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and low <= int(text) and (high is None or int(text) <= high):
            return int(text)
        reach = f"of at least {low}" if high is None else f"from {low} to {high:,}"
        raise RequestError(
            Problem(f"a whole number {reach} after {option}", f"'{text}'", advice or f"Type: {option} {max(low, 1)}")
        )

    return read


def _time(text: str) -> str:
    """A length of time after --every, as it was written."""
    from lingqu.spec.amounts import seconds

    try:
        seconds(text)
    except ValueError:
        expected = "a length of time such as '1 min' after --every"
        raise RequestError(Problem(expected, f"'{text}'", "Type: --every '30 s'")) from None
    return text


PORT = _whole("--port", 0, 65_535, "Type: --port 8000, or --port 0 for any that is free.")
MOST = _whole("--most", 1)
SPEC = _arg(
    "spec", nargs="?", default="lingqu.yaml", type=_spec, help="the YAML file, or its folder (default: lingqu.yaml)"
)
MODEL = _arg("model", metavar="MODEL", help="name, name@champion, name@3 or a bundle folder")
WHO = _arg("--who", help="who decides this (default: you)")
MONITOR = _arg(
    "--spec",
    metavar="FILE",
    help="go by this spec (default: lingqu.yaml here if it is of this model, or what the version was made with)",
)
LANGUAGE = _arg("--language", choices=("auto", "en", "zh"), default="auto", help="English, Chinese, or the locale's")
WHY = _arg("--why", help="the reason, kept in the history")

COMMANDS: dict[str, tuple[str, str, tuple[Argument, ...]]] = {
    "new": (
        "start:new",
        "write a spec to begin with",
        (
            _arg("name", metavar="NAME", help="the model's name; its folder is made"),
            _arg("--task", default=None, help="what to learn; `lingqu tasks` lists them"),
            _arg("--data", default=None, help="your rows; without it, toy rows are written"),
        ),
    ),
    "check": (
        "look:check",
        "check a spec and its data, all problems at once",
        (
            SPEC,
            _arg("--show", action="store_true", help="print every setting with its default and its sentence"),
            _arg("--labels", action="store_true", help="look for wrong labels too (trains the cheapest model)"),
            _arg("--html", metavar="FILE", help="write the profile of the data as a page"),
            LANGUAGE,
        ),
    ),
    "run": ("journey:run", "the whole journey: data, models, bundle, report, gate, version", (SPEC,)),
    "show": (
        "journey:show",
        "what a version is and how good it is",
        (
            _arg("model", nargs="?", metavar="MODEL", help="name, name@3 … (default: the newest version)"),
            _arg("--against", metavar="MODEL", help="compare with this version on the same rows, by a paired test"),
            LANGUAGE,
            _arg("-o", "--out", metavar="PAGE", help="write the report to this file, as a page for the browser"),
        ),
    ),
    "predict": (
        "journey:predict",
        "answer every row of a file, in order",
        (
            MODEL,
            _arg("input", metavar="INPUT", help="a csv, tsv, jsonl or parquet file"),
            _arg("-o", "--out", metavar="OUT", help="where the answers go (default: beside the input)"),
            _arg("--root", metavar="FOLDER", help="where the pictures are that a table names (default: beside it)"),
            _arg("--scores", action="store_true", help="add one column for the score of each label"),
        ),
    ),
    "explain": (
        "why:explain",
        "why rows were answered as they were: the words, patches or columns that count",
        (
            MODEL,
            _arg("input", metavar="INPUT", help="a csv, tsv, jsonl or parquet file"),
            _arg("-o", "--out", metavar="OUT", help="write a page (.html), or JSON lines (any other name)"),
            _arg("--label", metavar="LABEL", help="ask about this label (default: the one that was answered)"),
            _arg(
                "--method",
                choices=("occlusion", "gradients"),
                default="occlusion",
                help="ask the shipped model without each part, or integrate the gradients of its network (needs torch)",
            ),
            _arg("--most", type=MOST, default=20, metavar="N", help="how many rows at most (default: 20)"),
            _arg("--root", metavar="FOLDER", help="where the pictures are that a table names (default: beside it)"),
            LANGUAGE,
        ),
    ),
    "serve": (
        "serve:serve",
        "answer over HTTP, with a page to try it, until Ctrl-C",
        (
            _arg(
                "models", nargs="*", metavar="MODEL", help="name, name@3 or a bundle folder (default: the spec's name)"
            ),
            _arg(
                "--spec", metavar="FILE", help="take the section `serve` of this file (default: lingqu.yaml, if there)"
            ),
            _arg("--host", help="the address to listen on (default: 127.0.0.1, this machine alone)"),
            _arg("--port", type=PORT, help="the port (default: 8000; 0 takes any)"),
            _arg("--workers", type=_whole("--workers", 1), metavar="N", help="how many processes answer (default: 1)"),
        ),
    ),
    "versions": (
        "records:versions",
        "every version and its aliases",
        (_arg("name", nargs="?", help="only this model's"),),
    ),
    "history": (
        "records:history",
        "every decision: what, who, when, on which evidence",
        (_arg("name", nargs="?", help="only this model's"),),
    ),
    "status": (
        "status:status",
        "how served models are doing: drift, quality, risk, budgets; 1 when an alarm stands",
        (
            _arg("name", nargs="?", metavar="NAME", help="only this model (name, or name@3; default: every champion)"),
            MONITOR,
            LANGUAGE,
        ),
    ),
    "promote": (
        "records:promote",
        "make a version that passed its gate the champion",
        (MODEL, WHO, WHY, _arg("--override", action="store_true", help="promote without a passed gate; needs --why")),
    ),
    "rollback": (
        "records:rollback",
        "bring the previous champion back; needs no proof",
        (
            _arg("name", metavar="NAME", help="the model's name"),
            _arg("--to", type=_whole("--to", 1), metavar="N", help="to this version"),
            WHO,
            WHY,
        ),
    ),
    "export": (
        "records:export",
        "copy a version's bundle to a folder",
        (MODEL, _arg("folder", metavar="FOLDER", help="a folder that does not exist yet")),
    ),
    "keys": (
        "keys:keys",
        "who may call the service, and what each was answered",
        (
            _arg(
                "action",
                nargs="?",
                choices=("list", "new", "revoke", "usage", "secret"),
                default="list",
                metavar="ACTION",
                help="list them (default), new or revoke one, usage of them, or a secret for encryption",
            ),
            _arg("name", nargs="?", metavar="NAME", help="the name of the new key; the name or id of the other"),
            _arg(
                "--scopes",
                default="predict,feedback,read",
                help="what it may: predict,feedback,read,train,promote,admin",
            ),
            _arg("--days", type=float, default=90, metavar="N", help="how long it is good (default: 90; 0: for ever)"),
            _arg("--tenant", metavar="NAME", help="whose predictions it sees (default: its own alone)"),
            _arg("--rate", metavar="PACE", help="at most this, such as '100 per minute'"),
            _arg("--quota", metavar="ROWS", help="at most this, such as '10000 rows per month' (or day; UTC)"),
            _arg("--price", metavar="PRICE", help="what it pays, such as '0.01 CNY per row + 0.1 CNY per request'"),
            _arg("--since", metavar="DAY", help="usage from this month or day (UTC)"),
            _arg("--until", metavar="DAY", help="usage to before this month or day (UTC)"),
            _arg("--by", metavar="WORDS", help="split the usage by model, by day, or by model,day"),
        ),
    ),
    "feedback": (
        "feedback:feedback",
        "what users said: list, add, review, accept, reject, export",
        (
            _arg(
                "action",
                nargs="?",
                choices=("list", "add", "queue", "review", "accept", "reject", "export"),
                default="list",
                help="list it (default), add some, see what to look at next, review it here, decide, or export",
            ),
            _arg(
                "thing",
                nargs="*",
                metavar="THINGS",
                help="add: the id of a prediction, or a file of labels; accept and reject: ids of feedback",
            ),
            _arg("--model", metavar="NAME", help="of this model (default: the only one)"),
            MONITOR,
            _arg("--label", help="the right answer"),
            _arg("--reward", type=float, metavar="NUMBER", help="how much good the answer did"),
            _arg("--rating", type=int, metavar="1-5", help="how good the answer was"),
            _arg("--comment", metavar="TEXT", help="what else there is to say"),
            _arg("--audit", action="store_true", help="rows drawn at random, and labels for them: they judge models"),
            _arg(
                "--disputed",
                action="store_true",
                help="rows on which the champion and the challenger on its way differ",
            ),
            _arg("--status", choices=("quarantined", "accepted", "rejected"), help="list and export only these"),
            _arg("--most", type=MOST, default=20, metavar="N", help="so many rows at most (default: 20)"),
            _arg("-o", "--out", metavar="FILE", help="write to this file (.jsonl or .csv)"),
            WHO,
            WHY,
        ),
    ),
    "improve": (
        "improve:improve",
        "one turn of the loop: learn from accepted feedback, prove it, register it",
        (
            SPEC,
            _arg("--watch", action="store_true", help="stay, and go round when the spec says that it is time"),
            _arg(
                "--every", type=_time, default="1 min", metavar="TIME", help="how often --watch looks (default: 1 min)"
            ),
            _arg("--drop", action="store_true", help="drop the challenger that is on its way to users"),
            WHO,
            WHY,
        ),
    ),
    "up": (
        "up:up",
        "the whole loop until Ctrl-C: serve the champion, listen, improve",
        (
            SPEC,
            _arg("--port", type=PORT, metavar="N", help="listen here (default: as the spec says)"),
            _arg(
                "--every",
                type=_time,
                default="1 min",
                metavar="TIME",
                help="how often it is looked whether a round is due",
            ),
        ),
    ),
    "freeze": (
        "improve:freeze",
        "stop all automation of a model, at once",
        (_arg("name", metavar="NAME", help="the model's name"), WHO, WHY),
    ),
    "thaw": (
        "improve:thaw",
        "let automation go on",
        (_arg("name", metavar="NAME", help="the model's name"), WHO, WHY),
    ),
    "forget": (
        "forget:forget",
        "forget a person, or cut a source of feedback out; the next run leaves the same rows out",
        (
            _arg("text", nargs="*", metavar="TEXT", help="what names the person: an e-mail, a number, an id, a name"),
            _arg("--column", metavar="NAME", help="only rows whose cell in this column is one of the texts"),
            _arg("--source", metavar="NAME", help="feedback from this source, or with the key of this name or id"),
            _arg("--dry-run", action="store_true", help="say what would go, and change nothing"),
            _arg("--yes", action="store_true", help="do not ask first"),
            WHO,
            WHY,
        ),
    ),
    "tasks": ("start:tasks", "what can be learned", ()),
    "fsck": ("records:fsck", "prove that nothing in the store is damaged", ()),
    "doctor": ("doctor:doctor", "what this machine can do and what is missing", ()),
    "demo": (
        "demo:demo",
        "the whole story of the loop on real pictures, in about a minute",
        (_arg("--again", action="store_true", help="play it anew where it has been played"), LANGUAGE),
    ),
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """What the console script calls: never returns, exits with the status."""
    from lingqu.cli.signals import INTERRUPTED, end_undisturbed, obey_signals

    try:
        obey_signals()
        status = call(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # Asked again while it said that it stops.
        status = INTERRUPTED
    end_undisturbed()
    sys.exit(status)


def call(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit status.

    >>> call(["--version"])
    lingqu 0.1.0
    0
    """
    try:
        words = _verb(list(arguments))
        parsed = _parser(words).parse_args(words)
        if not hasattr(parsed, "run"):
            _parser(words).print_help()
            return 0
        command: Callable[[argparse.Namespace], int] = _find(parsed.run)
        return command(parsed)
    except (LingquError, ImportError) as error:
        from lingqu.cli.signals import heard

        if isinstance(error, MissingPackageError | ImportError) and (status := heard()):
            # A library that is interrupted while it loads calls itself missing or broken.
            _say_stopped()
            return status
        if isinstance(error, ImportError):
            raise
        _tell(error, as_json="--json" in arguments)
        return error.exit_status
    except MemoryError:
        expected = "memory enough for this work"
        _tell(MemoryLimitError(Problem(expected, "none left", MORE_MEMORY)), as_json="--json" in arguments)
        return MemoryLimitError.exit_status
    except KeyboardInterrupt as stopped:
        from lingqu.cli.signals import INTERRUPTED, TERMINATED, Terminated

        _say_stopped()
        return TERMINATED if isinstance(stopped, Terminated) else INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        sys.stderr.close()
        return 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2


def _say_stopped() -> None:
    """Once for a Ctrl-C: a process that another command of ours began leaves it to that one."""
    if CHILD not in os.environ:
        sys.stderr.write(STOPPED)


def _find(where: str) -> Callable[[argparse.Namespace], int]:
    module, function = where.split(":")
    return getattr(import_module(f"{PARTS}.{module}"), function)


def _tell(error: LingquError, *, as_json: bool) -> None:
    if as_json:
        # Programs read standard output alone, and find there what they can act on.
        problems = [asdict(problem) for problem in error.problems]
        told = {"kind": type(error).__name__, "message": str(error), "problems": problems}
        sys.stdout.write(json.dumps({"error": told}, ensure_ascii=False) + "\n")
    count = len(error.problems)
    said = visible(str(error))
    sys.stderr.write(f"{said}\n" if count == 1 else f"{count} problems:\n{said}\n")


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are ours: expected, found, what to do next."""

    def error(self, message: str) -> NoReturn:
        verb = self.prog.removeprefix("lingqu").strip()
        advice = f"See: lingqu {verb} --help" if verb else "See: lingqu --help"
        usage = " ".join(self.format_usage().removeprefix("usage:").split())
        raise RequestError(Problem(f"a command line such as `{usage}`", message, advice))


def _verb(arguments: list[str]) -> list[str]:
    """The arguments with other tools' words for our verbs put right; UnknownNameError's advice for any other word."""
    arguments = _options_behind(arguments)
    place = next((i for i, word in enumerate(arguments) if not word.startswith("-")), None)
    if place is None or arguments[place] in COMMANDS:
        return arguments
    from lingqu.spec.synonyms import VERBS

    word = arguments[place]
    if word == "help":
        return [*_verb(arguments[place + 1 :]), "--help"]
    if word in VERBS and VERBS[word] in COMMANDS:
        arguments[place] = VERBS[word]
        return arguments
    raise RequestError(Problem("a command of lingqu", f"'{word}'", f"{near(word, COMMANDS)} See: lingqu --help"))


def _options_behind(arguments: list[str]) -> list[str]:
    """The options that every verb has, put behind the verb where somebody wrote them before it.

    >>> _options_behind(["--home", "there", "--json", "versions"])
    ['versions', '--home', 'there', '--json']
    """
    place = 0
    while place < len(arguments) and arguments[place].startswith(("--json", "--home")):
        place += 2 if arguments[place] == "--home" else 1
    return [*arguments[place : place + 1], *arguments[:place], *arguments[place + 1 :]]


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """What reads this command line: where a verb comes first, the others need no parser."""
    about = "From a team's examples to an AI service that keeps improving. Start with: lingqu demo"
    shared = _Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    shared.add_argument("--home", metavar="FOLDER", help="the store (default: LINGQU_HOME, or .lingqu beside the spec)")
    parser = _Parser(prog="lingqu", description=about, epilog=ENDS, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"lingqu {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    first = words[0] if words else ""
    for verb in [first] if first in COMMANDS else COMMANDS:
        where, about, arguments = COMMANDS[verb]
        command = verbs.add_parser(verb, help=about, description=about, parents=[shared], allow_abbrev=False)
        command.set_defaults(run=where)
        for names, settings in arguments:
            command.add_argument(*names, **settings)  # type: ignore[arg-type]
    return parser
