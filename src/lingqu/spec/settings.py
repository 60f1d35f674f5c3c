"""Every setting: its type, its default, and one sentence that is also the help, the YAML comment and the reference page.

>>> Spec(name="router", task="text-classification", data={"source": "tickets.csv"}, size="tiny").train.clip
1.0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Tag,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from lingqu.spec import amounts
from lingqu.spec.addresses import located
from lingqu.spec.amounts import Limit
from lingqu.spec.names import looks_pretrained
from lingqu.spec.problems import Reading, refuse
from lingqu.spec.tariff import Price
from lingqu.spec.words import PlainTitles


def _written(words: str, check: Callable[[str], Any], **more: str) -> tuple[Any, Any]:
    """A kind of text: how errors and editors call it, and the function that refuses what is none."""

    def accept(text: str) -> str:
        checked = check(text)
        return checked.text if isinstance(checked, Limit) else text

    return AfterValidator(accept), WithJsonSchema({"type": "string", "title": words, **more})


def _yes_no(value: Any) -> Any:
    words = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _name(text: str) -> None:
    allowed = text.replace("-", "").replace("_", "").replace(".", "")
    if not (text.isascii() and text[:1].isalnum() and allowed.isalnum() and len(text) <= 255):
        raise ValueError(text)


def _some(text: str) -> None:
    if not text.strip() or "\0" in text:
        raise ValueError(text)


def _one_character(text: str) -> None:
    if text != "auto" and (len(text) != 1 or text in "\r\n\"'" or text.isalnum()):
        raise ValueError(text)


def _address(text: str) -> None:
    if not text.strip() or any(sign in text for sign in "\0/@ ") or len(text) > 255:
        raise ValueError(text)


def _no_password(text: str) -> None:
    scheme, found, rest = text.partition("://")
    if not (scheme and found and rest.strip("/")) or "\0" in text:
        raise ValueError(text)
    if "@" in rest.split("/")[0]:
        # What stands in a spec is kept with every version, and an error is read by others.
        raise refuse("an address without name and password", "one that holds them", PASSWORDS)


def _share(text: str) -> Limit:
    return Limit.parse("", text)


def _below(units: Mapping[str, float]) -> Callable[[str], Limit]:
    def check(text: str) -> Limit:
        limit = Limit.parse("", text, units)
        if limit.sense != "<=":
            raise ValueError(text)
        return limit

    return check


PASSWORDS = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead."
_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$"

Name = Annotated[str, *_written("a name of letters, digits, - _ and .", _name, pattern=_NAME_PATTERN)]
TaskName = Annotated[str, *_written("the name of a task", _some)]
ColumnName = Annotated[str, *_written("the name of a column", _some)]
Place = Annotated[str, *_written("a file, a folder or an address such as hf://owner/name", _some)]
Folder = Annotated[str, *_written("a folder", _some)]
TrackingAddress = Annotated[
    str, *_written("an address such as http://127.0.0.1:5000 or sqlite:///mlflow.db", _no_password)
]
Host = Annotated[str, *_written("an address such as 127.0.0.1 or 0.0.0.0", _address)]
Character = Annotated[str, *_written("auto or one character such as ; or tab", _one_character)]
Duration = Annotated[str, *_written("a length of time such as '10 min' or '2 h'", amounts.seconds)]
Share = Annotated[str, *_written("a limit such as '>= 0.85'", _share)]
ShareAtMost = Annotated[str, *_written("a limit such as '<= 5 %'", _below(amounts.SHARES))]
MetricLimit = Annotated[
    str, *_written("a limit such as '>= 0.85'", _share, description="A limit for the metric of this name.")
]
Latency = Annotated[str, *_written("a limit such as '<= 20 ms'", _below(amounts.MILLISECONDS))]
Size = Annotated[str, *_written("a limit such as '<= 50 MB'", _below(amounts.BYTES))]
LabelCount = Annotated[str, *_written("a count such as '200 new labels'", amounts.labels)]
Rate = Annotated[str, *_written("a rate such as '1 per day'", amounts.pause)]
PriceText = Annotated[str, *_written("a price such as '0.01 CNY per row'", Price.parse)]
Family = Annotated[str, *_written("the name of a model family", _some)]
Kind = Literal["number", "category", "text", "image", "time", "id", "ignore"]
Encoding = Literal[
    "auto", "utf-8", "utf-8-sig", "gb18030", "big5", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"
]

# Strict, because Python would take true for 1 and "3" for 3, and a spec that means something else should say so.
Whole = Annotated[int, Field(strict=True)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Switch = Annotated[bool, BeforeValidator(_yes_no), Field(strict=True)]
Seed = Annotated[int, Field(strict=True, ge=0, le=4_294_967_295)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class GivenSplits(_Settings):
    """Rows that come already divided; what is not given is taken from the training rows."""

    train: Place = Field(description="Rows to learn from.")
    validation: Place | None = Field(default=None, description="Rows to choose by; taken from train when absent.")
    test: Place | None = Field(default=None, description="Rows to report on; taken from train when absent.")


class SplitSettings(_Settings):
    """The shares of the rows that do not train."""

    validation: Real = Field(default=0.1, gt=0, lt=1, description="Share of the rows that choose between models.")
    test: Real = Field(default=0.2, gt=0, lt=1, description="Share of the rows that the report and the gate use.")

    @model_validator(mode="after")
    def _leave_some(self) -> SplitSettings:
        if self.validation + self.test > 0.9:
            raise refuse("shares that leave at least a tenth to train on", f"{self.validation} + {self.test}")
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


class DataSettings(_Settings):
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
    | Annotated[list[Way], Field(min_length=1), Tag("several ways")],
    Discriminator(_augment_tag),
]


class TrainSettings(_Settings):
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


class TuneSettings(_Settings):
    """A search over the dials of the chosen model, judged on validation rows; needs `pip install 'lingqu[tune]'`."""

    trials: Whole = Field(default=0, ge=0, le=10_000, description="How many settings to try; 0 tries none.")
    budget: Duration | None = Field(
        default=None, description="Stop searching after this time; when absent, with the budget of the whole run."
    )

    @property
    def budget_seconds(self) -> float | None:
        """The time for the search in seconds, None when only the run's budget bounds it."""
        return None if self.budget is None else amounts.seconds(self.budget)


