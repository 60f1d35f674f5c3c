"""The verb `forget`: what would go is shown, then asked, then done; exit status 1 when something of it is left, or may be."""

from __future__ import annotations

import argparse
import sys

from rich.prompt import Confirm
from rich.text import Text

from lingqu.cli.present import emit, err, next_step, store_folder
from lingqu.cli.records import who
from lingqu.errors import Problem, RequestError
from lingqu.feedback.forget import BACKUPS, Forgotten
from lingqu.feedback.forget import forget as let_go
from lingqu.feedback.forget.left_out import Unsure
from lingqu.feedback.forget.origins import Origin
from lingqu.registry.rollouts import CHALLENGER
from lingqu.store import Store
from lingqu.store.aliases import CHAMPION

SHOWN = 20


def forget(arguments: argparse.Namespace) -> int:
    """Out of rows, models' records, caches, journal, feedback, reports and history."""
    folder = store_folder(arguments)
    if not folder.is_dir():
        raise RequestError(Problem("a store", f"no folder {folder}", "Say where it is with --home."))
    store = Store.open(folder)
    asked = {"column": arguments.column, "source": arguments.source, "store": store}
    if not (arguments.dry_run or arguments.yes):
        found = let_go(*arguments.text, **asked, dry_run=True)
        if found.nothing and not found.begun:
            emit(arguments, found.to_json(), *_lines(found))
            return 0
        # What is left of a request that was broken off holds nothing that anybody could miss.
        if not found.nothing:
            _ask(found)
    found = let_go(*arguments.text, **asked, dry_run=arguments.dry_run, who=who(arguments), why=arguments.why or "")
    emit(arguments, found.to_json(), *_lines(found))
    return 1 if found.done and (found.left or found.unsure or not found.compacted) else 0


def _ask(found: Forgotten) -> None:
    """RequestError where nobody can answer, or the answer is no."""
    advice = "Look with --dry-run, then add --yes."
    if not sys.stdin.isatty():
        raise RequestError(Problem("--yes, for nothing that is forgotten comes back", "nobody to ask", advice))
    for line in _lines(found):
        err.print(line)
    if not Confirm.ask("Nothing of this comes back. Forget it?", console=err, default=False):
        raise RequestError(Problem("yes", "no", "Nothing was changed."))


def _lines(found: Forgotten) -> list[Text]:
    if found.nothing and not found.done:
        told = "Nothing of it is in this store."
        later = " With --yes a person is remembered all the same, so that rows that come later stay out."
        return [Text(told if found.begun else told + later)]
    did = "Forgotten" if found.done else "Would be forgotten"
    counts = (
        (found.rows, "rows of data"),
        (sum(one["set_aside"] for one in found.data), "broken rows that were set aside"),
        (found.predictions, "answers of the journal"),
        (found.feedback, "feedbacks"),
        (found.keys, "keys"),
        (found.history, "rows of the history, rewritten"),
    )
    said = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing more"
    lines = [Text.assemble((f"{did}: ", "bold"), f"{said}.")]
    if not found.done:
        lines += [Text(f"Now in: {path}", style="dim") for path in found.left[:SHOWN]]
    for model in found.models:
        part = "learned from" if model["learned_from_them"] else "was measured on"
        alias = f" ({', '.join(model['aliases'])})" if model["aliases"] else ""
        lines.append(Text(f"{model['name']}@{model['version']}{alias} {part} {model['rows']:,} of these rows."))
    lines += [_origin(origin) for origin in found.origins if origin.rows or origin.why]
    lines += [Text(_unsure(unsure), style="red") for unsure in found.unsure]
    if found.done:
        lines += [Text(f"Still there: {place}", style="red") for place in found.left]
        if not found.compacted:
            busy = "Another process keeps the database open: stop it and run the same command again to clear its log."
            lines.append(Text(busy, style="red"))
    lines.append(Text(BACKUPS, style="dim"))
    return lines + _steps(found) if found.done else lines


def _steps(found: Forgotten) -> list[Text]:
    """What takes their place where users are answered, or would be; a version without an alias answers nobody."""
    leading = dict.fromkeys(model["next"] for model in found.models if CHAMPION in model["aliases"])
    steps = [
        next_step(verb, "to learn it again; then: lingqu promote NAME@N --override --why REASON") for verb in leading
    ]
    if any(CHALLENGER in model["aliases"] for model in found.models):
        steps.append(next_step("lingqu improve --drop", "the challenger is not to lead; then: lingqu improve"))
    return steps


def _unsure(unsure: Unsure) -> str:
    models = f" ({', '.join(unsure.models)})" if unsure.models else ""
    some = f"{unsure.rows:,} row{'s' * (unsure.rows != 1)} of data version {unsure.data[:12]}{models}"
    advice = "Put it back as it was read, and run the same command again."
    return f"Nobody can tell whose {some} {'are' if unsure.rows != 1 else 'is'} ({unsure.why}). {advice}"


def _origin(origin: Origin) -> Text:
    if origin.why:
        return Text(f"Your own {origin.source}: {origin.why}.")
    listed = ", ".join(map(str, origin.rows[:SHOWN])) + (" …" if origin.count > SHOWN else "")
    rows = "row" if origin.count == 1 else "rows"
    return Text(
        f"Your own {origin.source} holds it in {rows} {listed}; lingqu never writes there, and leaves them out."
    )
