"""The models that were tried: quality against what they cost, how each learned, and what was made smaller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lingqu.evaluate.page.markup import Markup, el, join
from lingqu.evaluate.page.plot import Axes, Scale, around, powers
from lingqu.evaluate.page.quality import section
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import between, measured, milliseconds, seconds, size, title

SHOWN_TRIALS = 5
"""The best trials of a search; the first one stands below for comparison."""

Report = Mapping[str, Any]
Rungs = Sequence[Mapping[str, Any]]
PRICES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("seconds", "training time", lambda v: f"{v:g} s"),
    ("bytes", "size of the model", lambda v: size(v).replace(".0 ", " ")),
    ("ms_per_row", "time of an answer", lambda v: f"{v:g} ms"),
)


def ladder(report: Report, say: Words) -> Markup | None:
    """Every model that was tried, from the cheapest up, drawn against each of its prices."""
    rungs = report.get("ladder")
    if not rungs:
        return None
    chosen = report.get("chosen") or {}
    shipped, name = chosen.get("recipe") or report.get("family", ""), title(report["decide_by"], say)
    heads = (say("Model"), name, say("Trained in"), say("Memory"), say("Size"), say("An answer"))
    head = el("tr", *[el("th", text, scope="col") for text in heads])
    table = el("table", el("thead", head), el("tbody", *[_line(rung, shipped, say) for rung in rungs]))
    known = [rung for rung in rungs if rung.get("value") is not None]
    pictures = [_climb(known, shipped, name, price, say) for price in PRICES] if len(known) > 1 else []
    why = (
        el("p", el("b", chosen["recipe"]), ": ", say.told(str(chosen.get("why", ""))), cls="lead")
        if chosen.get("recipe") and len(rungs) > 1
        else None
    )
    guide = say(
        "The models that were tried, from the cheapest up, on validation rows. The one in colour is shipped; a dearer one is "
        "taken only if it pays. Bars are 95 % intervals; further left is cheaper."
    )
    content = [why, el("div", *pictures, cls="panels three") if pictures else None, el("div", table, cls="scroll")]
    content.append(searched(report.get("tune"), say))
    return section(say("Models tried"), guide, *content, smaller(report.get("compress"), say))


def _line(rung: Mapping[str, Any], shipped: str, say: Words) -> Markup:
    return el(
        "tr",
        el("td", rung.get("recipe", "")),
        el("td", measured(rung.get("value")), " ", el("small", between(rung, say))),
        el("td", seconds(rung.get("seconds")), *_foretold(rung, "seconds", seconds, say)),
        el("td", _mebibytes(rung.get("memory_mib")), *_foretold(rung, "memory_mib", _mebibytes, say)),
        el("td", size(rung.get("bytes"))),
        el("td", milliseconds(rung.get("ms_per_row"))),
        cls="own" if rung.get("recipe") == shipped else None,
    )


def _foretold(
    rung: Mapping[str, Any], name: str, text: Callable[[float | None], str], say: Words
) -> tuple[str | Markup, ...]:
    """What was expected before the rung began, where a pilot or its first steps said it."""
    told = (rung.get("forecast") or {}).get(name)
    return () if told is None else (" ", el("small", say("foretold: {value}", value=text(told))))


def _mebibytes(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} MiB"


def _climb(
    rungs: Rungs, shipped: str, metric: str, against: tuple[str, str, Callable[[float], str]], say: Words
) -> Markup | None:
    """Quality against one price, on a logarithmic scale."""
    price, name, text = against
    priced = [rung for rung in rungs if rung.get(price)]
    if not priced:
        return None
    edges = [v for rung in priced for v in (rung.get("low"), rung.get("high"), rung["value"]) if v is not None]
    axes = Axes(powers([rung[price] for rung in priced]), around(edges, 0.12), width=320, height=250)
    parts = axes.frame(say(name), metric, x_text=text, y_text=lambda v: f"{v:g}", most=4)
    for rung in sorted(priced, key=lambda rung: rung.get("recipe") == shipped):
        where, marks = rung[price], [axes.dot(rung[price], rung["value"])]
        if rung.get("low") is not None:
            marks.insert(0, axes.whisker(where, rung["low"], rung["high"]))
        parts.append(el("g", *marks, cls=None if rung.get("recipe") == shipped else "other"))
    parts += axes.names(
        [(r[price], r["value"], r.get("recipe", ""), "strong" if r.get("recipe") == shipped else "") for r in priced]
    )
    told = ", ".join(f"{r.get('recipe')}: {measured(r['value'])}, {text(round(r[price], 3))}" for r in priced)
    return el("figure", axes.picture(f"{metric}, {say(name)}: {told}", *parts))


def learning(report: Report, say: Words) -> Markup | None:
    """Training and validation loss of each model that learned in epochs, and what that says."""
    drawn = [rung for rung in report.get("ladder") or [] if rung.get("learning")]
    if not drawn:
        return None
    figures = [_curve(rung, say) for rung in drawn]
    guide = say(
        "The loss by epoch, on the rows that were learned and on validation rows. The ring marks the epoch whose weights were "
        "kept. Too much learning shows as a validation loss that rises again, too little as one that still falls at the end."
    )
    return section(say("How it learned"), guide, el("div", *figures, cls="panels two"))


def _curve(rung: Mapping[str, Any], say: Words) -> Markup:
    history = [one for one in rung["history"] if one.get("validation") is not None and one.get("loss") is not None]
    epochs = [float(one.get("epoch", i)) for i, one in enumerate(history, 1)]
    train, valid = ([float(one[key]) for one in history] for key in ("loss", "validation"))
    low, high = min(epochs), max(epochs)
    axes = Axes(Scale(low, high if high > low else low + 1), around([0.0, *train, *valid], 0.02), width=400, height=260)
    parts = axes.frame(say("epoch"), say("loss"), y_text="{:.3g}".format)
    parts += [axes.line(epochs, train, "other-line"), axes.line(epochs, valid, "curve")]
    best = valid.index(min(valid))
    parts.append(axes.dot(epochs[best], valid[best], "ring", 6.5))
    if len(history) == 1:
        parts.append(axes.dot(epochs[0], train[0], "cloud", 4))
    told = verdict(rung["learning"], say)
    legend = el(
        "p",
        el("span", el("i", cls="k-own"), say("validation rows")),
        el("span", el("i", cls="k-other"), say("training rows")),
        cls="legend",
    )
    said = f"{rung.get('recipe', '')}. {told}"
    return el("figure", el("h3", rung.get("recipe", "")), legend, axes.picture(said, *parts), el("figcaption", told))


def verdict(found: Mapping[str, Any], say: Words) -> str:
    """What a learning curve says, in a sentence.

    >>> verdict({"verdict": "overfits", "best_epoch": 4, "best": 0.31, "last": 0.36}, Words("en"))
    'Overfits after epoch 4: validation loss rose from 0.310 to 0.360 while training loss went on falling. Epoch 4 was kept.'
    """
    values = {
        "epoch": found["best_epoch"],
        "best": measured(found["best"]),
        "last": measured(found["last"]),
    }
    if found["verdict"] == "overfits":
        return say(
            "Overfits after epoch {epoch}: validation loss rose from {best} to {last} while training loss went on falling. "
            "Epoch {epoch} was kept.",
            **values,
        )
    if found["verdict"] == "still-learning":
        return say("Underfits: validation loss still fell at the end, to {best}. More epochs may help.", **values)
    if found["verdict"] == "levelled-off":
        return say("Learned enough: validation loss levelled off at {best} (epoch {epoch}).", **values)
    return say("Too few epochs to tell over- from underfitting; validation loss was {best}.", **values)


def searched(told: Mapping[str, Any] | None, say: Words) -> Markup | None:
    """The search over dials: how many trials, the best of them, and whether it is shipped."""
    if not told or not told["trials"]:
        return None
    trials = told["trials"]
    tried = say(
        "{done} of {asked} trials of {recipe} in {time}; {early} ended early on a part of the rows.",
        done=len(trials),
        asked=told["asked"],
        recipe=told["recipe"],
        time=seconds(told["seconds"]),
        early=sum(one["state"] == "pruned" for one in trials),
    )
    ended = [one for one in trials if one["state"] == "complete"]
    best = sorted(ended, key=lambda one: (one["error"], one["number"]))[:SHOWN_TRIALS]
    shown = [*best, *(one for one in trials[:1] if one not in best)]
    heads = (say("Trial"), say("Error (half of validation)"), say("Dials"))
    lines = [
        el(
            "tr",
            el("td", str(one["number"])),
            el("td", measured(one["error"])),
            el("td", ", ".join(f"{name} {_dial(value)}" for name, value in one["dials"].items()), cls="wrap"),
            cls="own" if told["taken"] and one["number"] == told["best"] else None,
        )
        for one in shown
    ]
    head = el("tr", *[el("th", text, scope="col") for text in heads])
    table = el("div", el("table", el("thead", head), el("tbody", *lines)), cls="scroll")
    why = str(told["why"])
    return join(el("h3", say("Search over dials")), el("p", tried, " ", say.told(why)), table)


def _dial(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def smaller(steps: Sequence[Mapping[str, Any]] | None, say: Words) -> Markup | None:
    """Each step of compression: what it saved, what it cost, and whether it was kept."""
    if not steps:
        return None
    heads = [say(text) for text in ("Step", "Size", "Cost on validation rows", "An answer", "p")]
    head = el("tr", *[el("th", text, scope="col") for text in heads])
    lines = [_step(step, say) for step in steps]
    note = say(
        "p is the chance of a cost this large if the smaller model were as good; a small p would be a cost that is seen."
    )
    table = el("div", el("table", el("thead", head), el("tbody", *lines)), cls="scroll")
    return join(el("h3", say("Made smaller")), table, el("p", note, cls="more"))


def _step(step: Mapping[str, Any], say: Words) -> Markup:
    kept = say("kept") if step["kept"] else say("not kept")
    why = f"{kept}: {say.told(str(step['why']))}"
    p = step.get("p")
    return el(
        "tr",
        el("td", el("b", say.told(str(step["method"]))), el("br"), el("small", why), cls="wrap"),
        el("td", _change(step.get("bytes_before"), step.get("bytes_after"), size)),
        el("td", _change(step.get("loss_before"), step.get("loss_after"), measured) if step.get("rows") else "–"),
        el("td", _change(step.get("ms_before"), step.get("ms_after"), milliseconds)),
        el("td", "–" if p is None else f"{p:.2g}"),
        cls="own" if step["kept"] else None,
    )


def _change(before: float | None, after: float | None, text: Callable[[float | None], str]) -> str:
    return f"{text(before)} → {text(after)}" if before is not None and after else "–"
