"""The world: a product lives through two shifts under three policies."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.statistics import percentile
from lingqu.statistics.beta import binomial_at_least
from tools.loop.draw import Line, lines
from tools.loop.record import Proof, Row
from tools.loop.world.lives import lives, wanted
from tools.loop.world.play import BAD, STEP
from tools.loop.world.policies import MARGIN
from tools.loop.world.products import PRODUCTS
from tools.loop.world.stream import (
    A_DAY,
    ACTIVE,
    ANSWERS,
    AUDIT,
    AUDIT_DELAY,
    BASE,
    COMPLAINS,
    CONFIRMS,
    DELAY,
    GATE,
    HIDDEN,
    HOSTILE,
    NOISE,
    NOISY,
    SHIFTS,
    USERS,
    VALIDATION,
)
from tools.loop.world.unseen import STILL_AUDITED

NAMES = {
    "lingqu": "lingqu with `proof: unseen`",
    "gate": "lingqu with `proof: gate`",
    "point": "retrain at every 200th label, promote on the point estimate",
    "informed": "the same, with the audit's labels as further rows",
    "never": "never retrain",
}
SHORT = {
    "lingqu": "lingqu, unseen",
    "point": "point estimate",
    "informed": "point and audit",
    "gate": "lingqu, gate",
    "never": "never retrain",
}


GOALS = ("point", "never")
"""Above which lingqu has to be where hostile users send more."""
OURS = {"gate": ("point", "never", "informed"), "lingqu": ("point", "never", "informed", "gate")}
"""The two policies of lingqu, and what each is told beside."""
WHICH = {"gate": "`proof: gate` (the default)", "lingqu": "`proof: unseen`"}


def prove(data: Path, seconds: float = inf) -> Proof:
    """Live what was not lived yet, for so many seconds, and tell of all."""
    known = lives(data, seconds)
    rows, plots, told = [], {}, {}
    for name, (title, *_) in PRODUCTS.items():
        mine = [one for one in known if one["product"] == name]
        for active in (ACTIVE, 1.0):
            part = [one for one in mine if one["active"] == active]
            if part:
                rows += _rows(title, part, active)
                told[f"{name} x{active:g}"] = _figures(part)
                ending = "" if active == ACTIVE else "-equal"
                plots[f"loop-world-{name.replace('_', '-')}{ending}"] = _plot(title, part, active)
    return Proof(
        "The world: a product, its users and two shifts",
        rows,
        [
            _plainly(told),
            *EXPLAINED,
            (
                f"Lived so far: {len(known)} lives of {sum(1 for _ in wanted())} wanted (50 seeds, and 10 where the hostile "
                f"send no more than others); CPU seconds of all of them: {sum(one['cpu_seconds'] for one in known):,.0f}."
            ),
        ],
        plots,
        "Accuracy on today's traffic over the answers given, mean of all seeds with the band of nine in ten: "
        "lingqu by both proofs, point-estimate promotion, and never retraining.",
        told,
    )  # fmt: skip


def _plainly(told: dict[str, Any]) -> str:
    """Where lingqu is ahead and where it is not, in one paragraph."""

    def leads(ours: str, policy: str, active: float) -> str:
        found = [
            one[ours]["after"] - one[policy]["after"] for name, one in told.items() if name.endswith(f" x{active:g}")
        ]
        return ", ".join(f"{100 * lead:+.1f}" for lead in found)

    def over(policy: str, active: float) -> str:
        return (
            f"{leads('gate', policy, active)} by the default and {leads('lingqu', policy, active)} by `proof: unseen`"
        )

    return (
        "**Read plainly.** Mean leads after the first shift, in points, product by product. Where hostile users send more, "
        f"lingqu leads the point estimate by {over('point', ACTIVE)}; the point estimate that has the audit's labels too by "
        f"{over('informed', ACTIVE)}. Where they send no more than others: {over('point', 1)}; {over('informed', 1)}. "
        "A minus says that there the proof cost more time than the poison it kept out was worth: little of what is said is "
        "poison then, and who waits for no proof follows a shift sooner. `proof: unseen` leads the default by "
        f"{leads('lingqu', 'gate', ACTIVE)} and {leads('lingqu', 'gate', 1)}, and of its "
        f"promotions {_counted(told, 'lingqu')} were bad, of the default's {_counted(told, 'gate')}. "
        "What each rule of `proof: gate` costs is the next section."
    )


def _counted(told: dict[str, Any], policy: str) -> str:
    bad, made = (sum(one[policy][what] for one in told.values()) for what in ("bad", "promotions"))
    return f"{bad} of {made:,}"


def _after(part: list[dict[str, Any]], policy: str) -> np.ndarray:
    return np.array([one["policies"][policy]["after"] for one in part])


def _rows(title: str, part: list[dict[str, Any]], active: float) -> list[Row]:
    who = f"hostile users send {active:g} times as much" if active != 1 else "hostile users send as much as others"
    seeds = f"{len(part)} seed{'s' * (len(part) > 1)}"
    found = []
    for ours, others in OURS.items():
        what = f"{title}, {who}, {WHICH[ours]}"
        after, bad = f"{what}: mean accuracy after the first shift ({seeds})", f"{what}: bad promotions ({seeds})"
        found += [_ahead(after, part, ours, theirs, goal=active == ACTIVE and theirs in GOALS) for theirs in others]
        made, beside, informed = ("{} of {}".format(*_bad(part, policy)) for policy in (ours, "point", "informed"))
        names = f"{NAMES['point']}, and with the audit's labels"
        found.append(Row(bad, made, names, f"{beside}, and {informed}", "0", _bad(part, ours)[0] == 0))
    return found


def _ahead(what: str, part: list[dict[str, Any]], ours: str, theirs: str, *, goal: bool) -> Row:
    """How much more accurate one policy is than another after the first shift, and in how many lives."""
    mine, its = _after(part, ours), _after(part, theirs)
    told = f"{mine.mean():.4f}, above in {int((mine > its).sum())} of {len(part)}, lead {_lead(mine - its)}"
    return Row(
        what,
        told,
        NAMES[theirs],
        f"{its.mean():.4f}",
        "above" if goal else "",
        bool(mine.mean() > its.mean()) if goal else None,
    )


def _bad(part: list[dict[str, Any]], policy: str) -> tuple[int, int]:
    mine = [one["policies"][policy] for one in part]
    return sum(one["bad"] for one in mine), sum(len(one["promotions"]) for one in mine)


def _lead(leads: np.ndarray) -> str:
    """The mean lead with its interval over seeds."""
    if len(leads) < 2:
        return f"{leads.mean():+.4f}"
    drawn = np.random.default_rng(0).choice(leads, (2000, len(leads))).mean(1)
    found = percentile(drawn, 0.95)
    return f"{leads.mean():+.4f} ({found.low:+.4f} to {found.high:+.4f})"


def _figures(part: list[dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {"seeds": len(part)}
    for policy in NAMES:
        curves = np.array([one["policies"][policy]["accuracy"] for one in part])
        promotions = [p for one in part for p in one["policies"][policy]["promotions"]]
        told[policy] = {
            "after": round(float(_after(part, policy).mean()), 5),
            "accuracy": [round(float(v), 4) for v in curves.mean(0)],
            "promotions": len(promotions),
            "worse on the hidden sample": sum(gain < 0 for _, gain, _ in promotions),
            "bad": sum(p < BAD for *_, p in promotions),
        }
    wins = int((_after(part, "lingqu") > _after(part, "point")).sum())
    told["sign test that lingqu is no better than the point estimate, p"] = binomial_at_least(wins, len(part), 0.5)
    return told


def _plot(title: str, part: list[dict[str, Any]], active: float) -> str:
    curves, who = [], "more" if active == ACTIVE else "as much as others"
    for policy, short in SHORT.items():
        held = np.array([one["policies"][policy]["accuracy"] for one in part])
        low, high = np.quantile(held, [0.05, 0.95], axis=0)
        curves.append(Line(short, held.mean(0).tolist(), low.tolist(), high.tolist()))
    marks = [(float(SHIFTS[0]), "new mix of labels"), (float(SHIFTS[1]), "new kind of input")]
    x = [float(at) for at in range(0, ANSWERS, STEP)]
    return lines(f"{title.split(' (', maxsplit=1)[0]}: accuracy on today's traffic, {len(part)} seeds, hostile users send {who}", x, curves, across="answers given",
                 up="accuracy", marks=marks)  # fmt: skip


KINDS = "; ".join(f"{title}: {kind}" for title, _, _, _, kind in PRODUCTS.values())
EXPLAINED = [
    (
        f"**What is simulated.** A product opens with {BASE:,} trusted rows, gives {ANSWERS:,} answers ({A_DAY} a day) to "
        f"{USERS} users, and its traffic shifts twice: after {SHIFTS[0]:,} answers other labels become frequent, after "
        f"{SHIFTS[1]:,} the inputs become of a new kind ({KINDS}). An honest user names the right label after "
        f"{100 * COMPLAINS:.0f} % of wrong answers and {100 * CONFIRMS:.0f} % of right ones; {100 * NOISY:.0f} % of the users are "
        f"noisy (they speak after {100 * NOISE:.0f} % of answers, every second time at random); {100 * HOSTILE:.0f} % are hostile "
        f"and act together: to every answer they get they say one and the same label. They send {ACTIVE:g} times as much as "
        f"others, as those do who came for it; the rows where they send no more than others are given too. Labels come late, "
        f"after {DELAY:.0f} answers in the mean. The audit draws {100 * AUDIT:.0f} % of all answers (`lingqu.monitor.audit.asked`), "
        f"and trusted people label these after {AUDIT_DELAY:.0f} answers in the mean. No row is used twice. The dials of this world (how active the hostile are, how large the audit and the base) were changed while looking at seeds 0 and 1, and the rules of `proof: unseen` while looking at seeds 0, 1, 100, 101 and some from 200 on, when the results of `proof: gate` on all seeds were known."
    ),
    (
        "**What of lingqu runs.** Every decision is made by the product's own functions: who is believed "
        "(`feedback.rules.judge`, `feedback.trust.trust_of`), when a round is due (`feedback.trigger.consider`, with the default "
        "200 labels and one a day, and the alarm of `monitor.risk.risk`), what may train (`feedback.influence.within_caps`), what "
        "does harm (`feedback.suspects.suspected`), the gate (`evaluate.gate.decide`, all checks, alpha by "
        "`registry.alpha.AlphaRound`), with "
        f"accuracy as its metric and a `margin` of {100 * MARGIN:.0f} points, since the owner knows that this world moves; "
        f"{GATE:,} frozen gate rows and {VALIDATION} validation rows are of the first day. `promote: auto`. By `proof: unseen` "
        "a challenger that does no harm on the frozen rows answers every row unseen (`serve.shadow: 1.0`), every audit label trains, and labels of answers "
        "given since prove it (`feedback.paired.Compared`, the sequential sign test) or make it give way "
        f"(`feedback.rollout.gives_way`); meanwhile {100 * (1 - STILL_AUDITED):.0f} % of the audit's work goes to rows on "
        "which the two differ, so that people never label more than the audit's share; that is what this owner does, the "
        "product leaves it to them. By `proof: gate` it has to win on "
        "100 fresh audit labels that do not train before (`feedback.round.window`, `spoken`, `evaluate.gate.keeps`), and "
        "leads at once."
    ),
    (
        "**What does not.** No service, journal or store: answers are computed in one go. The model is a linear layer on "
        "frozen features, fitted in closed form, the same for all policies. Canary, probation and rollback, drift "
        "alarms, near-duplicates and reviewers are left out, and so is the check that a round would be in vain: a promotion "
        "takes effect at once, and nobody looks at the review queue. Labels that a cap left out count as new again for the "
        "next round, which the product waits with, and a challenger that hardly differs makes room by its rows alone."
    ),
    (
        "**Beside it.** The point estimate retrains at every 200th label on the base and on all that was said, and promotes "
        "whenever the accuracy on a random fifth of its rows, held out of training, is higher than that of its champion. "
        "It has no audit labels: those are the price of lingqu's gate, and rows of a gate that is worn out train. So that this "
        "is not what is compared, the same policy stands there once more with all audit labels as further rows. "
        f"Accuracy is measured on {HIDDEN:,} rows of the world of that moment which nobody else sees. A promotion is bad when the "
        f"exact McNemar test on these rows says that the new version is worse than the one before, p < {BAD}."
    ),
]
