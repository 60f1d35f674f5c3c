"""Every setting: its type, its default, and one sentence that is also the help, the YAML comment and the reference page.

>>> Spec(name="router", task="text-classification", data={"source": "tickets.csv"}, size="tiny").train.clip
1.0
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Tag,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from lingqu.spec import amounts
from lingqu.spec.addresses import located
from lingqu.spec.amounts import Limit
from lingqu.spec.fields import (
    Character,
    ColumnName,
    Duration,
    Encoding,
    Family,
    Folder,
    Kind,
    Latency,
    MetricLimit,
    Name,
    Place,
    Real,
    Seed,
    Settings,
    Share,
    Size,
    Switch,
    TaskName,
    TrackingAddress,
    Whole,
)
from lingqu.spec.names import looks_pretrained
from lingqu.spec.problems import Reading, refuse
from lingqu.spec.running import ImproveSettings, MonitorSettings, ServeSettings
from lingqu.spec.words import PlainTitles


class GivenSplits(Settings):
    """Rows that come already divided; what is not given is taken from the training rows."""

    train: Place = Field(description="Rows to learn from.")
    validation: Place | None = Field(default=None, description="Rows to choose by; taken from train when absent.")
    test: Place | None = Field(default=None, description="Rows to report on; taken from train when absent.")


class SplitSettings(Settings):
    """The shares of the rows that do not train."""

    validation: Real = Field(default=0.1, gt=0, lt=1, description="Share of the rows that choose between models.")
    test: Real = Field(default=0.2, gt=0, lt=1, description="Share of the rows that the report and the gate use.")

    @model_validator(mode="after")
    def _leave_some(self) -> SplitSettings:
        if self.validation + self.test > 0.9:
            found = f"{self.validation} + {self.test}"
            raise refuse("shares that leave at least a tenth to train on", found, "Make one of them smaller.")
        return self


def _source_tag(value: Any) -> str:
    return "given splits" if isinstance(value, Mapping | GivenSplits) else "one source"


Source = Annotated[
    Annotated[Place, Tag("one source")] | Annotated[GivenSplits, Tag("given splits")], Discriminator(_source_tag)
]


def _model_tag(value: Any) -> str:
    return "several families" if isinstance(value, list) else "one family"


Model = Annotated[
    Annotated[Family, Tag("one family")] | Annotated[list[Family], Field(min_length=1), Tag("several families")],
    Discriminator(_model_tag),
]


class DataSettings(Settings):
    """Where the rows are and how to read them."""

    source: Source = Field(
        description="A file (csv, jsonl, parquet, npz, xlsx), a folder of images, an address, or one per split."
    )
    columns: dict[str, ColumnName] = Field(
        default={}, description="The task's word for a column -> its name in the data."
    )
    types: dict[str, Kind] = Field(
        default={}, description="Column -> its kind, where the one that was inferred is wrong."
    )
    encoding: Encoding = Field(default="auto", description="The encoding of text files; auto finds it.")
    delimiter: Character = Field(default="auto", description="What separates the cells of a text table; auto finds it.")
    label_delimiter: Character = Field(
        default="auto", description="What separates several labels in one cell; auto takes | ; , and lists."
    )
    group: ColumnName | None = Field(default=None, description="Rows with the same value here stay in one split.")
    identity: list[ColumnName] = Field(
        default=[],
        title="a list of names of columns",
        description="The columns of a table that tell a row from others and alone decide its split; [] is all.",
    )
    time: ColumnName | None = Field(
        default=None, description="Split by this column: the latest rows become the test split."
    )
    split: SplitSettings = Field(default=SplitSettings(), description="The shares of the rows that do not train.")
    max_bad: Real = Field(default=0.01, ge=0, le=1, description="Stop when more than this share of the rows is broken.")
    near_duplicates: Switch = Field(default=True, description="Keep rows that are nearly the same in one split.")
    seed: Seed = Field(default=0, description="The key of the hash that puts rows into splits.")
    root: Folder | None = Field(default=None, description="The folder of the images that a table names.")

    def at(self, folder: Path) -> DataSettings:
        """The same settings with every path made absolute, taken from this folder.

        >>> DataSettings(source="a.csv").at(Path("/data")).source
        '/data/a.csv'
        """
        if isinstance(self.source, str):
            source: str | GivenSplits = located(self.source, folder)
        else:
            given = self.source.model_dump(exclude_none=True)
            source = GivenSplits(**{split: located(text, folder) for split, text in given.items()})
        root = located(self.root, folder) if self.root is not None else None
        return self.model_copy(update={"source": source, "root": root})


def _augment_tag(value: Any) -> str:
    return "several ways" if isinstance(value, list) else "one word"


Way = Literal["flip", "shift", "crop", "colour", "cutout", "mixup", "drop", "swap"]
Augment = Annotated[
    Annotated[Literal["auto", "none"], Tag("one word")]
    | Annotated[list[Way], Field(min_length=1, title="a list such as [shift, flip]"), Tag("several ways")],
    Discriminator(_augment_tag),
]


class TrainSettings(Settings):
    """How a model is trained; what is absent follows from `size`."""

    method: Literal["auto", "scratch", "pretrain", "head", "lora", "full"] = Field(
        default="auto",
        description="Train from scratch or pretrain on the texts; or the head, lora or full of an encoder.",
    )
    epochs: Whole | None = Field(default=None, ge=1, le=10_000, description="Passes over the training rows, at most.")
    batch_size: Whole | None = Field(default=None, ge=1, le=65_536, description="Rows for one step.")
    learning_rate: Real | None = Field(default=None, gt=0, le=10, description="The largest step size of the schedule.")
    weight_decay: Real | None = Field(
        default=None, ge=0, le=10, description="How strongly weights are pulled towards zero."
    )
    patience: Whole | None = Field(
        default=None, ge=1, le=10_000, description="Epochs without improvement before stopping."
    )
    optimiser: Literal["adamw", "sgd", "muon"] | None = Field(
        default=None, description="How gradients become strides; each model family has its own."
    )
    schedule: Literal["one-cycle", "cosine", "constant"] | None = Field(
        default=None, description="How the step size changes over the run."
    )
    accumulate: Whole | None = Field(
        default=None, ge=1, le=1024, description="Batches learned together in one step, to save memory."
    )
    label_smoothing: Real | None = Field(
        default=None, ge=0, lt=1, description="The share of certainty that labels lose, against wrong ones."
    )
    ema: Real | None = Field(
        default=None, ge=0, lt=1, description="The decay of a running mean of the weights; 0 keeps none."
    )
    augment: Augment = Field(
        default="auto",
        description="Changes to training rows that keep their labels: auto, none, or names such as [shift, flip].",
    )
    clip: Real = Field(
        default=1.0, gt=0, description="The largest norm of a gradient; longer ones are shortened to it."
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="Whether rare classes count for more."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="The numbers used in training."
    )
    seed: Seed = Field(default=0, description="The start of every random choice in training.")
    threads: Whole | None = Field(
        default=None, ge=1, le=1024, description="Threads of computation; results depend on it."
    )


class TuneSettings(Settings):
    """A search over the dials of the chosen model, judged on validation rows; needs `pip install 'lingqu[tune]'`."""

    trials: Whole = Field(default=0, ge=0, le=10_000, description="How many settings to try; 0 tries none.")
    budget: Duration | None = Field(
        default=None, description="Stop searching after this time; when absent, with the budget of the whole run."
    )

    @property
    def budget_seconds(self) -> float | None:
        """The time for the search in seconds, None when only the run's budget bounds it."""
        return None if self.budget is None else amounts.seconds(self.budget)


