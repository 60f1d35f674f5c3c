"""`lingqu demo`: the whole story of the loop, on 1,797 real pictures of handwritten digits that lie inside scikit-learn."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.text import Text

from lingqu.cli.children import LINGQU, begin, end
from lingqu.cli.demo.acts import learn, play
from lingqu.cli.demo.crowd import Crowd, Person, Scene
from lingqu.cli.demo.harm import SYBILS
from lingqu.cli.demo.page import story_page
from lingqu.cli.demo.stage import Stage
from lingqu.cli.demo.terminal import Screen, story_table
from lingqu.cli.demo.told import Say, Story
from lingqu.cli.demo.world import OWNED, world
from lingqu.cli.journey import ladder_table
from lingqu.cli.present import emit, err, next_step, out
from lingqu.cli.signals import INTERRUPTED, TERMINATED, Terminated
from lingqu.contract.language import language_of
from lingqu.errors import Problem, RequestError, WorkError
from lingqu.serve.keys import new_key
from lingqu.store import Store, write_bytes, write_json
from lingqu.store.atomic import remove_folder
from lingqu.store.history import now

FOLDER = Path("lingqu-demo")
SPEC = f"""\
# The world of `lingqu demo`: which digit is this? {OWNED} pictures of 8 x 8 pixels, from scikit-learn.
name: digits
task: image-classification
data: {{source: digits.npz, columns: {{image: image, label: label}}}}
budget: 1 min
model: [logistic, cnn]               # two rungs of the ladder, so that the story stays short
gates: {{margin: 0.08}}                # on 166 rows nobody can show less, whichever labels came
serve:
  shadow: 1.0                        # the challenger answers every request unseen, when nobody waits
  votes: 1000
  journal: {{inputs: plain}}           # digits are no personal data; pictures are not kept otherwise
monitor: {{window: 200, audit: 0.3}}   # so that it takes seconds, where a real service takes weeks
improve: {{after: 100 new labels, at_most: 1 per hour, canary: 20, promote: auto}}
"""
PEOPLE = 40
STORY, OURS = "story.json", ".demo"
"""Files of its store: what was told, and the sign that a demo may begin anew there."""


def demo(arguments: argparse.Namespace) -> int:
    """Play the story in the folder lingqu-demo, or show what was played; exit status 1 when a request failed."""
    say = Say(language_of(arguments.language))
    home = Path(arguments.home) if arguments.home else FOLDER / ".lingqu"
    told = home / STORY
    if told.is_file() and not arguments.again:
        return _shown_again(arguments, json.loads(told.read_bytes()), say, home)
    _afresh(home)
    try:
        story, result = _play(arguments, home, say)
    except KeyboardInterrupt as stopped:
        err.print(say("Stopped: nothing of the demo runs on, and `lingqu demo` plays it from the beginning."))
        return TERMINATED if isinstance(stopped, Terminated) else INTERRUPTED
    page = home / "reports" / f"{story.name}-story.html"
    kept = {**story.to_json(), "page": str(page.resolve()), "report": result["report"]}
    write_bytes(page, story_page(kept, say).encode())
    write_json(told, kept)
    _end(arguments, kept, say, home)
    return 1 if story.failures else 0


def _afresh(home: Path) -> None:
    """An empty store for the story; RequestError where the store is somebody else's."""
    if url := os.environ.get("LINGQU_DATABASE_URL"):
        found = f"LINGQU_DATABASE_URL, which names one at {url.partition('://')[0]}"
        raise RequestError(Problem("a database of the demo's own", found, "Unset it for: lingqu demo"))
    if home.exists() and not (home / OURS).is_file():
        advice = "Move it away, or go to another folder: the demo begins with an empty one."
        raise RequestError(Problem("no store, or one of an earlier demo", f"another one at {home}", advice))
    if home.exists():
        remove_folder(home)


def _play(arguments: argparse.Namespace, home: Path, say: Say) -> tuple[Story, dict[str, Any]]:
    """The story from its first second to its last, whatever ends it; nothing runs on afterwards."""
    began, played = time.monotonic(), now()
    made, spec = world(), FOLDER / "lingqu.yaml"
    write_bytes(spec, SPEC.encode())
    write_bytes(FOLDER / "digits.npz", made.owned)
    store = Store.open(home)
    write_bytes(home / OURS, b"")
    err.print(
        Text.assemble(
            say("The story of"),
            " ",
            (str(spec), "bold"),
            ": ",
            say("learn → serve → watch → listen → improve → prove → promote → roll back"),
        )
    )
    with Screen(say, began) as screen:
        stage = Stage(spec, store, made, screen, began)
        result = learn(stage)
        if not arguments.json:
            screen.pause()
            out.print(ladder_table(result["ladder"]))
        stage.people += _people(store)
        with _serving(home, screen.begin("serve")) as url:
            stage.happened("serve", "{model} answers on {url}", model=f"{stage.name}@{result['version']}", url=url)
            scene = Scene(made.asking)
            with Crowd(url, stage.name, stage.people[:-SYBILS], scene, began) as crowd:
                play(stage, crowd)
        seconds = time.monotonic() - began
    return Story(stage.name, played, seconds, stage.events, crowd.answered, crowd.sent, crowd.failures), result


def _people(store: Store) -> list[Person]:
    """Everybody with a key of their own; the last few are one hand."""
    names = [f"user-{number + 1}" for number in range(PEOPLE)] + [f"sybil-{number + 1}" for number in range(SYBILS)]
    return [Person(name, new_key(store, name, days=1)[1]) for name in names]


@contextmanager
def _serving(home: Path, live: Any) -> Iterator[str]:
    """`lingqu serve digits` on a free port of this machine; its address."""
    command = [*LINGQU, "serve", "digits", "--port", "0", "--json", "--home", str(home.resolve())]
    live(0.2, "lingqu serve digits")
    with tempfile.TemporaryFile() as said:
        process = begin(command, FOLDER, stdout=subprocess.PIPE, stderr=said)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                said.seek(0)
                found = said.read().decode(errors="replace").strip()[-500:] or "nothing said"
                raise WorkError(Problem("a service that answers", found))
            yield json.loads(line)["url"]
        finally:
            end(process)
            if process.stdout is not None:
                process.stdout.close()


def _shown_again(arguments: argparse.Namespace, kept: dict[str, Any], say: Say, home: Path) -> int:
    """The story that was played here before."""
    err.print(
        say("Played on {day}; `lingqu demo --again` plays it anew.", day=f"{kept['played'][:16].replace('T', ' ')} UTC")
    )
    _end(arguments, kept, say, home)
    return 1 if kept["requests"]["failed"] else 0


def _end(arguments: argparse.Namespace, kept: dict[str, Any], say: Say, home: Path) -> None:
    """The story as a table, where its page is, and what to type next."""
    requests = kept["requests"]
    counted = say(
        "{sent} requests, {failed} failed; {seconds} s.",
        sent=f"{requests['sent']:,}",
        failed=requests["failed"],
        seconds=f"{kept['seconds']:.0f}",
    )
    emit(
        arguments,
        kept,
        story_table(kept, say),
        Text(f"\n{counted}", style="bold" if not requests["failed"] else "bold red"),
        Text.assemble(say("The story, drawn:"), f" {kept['page']}"),
        Text.assemble(say("The first model's report:"), f" {kept['report']}"),
        next_step(f"lingqu history digits --home {home}", say("every decision as a sentence")),
        next_step(f"lingqu up {FOLDER}", say("serve it and go on improving, until Ctrl-C")),
    )
