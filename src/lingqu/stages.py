"""The stages of the journey: what each needs, what its result depends on, and where that is kept.

`loop.run` calls them in order. Each result is plain JSON that names blobs of the store; it is found by the hash of the
stage's inputs and of the code that makes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.contract import Answer, Rows, Task
from lingqu.data.accept import columns_of, learn_limits
from lingqu.data.sources import fingerprints
from lingqu.data.version import DataVersion, ingest
from lingqu.errors import BundleError, DataError, Problem, RequestError, TrainingError, missing_package, near
from lingqu.models.hub import identity
from lingqu.spec import Spec
from lingqu.store import Store
from lingqu.store.canonical import is_digest
from lingqu.store.source import libraries, source_beside
from lingqu.train import ladder

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.compress.comparison import Comparison

Tell = Callable[[str, float, str], None]
"""Progress: the stage, how much of it is done (0 to 1), one sentence."""
Say = Callable[[float, str], None]
"""The same from inside a stage."""

# The code that a stage's result depends on; a change of any file there does the stage again.
DATA = ("contract", "data", "stages")
TRAIN = (*DATA, "losses", "models", "spec", "tasks", "train")
BUNDLE = (*DATA, "bundle", "models", "tasks")
COMPRESS = (*TRAIN, "bundle", "compress", "statistics")
EVALUATE = (*BUNDLE, "evaluate", "metrics", "registry", "statistics")

TRAINING_PACKAGES = (
    "torch",
    "onnx",
    "sklearn",
    "lightgbm",
    "scipy",
    "pyarrow",
    "safetensors",
    "threadpoolctl",
)


def silent(_stage: str, _done: float, _sentence: str) -> None:
    """Tells nobody."""


PILOT_VALIDATION = 2000
"""So many validation rows judge a pilot."""


class Stages:
    """The stages of one run.

    `cached` names those whose result was already there, `failed` the rungs that broke, `pilots` holds what was foretold
    of the rungs that were climbed, `skipped` why others were not, and `piloting` the seconds that this took.
    """

    def __init__(self, spec: Spec, task: Task, store: Store, tell: Tell = silent) -> None:
        self.spec, self.task, self.store, self.tell = spec, task, store, tell
        self.cached: list[str] = []
        self.failed: list[dict[str, str]] = []
        self.pilots: list[dict[str, Any]] = []
        self.skipped: list[dict[str, Any]] = []
        self.piloting = 0.0

    def told(self) -> dict[str, Any]:
        """What a run tells of its way."""
        return {name: getattr(self, name) for name in ("failed", "pilots", "skipped", "cached")}

    def data(self) -> DataVersion:
        """Read, check, type, group and split the rows."""
        settings = self.spec.located_data()
        inputs = {
            "task": self.task.name,
            "settings": settings.model_dump(mode="json", exclude={"source", "root"}),
            "sources": fingerprints(settings),
        }
        told = self._once("data", inputs, DATA, lambda _, say: ingest(settings, self.task, self.store, say).as_dict())
        data = DataVersion.from_dict(told)
        self._check_slices(data)
        self._check_champion(data)
        return data

    def _check_champion(self, data: DataVersion) -> None:
        """RequestError for columns that the champion reads and these rows lack: no gate could compare the two."""
        from lingqu.bundle.trust import read_manifest
        from lingqu.registry import Registry

        registry = Registry(self.store)
        champion = registry.alias(self.spec.name, "champion")
        if champion is None:
            return
        version = registry.get(f"{self.spec.name}@{champion[0]}")
        columns = read_manifest(self.store.folder_path(version.bundle, verify=False))["columns"]
        gone = [column["name"] for column in columns if column["name"] not in data.kinds and not column["missing"]]
        if gone:
            advice = "Bring it back, or give the spec another name: a model of its own needs no comparison."
            raise RequestError(
                Problem(f"the column {name!r} that the champion {version.reference} reads", "no such column", advice)
                for name in gone
            )

    def _check_slices(self, data: DataVersion) -> None:
        """RequestError for a column under gates.slices that cannot part the test rows, before anything is trained."""
        if not self.spec.gates.slices:
            return
        from lingqu.evaluate.slices import slice_columns

        known = slice_columns(self.task, data.rows("test", self.store))
        unknown = [column for column in self.spec.gates.slices if column not in known]
        if unknown:
            expected = "a column under gates.slices that parts the test rows"
            raise RequestError(Problem(expected, repr(column), near(column, known)) for column in unknown)

    def rung(self, family: str, data: DataVersion, seconds: float, *, needed: bool) -> dict[str, Any] | None:
        """Train one family and make its bundle; None when that fails and the rung is not `needed`, its reason kept."""
        try:
            return self.bundle(self.train(family, data, seconds), data)
        except (TrainingError, BundleError) as error:
            if needed:
                raise
            self.failed.append({"recipe": family, "why": str(error)})
            self.tell(f"train {family}", 1.0, str(error))
            return None

    def worth(self, family: str, data: DataVersion, left: float) -> bool:
        """Whether this recipe should pay within the `left` seconds: a pilot on a tenth of the rows foretells it."""
        if not ladder.wants_pilot(self.spec, data.counts["train"]):
            return True
        told = self.pilot(family, data)
        self.piloting += sum(point["seconds"] for point in told["points"])
        if "untold" in told:
            return True
        why = ladder.pays(told, self.pilots, left)
        if why:
            self.skipped.append({"recipe": family, "why": why, **told})
            self.tell(f"pilot {family}", 1.0, f"not climbed: {why}")
        else:
            self.pilots.append({"recipe": family, **told})
        return not why

    def pilot(self, family: str, data: DataVersion) -> dict[str, Any]:
        """What the recipe reaches on a twentieth and a tenth of the rows, and what that foretells of all of them."""
        inputs = {
            "data": data.id,
            "family": family,
            "size": self.spec.size,
            "settings": self.spec.train.model_dump(mode="json"),
            **identity(family),
        }

        def work(stage: Path, say: Say) -> dict[str, Any]:
            from lingqu.evaluate.rung import error_of
            from lingqu.train.folds import learned_answers

            train, valid = (data.rows(split, self.store) for split in ("train", "validation"))
            valid = valid.take(range(min(PILOT_VALIDATION, len(valid))))
            points = []
            for part in ladder.PILOT_PARTS:
                rows = train.take(range(0, len(train), part))
                say(len(points) / 2, f"trying {len(rows):,} rows")
                started = time.perf_counter()
                try:
                    answers = learned_answers(
                        self.task, family, rows, valid, valid, part=f"pilot{part}", **self._how(data, stage)
                    )
                except (DataError, TrainingError) as error:
                    # A part may lack a rare label, or be too small to learn from: then the rung itself must show.
                    return {"points": points, "untold": str(error)}
                seconds = time.perf_counter() - started
                error = error_of(self.task, valid, answers)
                points.append({"rows": len(rows), "error": error, "seconds": round(seconds, 3)})
            return {"points": points, **ladder.forecast(points, len(train))}

        return self._once(f"pilot {family}", inputs, (*TRAIN, *EVALUATE), work)

    def train(self, family: str, data: DataVersion, seconds: float) -> dict[str, Any]:
        """Train one family; its weights and its memory are blobs."""
        spec = self.spec
        inputs = {
            "data": data.id,
            "family": family,
            "size": spec.size,
            "budget": spec.budget_seconds,
            # Threads follow from the cores where the spec does not say, and the bits from the threads.
            "cores": min(2, os.cpu_count() or 1) if spec.train.threads is None else None,
            "settings": spec.train.model_dump(mode="json"),
            **identity(family),
        }

        def work(stage: Path, say: Say) -> dict[str, Any]:
            from lingqu.train.rung import climb

            return climb(
                self.task,
                family,
                train=data.rows("train", self.store),
                valid=data.rows("validation", self.store),
                kinds=data.kinds,
                size=spec.size,
                settings=spec.train,
                seconds=seconds,
                store=self.store,
                work=stage,
                tell=say,
            )

        return self._once(f"train {family}", inputs, TRAIN, work)

    def bundle(self, trained: dict[str, Any], data: DataVersion) -> dict[str, Any]:
        """Export the rung, prove that bundle and network agree, and score the bundle on validation rows."""
        family = trained["family"]
        learned = {name: trained[name] for name in ("weights", "memory", "facts", "settings")}

        def work(stage: Path, say: Say) -> dict[str, Any]:
            from lingqu.bundle.write import write_candidate
            from lingqu.evaluate.rung import price, score
            from lingqu.train.rung import restore

            network, memory = restore(trained, self.store)
            valid = data.rows("validation", self.store)
            kinds = columns_of(self.task, data.kinds)
            limits = learn_limits(data.rows("train", self.store), kinds, data.columns)
            say(0.3, "exporting and comparing with the network")
            bundle = write_candidate(
                stage / "bundle",
                task=self.task,
                family=family,
                network=network,
                memory=memory,
                columns=limits,
                rows=valid,
            )
            say(0.6, "scoring on validation rows")
            return {
                "family": family,
                "bundle": self.store.put_folder(bundle.path),
                "parity": bundle.manifest["parity"],
                "score": score(bundle, valid, self.task.decide_by),
                "bytes": (bundle.path / "model.onnx").stat().st_size,
                "ms_per_row": price(bundle, valid),
            }

        # The columns' names in the user's file are part of the contract, and no part of the data version's id.
        inputs = {"data": data.id, "columns": data.columns, "trained": learned}
        found = self._once(f"bundle {family}", inputs, BUNDLE, work)
        return {**trained, **found}

    def choose(self, rungs: list[dict[str, Any]], data: DataVersion) -> dict[str, Any]:
        """The rung to ship: the cheapest that validation rows cannot tell from the best."""
        if len(rungs) == 1:
            return {**rungs[0], "why": "the only one that was tried"}

        by_folds = ladder.judged_by_folds(rungs, data.counts["validation"], self.spec.budget_seconds)

        def work(stage: Path, say: Say) -> dict[str, Any]:
            from lingqu.bundle.read import Bundle
            from lingqu.evaluate.rung import choose, judged_rung

            rows = data.rows("validation", self.store)
            answers: list[list[Answer] | None] = [None] * len(rungs)
            if by_folds:
                whole = data.rows("train", self.store).followed_by(rows)
                # A fold may lack a rare label: then the validation rows choose after all.
                with suppress(DataError, TrainingError):
                    answers = [self._by_fold(rung, whole, data, stage, say) for rung in rungs]
                    rows = whole
            say(0.9, f"comparing the rungs on the same {len(rows):,} rows")
            bundles = [Bundle.open(self.store.folder_path(rung["bundle"])) for rung in rungs]
            judged = [judged_rung(bundle, rows, told) for bundle, told in zip(bundles, answers, strict=True)]
            return choose([rung["family"] for rung in rungs], judged, self.task.decide_by)

        inputs = {"data": data.id, "rungs": [rung["bundle"] for rung in rungs], "by folds": by_folds}
        if by_folds:
            inputs |= {"size": self.spec.size, "train": self.spec.train.model_dump(mode="json")}
        found = self._once("choose", inputs, (*TRAIN, *EVALUATE), work)
        return {**rungs[found["chosen"]], "why": found["why"]}

    def _by_fold(self, rung: dict[str, Any], rows: Rows, data: DataVersion, stage: Path, say: Say) -> list[Answer]:
        from lingqu.train.folds import answers_by_fold

        groups = [group for split in ("train", "validation") for group in data.groups(split, self.store)]
        return answers_by_fold(self.task, rung["recipe"], rows, groups=groups, tell=say, **self._how(data, stage))

    def _how(self, data: DataVersion, stage: Path) -> dict[str, Any]:
        """How a network is learned whose answers alone are wanted."""
        return {
            "kinds": data.kinds,
            "size": self.spec.size,
            "settings": self.spec.train,
            "seconds": self.spec.budget_seconds,
            "store": self.store,
            "work": stage,
        }

    def compress(self, rung: dict[str, Any], data: DataVersion, rungs: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        """The rung's bundle, made smaller by each step that was asked for and costs nothing that a paired test can see.

        Of the `rungs` that were tried, the first can be the cheap member of a cascade.
        """
        settings = self.spec.compress
        if not settings.asks:
            return {"bundle": rung["bundle"], "family": rung["family"], "why": rung["why"], "steps": []}

        cheapest = rungs[0]["bundle"] if settings.cascade and rungs and rungs[0]["bundle"] != rung["bundle"] else None

        def work(stage: Path, say: Say) -> dict[str, Any]:
            from lingqu.bundle.read import Bundle
            from lingqu.compress.steps import compress

            before = Bundle.open(self.store.folder_path(rung["bundle"]))
            first = Bundle.open(self.store.folder_path(cheapest)) if cheapest else None
            train, valid = (data.rows(split, self.store) for split in ("train", "validation"))
            after, steps = compress(
                before,
                settings,
                stage,
                train=train,
                valid=valid,
                cheapest=first,
                teach=partial(self._teach, data=data, rungs=rungs, work=stage / "student") if settings.distil else None,
                say=say,
            )
            kept = self.store.put_folder(after.path) if after is not before else rung["bundle"]
            taught = settings.distil is not None and any(step.method == "distil" and step.kept for step in steps)
            family = settings.distil.into if settings.distil and taught else rung["family"]
            return {"bundle": kept, "family": family, "steps": [step.to_json() for step in steps]}

        asked = settings.model_dump(mode="json")
        inputs = {"data": data.id, "bundle": rung["bundle"], "settings": asked, "cheapest": cheapest}
        if unlabelled := self.spec.located_unlabelled():
            inputs["distil"] = [fingerprints(unlabelled), self.spec.size, self.spec.train.model_dump(mode="json")]
        return {**self._once("compress", inputs, COMPRESS, work), "why": rung["why"]}

    def _teach(
        self, teacher: Bundle, folder: Path, *, data: DataVersion, rungs: Sequence[dict[str, Any]], work: Path
    ) -> Comparison:
        """A student of this bundle in `folder`, and how the two compare."""
        from lingqu.bundle.read import Bundle
        from lingqu.compress.distil import Student, distil, read_unlabelled

        spec, unlabelled = self.spec, self.spec.located_unlabelled()
        assert spec.compress.distil is not None
        assert unlabelled is not None
        family = spec.compress.distil.into
        plain = next((rung["bundle"] for rung in rungs if rung["family"] == family), None)
        alone = Bundle.open(self.store.folder_path(plain)) if plain else None
        student = Student(family, spec.size, data.kinds, spec.train, spec.budget_seconds, labels_only=alone)
        root = Path(unlabelled.root) if unlabelled.root else None
        rows = read_unlabelled(str(unlabelled.source), teacher, root=root)
        train, valid = (data.rows(split, self.store) for split in ("train", "validation"))
        return distil(teacher, folder, student, unlabelled=rows, train=train, valid=valid, work=work)

    def refit(self, shipped: dict[str, Any], rungs: list[dict[str, Any]], data: DataVersion) -> dict[str, Any]:
        """The same recipe learned once more with the validation rows, now that they have nothing left to decide.

        What they decided stays: penalty, number of trees, temperature, error range, eight bits or not. Families that the
        loop trains stay as they are, and so does a bundle that was made smaller in a way that cannot be repeated.
        """
        chosen = next((rung for rung in rungs if rung["family"] == shipped["family"]), rungs[0])
        kept = [step["method"] for step in shipped["steps"] if step["kept"]]

        def work(stage: Path, say: Say) -> dict[str, Any]:
            from lingqu.bundle.read import Bundle
            from lingqu.bundle.write import write_candidate
            from lingqu.compress.steps import REPEATABLE, again, whole
            from lingqu.train.rung import relearn

            first = Bundle.open(self.store.folder_path(shipped["bundle"]))
            train, valid = (data.rows(split, self.store) for split in ("train", "validation"))
            network = None
            if set(kept) <= REPEATABLE:
                network = relearn(
                    self.task,
                    chosen,
                    train=train,
                    valid=valid,
                    settings=self.spec.train,
                    store=self.store,
                    work=stage,
                    tell=say,
                )
            if network is None:
                return {"bundle": shipped["bundle"], "rows": len(train)}
            bundle = write_candidate(
                stage / "bundle",
                task=self.task,
                family=shipped["family"],
                network=network,
                memory=whole(first.memory),
                columns=first.manifest["columns"],
                rows=valid,
                calibrate=False,
            )
            bundle = again(bundle, kept, stage, train=train.followed_by(valid))
            return {"bundle": self.store.put_folder(bundle.path), "rows": len(train) + len(valid)}

        inputs = {
            "data": data.id,
            "bundle": shipped["bundle"],
            "kept": kept,
            "recipe": {name: chosen[name] for name in ("family", "memory", "facts", "settings")},
            "train": self.spec.train.model_dump(mode="json"),
        }
        found = self._once("refit", inputs, (*TRAIN, *COMPRESS), work)
        return {**shipped, "bundle": found["bundle"], "learned_from": found["rows"]}

    def evaluate(self, shipped: dict[str, Any], rungs: list[dict[str, Any]], data: DataVersion) -> dict[str, Any]:
        """Measure the bundle that would be shipped on the test split, beside its baselines."""
        inputs = {"data": data.id, "bundle": shipped["bundle"], "linear": rungs[0]["bundle"]}

        def work(_: Path, say: Say) -> dict[str, Any]:
            from lingqu.evaluate.trial import measure

            say(0.1, "measuring on the test rows")
            report = measure(shipped["bundle"], rungs[0], self.task, data, self.store)
            return {"report": self.store.put_json(report)}

        return self._once("evaluate", inputs, EVALUATE, work)

    def conclude(
        self, shipped: dict[str, Any], measured: dict[str, Any], rungs: list[dict[str, Any]], data: DataVersion
    ) -> dict[str, Any]:
        """Put the bundle through its gate and register it; asked again about the same bundle, the answer stands."""
        from lingqu.evaluate.trial import Trial

        trial = Trial(self.spec, self.task, data, self.store, shipped=shipped, measured=measured, rungs=rungs)
        inputs = {
            "name": self.spec.name,
            "data": data.as_dict(),
            "bundle": shipped["bundle"],
            "rungs": [rung["bundle"] for rung in rungs],
            "gates": self.spec.gates.model_dump(mode="json"),
        }
        decided = self._once("gate", inputs, EVALUATE, trial.decide)
        return trial.register(decided)

    def _once(
        self, name: str, inputs: Mapping[str, Any], code: tuple[str, ...], work: Callable[[Path, Say], dict[str, Any]]
    ) -> dict[str, Any]:
        """The result of a stage: found when its inputs and its code are the same, made and kept otherwise."""
        version = {
            "code": self.store.code_version(*code),
            "task code": source_beside(type(self.task)),
            "libraries": libraries(),
        }
        key = self.store.stage(name, {**inputs, **version})
        # Two specs of different names may need the same stage at the same time: the second waits and finds it done.
        with self.store.lock(f"stage-{key}"):
            found = self.store.stage_result(key)
            if found is not None:
                self.cached.append(name)
                self.tell(name, 1.0, "unchanged")
                return found
            self.tell(name, 0.0, "")
            started = time.perf_counter()
            result = self._work(name, work, self.store.work(key))
            self.store.finish_stage(key, result, time.perf_counter() - started, blobs=_blobs(result, self.store))
            self.store.clear_work(key)
            self.tell(name, 1.0, "done")
            return result

    def _work(self, name: str, work: Callable[[Path, Say], dict[str, Any]], folder: Path) -> dict[str, Any]:
        try:
            return work(folder, lambda done, sentence: self.tell(name, done, sentence))
        except ModuleNotFoundError as error:
            if error.name in TRAINING_PACKAGES:
                raise missing_package(error.name, "train", f"the stage '{name}'") from error
            raise


def _blobs(result: Mapping[str, Any], store: Store) -> list[str]:
    """The blobs and folders that a result names, so that losing one makes the stage anew."""
    return [value for value in result.values() if is_digest(value) and store.holds(value)]