class DistilSettings(_Settings):
    """A cheaper model that learns what the chosen one says, and takes its place if a test sees no loss."""

    into: Family = Field(description="The model family that is taught.")
    unlabelled: Place = Field(description="Rows without labels for the chosen model to answer.")


class CompressSettings(_Settings):
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
    vocabulary: Switch = Field(default=True, description="Leave out table rows that no training text needs.")
    refit_head: Switch = Field(
        default=True, description="Fit the last layer again after int8, if validation rows are predicted better."
    )
    cascade: Switch = Field(
        default=False, description="Let the cheapest model answer where it is sure, if a test sees no loss."
    )

    @property
    def asks(self) -> bool:
        """Whether there is any step to try."""
        return bool(self.quantise != "none" or self.vocabulary or self.cascade or self.prune or self.distil)


class GateSettings(_Settings):
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


class ReportSettings(_Settings):
    """How the report of a version is written."""

    language: Literal["auto", "en", "zh"] = Field(
        default="auto", description="The language of the report; auto takes the locale's."
    )


class TrackSettings(_Settings):
    """Where versions are written down besides."""

    tensorboard: Folder | None = Field(default=None, description="A folder for the event files of TensorBoard.")
    mlflow: TrackingAddress | None = Field(
        default=None, description="MLflow's server or database, such as http://127.0.0.1:5000 or sqlite:///mlflow.db."
    )


class JournalSettings(_Settings):
    """What the service keeps of each answer that it gives.

    >>> JournalSettings().keep_seconds
    2592000.0
    """

    inputs: Literal["none", "masked", "plain"] = Field(
        default="masked", description="Whether inputs are kept: none, with personal data masked, or plain."
    )
    keep: Duration = Field(default="30 d", description="Answers, and feedback not accepted, are deleted after this.")
    sample: Real = Field(default=1.0, ge=0, le=1, description="The share of answers whose inputs are kept.")

    @property
    def keep_seconds(self) -> float:
        """How long answers are kept, in seconds."""
        return amounts.seconds(self.keep)