class DistilSettings(Settings):
    """A cheaper model that learns what the chosen one says, and takes its place if a test sees no loss."""

    into: Family = Field(description="The model family that is taught.")
    unlabelled: Place = Field(description="Rows without labels for the chosen model to answer.")


class CompressSettings(Settings):
    """How a trained model is made smaller, when a test sees no loss."""

    distil: DistilSettings | None = Field(
        default=None, description="Teach a cheaper model on rows without labels, and ship it if a test sees no loss."
    )
    quantise: Literal["int8", "none"] = Field(
        default="int8", description="Store weights in 8 bits if a test sees no loss."
    )
    prune: Real = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="The share of hidden units and of heads to leave out, or half of it, if a test sees no loss.",
    )
    vocabulary: Literal["learned", "all", "none"] = Field(
        default="learned",
        description="Leave out table rows that no training text needs, in tables learned here, in all, or in none.",
    )
    refit_head: Switch = Field(
        default=True, description="Fit the last layer again after int8, if validation rows are predicted better."
    )
    cascade: Switch = Field(
        default=False, description="Let the cheapest model answer where it is sure, if a test sees no loss."
    )

    @property
    def asks(self) -> bool:
        """Whether there is any step to try."""
        return bool(self.quantise != "none" or self.vocabulary != "none" or self.cascade or self.prune or self.distil)


