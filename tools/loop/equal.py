"""P2: thirty rounds of challengers that are no better than the champion, on real answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.evaluate.gate import decide
from lingqu.registry.alpha import AlphaRound
from lingqu.tasks import find_task
from tools.loop.draw import Line, lines
from tools.loop.news import Pair, pair
from tools.loop.record import Proof, Row, of, percent

SEQUENCES, ROUNDS, RESAMPLES = 100, 30, 1000
SIZES = (500, 1000)


def prove(data: Path) -> Proof:
    """Deal equal models from two real ones, and put them through the gate round after round."""
    held = pair(data)
    rows, told, curves = [], {}, []
    for size in SIZES:
        found = [_sequence(held, size, seed) for seed in range(SEQUENCES)]
        any_ours = sum(min(one["ours"], default=ROUNDS) < AlphaRounds.first_spent for one in found)
        fresh = sum(bool(one["ours"]) for one in found)
        any_theirs = sum(bool(one["theirs"]) for one in found)
        gain = float(np.mean([one["imagined"] for one in found]))
        gain_ours = float(np.mean([one["imagined_ours"] for one in found]))
        rows += [
            Row(
                f"30 rounds on one holdout of {size:,} rows: any promotion",
                of(any_ours, SEQUENCES),
                "better on the holdout",
                of(any_theirs, SEQUENCES),
                "<= 5 %",
                any_ours / SEQUENCES <= 0.05,
            ),
            Row(
                f"promotions in 30 rounds, {size:,} rows, mean",
                f"{np.mean([len([k for k in one['ours'] if k < AlphaRounds.first_spent]) for one in found]):.2f}",
                "better on the holdout",
                f"{np.mean([len(one['theirs']) for one in found]):.2f}",
            ),
            Row(
                f"accuracy that is reported and not there, {size:,} rows",
                f"{100 * gain_ours:+.2f} points",
                "better on the holdout",
                f"{100 * gain:+.2f} points",
            ),
            Row(
                f"fresh rows as often as the budget asks for them (every six rounds), {size:,} rows: any promotion",
                of(fresh, SEQUENCES),
            ),
        ]
        told[f"{size}"] = {"ours": any_ours, "fresh": fresh, "theirs": any_theirs, "gain": gain, "gain_ours": gain_ours}
        if size == SIZES[-1]:
            curves = _curves(found)
    return Proof(
        "P2. Equal models, thirty rounds",
        rows,
        [
            ("Two n-gram models of lingqu were learned from different 1,500 rows of AG News. A model of this proof gives, "
            f"row by row, the answer of one or of the other by a fair coin: all such models are equally good, and they "
            f"disagree in being right on about {percent(held.discordance / 2, 0)} of the rows. The champion meets 30 such "
            "challengers on one holdout. lingqu: `decide` with every check, alpha spent by `AlphaRound`; after six looks "
            "its budget is spent and it asks for fresh rows, so that nothing more is promoted. Each fresh set has a "
            "budget of its own: the last row gives it five of them in the thirty rounds."),
        ],
        {"loop-equal": lines(
            f"Sequences with a promotion so far, of {SEQUENCES} (1,000 rows)", range(1, ROUNDS + 1), curves,
            across="rounds", up="share", y_range=(0.0, 1.0),
        )},
        "The share of sequences in which an equal model was promoted, over 30 rounds: near zero for lingqu, near one for the usual rule.",
        told,
    )  # fmt: skip


class AlphaRounds:
    """Which looks at one gate set may still promote."""

    first_spent = next(k for k in range(1, 100) if AlphaRound.of(k).exhausted) - 1
    """How many rounds one set allows; counted from 0, the first that it does not."""


def _sequence(held: Pair, size: int, seed: int) -> dict[str, Any]:
    rng, task = np.random.default_rng([seed, size]), find_task("text-classification")
    sets = [rng.choice(len(held.truth), size, replace=False) for _ in range(-(-ROUNDS // AlphaRounds.first_spent))]
    champion, ours = [_dealt(held, rng) for _ in range(2)], []
    usual, theirs = champion[1], []
    first = champion[0]
    for number in range(ROUNDS):
        challenger = _dealt(held, rng)
        which, look = divmod(number, AlphaRounds.first_spent)
        places = sets[which]
        decision = decide(
            task,
            held.truth[places].tolist(),
            champion[0][places].tolist(),
            challenger[places].tolist(),
            alpha=AlphaRound.of(look + 1).alpha,
            resamples=RESAMPLES,
            seed=seed,
        )
        if decision.promoted:
            ours.append(number)
            champion[0] = challenger
        if _share(held, challenger, sets[0]) > _share(held, usual, sets[0]):
            theirs.append(number)
            usual = challenger
    # All are equally good, so whatever more a holdout shows was imagined.
    true = float((held.right(held.first).mean() + held.right(held.second).mean()) / 2)
    base = float((held.right(held.first)[sets[0]].mean() + held.right(held.second)[sets[0]].mean()) / 2)
    return {
        "ours": ours,
        "theirs": theirs,
        "imagined": _share(held, usual, sets[0]) - base,
        "imagined_ours": _share(held, champion[0] if ours and ours[0] < AlphaRounds.first_spent else first, sets[0])
        - base,
        "true": true,
    }


def _dealt(held: Pair, rng: np.random.Generator) -> NDArray[Any]:
    return np.where(rng.random(len(held.truth)) < 0.5, held.first, held.second)


def _share(held: Pair, answers: NDArray[Any], places: NDArray[Any]) -> float:
    given = zip(answers[places].tolist(), held.truth[places].tolist(), strict=True)
    return float(np.mean([answer.label == true for answer, true in given]))


def _curves(found: list[dict[str, Any]]) -> list[Line]:
    def so_far(name: str, limit: int) -> list[float]:
        firsts = [min((k for k in one[name] if k < limit), default=ROUNDS) for one in found]
        return [float(np.mean([first <= number for first in firsts])) for number in range(ROUNDS)]

    return [
        Line("lingqu", so_far("ours", AlphaRounds.first_spent)),
        Line("better on the holdout", so_far("theirs", ROUNDS)),
    ]