class ServeSettings(_Settings):
    """How the service listens."""

    host: Host = Field(default="127.0.0.1", description="The address to listen on; any but this machine's needs a key.")
    port: Whole = Field(default=8000, ge=0, le=65_535, description="The port; 0 takes any free one.")
    hosts: list[Host] = Field(
        default_factory=list, description="Names under which the service is reached, besides localhost and addresses."
    )
    workers: Whole = Field(default=1, ge=1, le=256, description="Processes that answer on the one port.")
    queue: Whole = Field(default=64, ge=1, le=100_000, description="Requests of a model that may wait in a process.")
    deadline: Duration = Field(default="10 s", description="A request is answered within this time, or with an error.")
    drain: Duration = Field(default="1 s", description="How long a stopping service still takes requests.")
    shadow: Real = Field(
        default=0.1, ge=0, le=1, description="The share of requests that a challenger answers unseen, in idle moments."
    )
    canary: Real = Field(
        default=0.0, ge=0, le=1, description="The share of users whom the challenger answers; each stays with it."
    )
    log: Switch = Field(default=False, description="Write a line of JSON for each request to standard error.")
    price: PriceText | None = Field(default=None, description="What answers cost whose key names no price of its own.")
    votes: Whole = Field(
        default=1000, ge=0, le=1_000_000, description="How many answers a key may give feedback on in 24 hours."
    )
    journal: JournalSettings = Field(default=JournalSettings(), description="What is kept of each answer.")

    @property
    def deadline_seconds(self) -> float:
        """The deadline in seconds."""
        return amounts.seconds(self.deadline)

    @property
    def drain_seconds(self) -> float:
        """How long a stopping service still takes requests, in seconds."""
        return amounts.seconds(self.drain)


class MonitorSettings(_Settings):
    """How a served model is watched.

    >>> MonitorSettings(latency_p95="<= 0.1 s", refused="<= 5 %").latency_limit_ms
    100.0
    """

    false_alarms_per_year: Real = Field(
        default=1.0, gt=0, le=365, description="How many alarms of drift a year may be chance."
    )
    window: Whole | None = Field(
        default=None, ge=100, le=100_000, description="Answers of a window; 300, or 1000 for more than 20 columns."
    )
    reference: Whole = Field(
        default=2000, ge=100, le=20_000, description="Held-out rows that windows are compared with, at most."
    )
    audit: Real = Field(
        default=0.02, ge=0, le=1, description="The share of answers, drawn at random, that trusted people label."
    )
    tolerance: Real = Field(
        default=0.02, ge=0, lt=1, description="How much more often than on held-out rows answers may be wrong."
    )
    latency_p95: Latency | None = Field(
        default=None, description="The slowest twentieth of answers of the service may start here."
    )
    refused: ShareAtMost | None = Field(
        default=None, description="The share of answers that may be refusals, as '<= 5 %'."
    )
    webhook_hosts: list[str] = Field(
        default=[], description="Hosts that alerts may go to; the address itself is LINGQU_WEBHOOK."
    )

    @property
    def latency_limit_ms(self) -> float | None:
        """The limit of the 95th percentile of latency in milliseconds, None without one."""
        if self.latency_p95 is None:
            return None
        return Limit.parse("latency_p95", self.latency_p95, amounts.MILLISECONDS).value

    @property
    def refused_share(self) -> float | None:
        """The share of answers that may be refusals, None without one."""
        return None if self.refused is None else Limit.parse("refused", self.refused).value


class ImproveSettings(_Settings):
    """When to go round the loop again."""

    after: LabelCount = Field(default="200 new labels", description="Train again when this many new labels have come.")
    at_most: Rate = Field(default="1 per day", description="But not more often than this.")
    promote: Literal["ask", "auto"] = Field(
        default="ask", description="Who promotes a challenger that passed the gate."
    )

    @property
    def new_labels(self) -> int:
        """How many new labels start the next round."""
        return amounts.labels(self.after)

    @property
    def pause_seconds(self) -> float:
        """The shortest time between two rounds."""
        return amounts.pause(self.at_most)


class Spec(_Settings):
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