class GateSettings(Settings):
    """What a version must show before it may become champion; any metric's name may stand here with a limit.

    >>> [limit.text for limit in GateSettings(f1=">=0.85", latency_p95="<= 20 ms").limits()]
    ['>= 0.85', '<= 20 ms']
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    # pydantic documents this narrowing of its own attribute as the way to type unknown names.
    __pydantic_extra__: dict[str, MetricLimit] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    latency_p95: Latency | None = Field(
        default=None, description="The slowest twentieth of single answers starts here."
    )
    size: Size | None = Field(default=None, description="How large the bundle may be.")
    slices: dict[str, dict[str, Share]] = Field(
        default={}, description="Column -> metric -> a limit that every part of the rows must keep."
    )
    margin: Real = Field(
        default=0.01, ge=0, lt=1, description="How much worse a challenger may be where it need not win."
    )
    alpha: Real = Field(
        default=0.05, gt=0, lt=0.5, description="The risk of a wrong promotion, over all rounds together."
    )

    @property
    def metrics(self) -> dict[str, str]:
        """Metric -> its limit as written."""
        return dict(self.__pydantic_extra__ or {})

    def limits(self) -> tuple[Limit, ...]:
        """Every limit on the whole test split: metrics, then latency (milliseconds) and size (bytes)."""
        found = [Limit.parse(name, text) for name, text in self.metrics.items()]
        if self.latency_p95 is not None:
            found.append(Limit.parse("latency_p95", self.latency_p95, amounts.MILLISECONDS))
        if self.size is not None:
            found.append(Limit.parse("size", self.size, amounts.BYTES))
        return tuple(found)

    def slice_limits(self) -> dict[str, tuple[Limit, ...]]:
        """Column -> the limits that each of its slices must keep."""
        return {
            column: tuple(Limit.parse(name, text) for name, text in limits.items())
            for column, limits in self.slices.items()
        }


class ReportSettings(Settings):
    """How the report of a version is written."""

    language: Literal["auto", "en", "zh"] = Field(
        default="auto", description="The language of the report; auto takes the locale's."
    )


class TrackSettings(Settings):
    """Where versions are written down besides."""

    tensorboard: Folder | None = Field(default=None, description="A folder for the event files of TensorBoard.")
    mlflow: TrackingAddress | None = Field(
        default=None, description="MLflow's server or database, such as http://127.0.0.1:5000 or sqlite:///mlflow.db."
    )


class Spec(Settings):
    """What is wanted: a task, data, and whatever is not left to lingqu.

    Wrong settings raise one SpecError that holds every problem.

    >>> spec = Spec(name="router", task="text-classification", data={"source": "tickets.csv"}, budget="90 s")
    >>> spec.budget_seconds, spec.families
    (90.0, None)
    """

    name: Name = Field(description="The model's name; versions are counted under it.")
    task: TaskName = Field(description="What to learn; `lingqu tasks` lists them.")
    data: DataSettings = Field(description="Where the rows are and how to read them.")
    size: Literal["tiny", "small", "medium", "large"] = Field(
        "small", description="The one dial: how large models are."
    )
    budget: Duration = Field(default="10 min", description="Stop climbing the ladder of models after this time.")
    model: Model = Field(
        default="auto", description="auto, a model family, a pretrained model's id or folder, or a list."
    )
    train: TrainSettings = Field(default=TrainSettings(), description="How a model is trained.")
    tune: TuneSettings = Field(default=TuneSettings(), description="A search over the dials of the chosen model.")
    compress: CompressSettings = Field(default=CompressSettings(), description="How a trained model is made smaller.")
    gates: GateSettings = Field(
        default=GateSettings(), description="What a version must show before it becomes champion."
    )
    report: ReportSettings = Field(default=ReportSettings(), description="How the report is written.")
    track: TrackSettings = Field(default=TrackSettings(), description="Where versions are written down besides.")
    serve: ServeSettings = Field(default=ServeSettings(), description="How the service listens.")
    monitor: MonitorSettings = Field(default=MonitorSettings(), description="How a served model is watched.")
    improve: ImproveSettings = Field(default=ImproveSettings(), description="When to go round the loop again.")

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from: the spec file's own, or the current one."""
        return self._folder

    @property
    def budget_seconds(self) -> float:
        """The budget in seconds."""
        return amounts.seconds(self.budget)

    @property
    def families(self) -> list[str] | None:
        """The model families and encoders that were asked for, in order; None when lingqu chooses."""
        if self.model == "auto":
            return None
        named = [self.model] if isinstance(self.model, str) else list(self.model)
        return [self._located(name) for name in named]

    def _located(self, name: str) -> str:
        """A pretrained model's folder by its absolute path; every other name as it is."""
        folder = self.folder / Path(name).expanduser()
        return str(folder.absolute()) if looks_pretrained(name) and folder.is_dir() else name

    def located_data(self) -> DataSettings:
        """The data settings with absolute paths."""
        return self.data.at(self.folder)

    def located_unlabelled(self) -> DataSettings | None:
        """The rows without labels that are answered for a student, as data with absolute paths."""
        distil = self.compress.distil
        return None if distil is None else DataSettings(source=distil.unlabelled, root=self.data.root).at(self.folder)

    @model_validator(mode="wrap")
    @classmethod
    def _tell_everything(cls, given: Any, handler: ModelWrapValidatorHandler[Spec], info: ValidationInfo) -> Spec:
        """Other tools' words, unknown names and pydantic's own complaints, as one SpecError."""
        if isinstance(given, Spec):
            return given
        reading = info.context if isinstance(info.context, Reading) else Reading()
        tree = reading.prepare(given)
        try:
            spec = handler(tree)
        except ValidationError as error:
            reading.add(error, cls.model_json_schema(schema_generator=PlainTitles))
            raise reading.error() from None
        reading.finish()
        if reading.folder is not None:
            spec._folder = reading.folder
        return spec
