"""The words that other tools use, and lingqu's.

A word that means exactly the same is accepted without a remark (`ACCEPTED`); one that means something a little different is answered
with the right word (`TOLD`). The command line's verbs are here as well (`VERBS`).

>>> VERBS["fit"], ACCEPTED["train"]["lr"]
('run', 'learning_rate')
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lingqu.errors import Problem

Place = tuple[str | int, ...]


def _all(right: str, *words: str) -> dict[str, str]:
    return dict.fromkeys(words, right)


VERBS: dict[str, str] = {
    **_all("run", "fit", "train", "build", "start", "launch"),
    **_all("show", "eval", "evaluate", "report", "describe", "info", "score", "test"),
    **_all("predict", "infer", "inference", "transform", "apply", "ask"),
    **_all("new", "init", "create", "generate"),
    **_all("check", "validate", "lint", "verify", "dry-run"),
    **_all("status", "monitor", "watch", "drift", "health"),
    **_all("versions", "list", "ls", "models", "registry"),
    **_all("history", "log", "logs", "audit"),
    **_all("promote", "deploy", "release", "publish"),
    **_all("rollback", "revert", "undo"),
    **_all("export", "save", "package", "download"),
    **_all("doctor", "env"),
    **_all("demo", "example", "quickstart", "tutorial"),
}
"""What someone may type after `lingqu` -> the verb that it has."""

TARGET_WORDS = ("label", "target", "y", "labels", "class", "targets", "label_column", "target_column")
"""The names of the column to predict; each means the one that the task has."""

ACCEPTED: dict[str, dict[str, str]] = {
    "": {
        **_all("task", "pipeline_tag"),
        **_all("data", "dataset"),
        **_all("train", "training", "trainer"),
        **_all("compress", "compression"),
        **_all("gates", "gate"),
        **_all("serve", "serving"),
        **_all("model", "architecture"),
        **_all("budget", "time_budget"),
    },
    "data": {
        **_all("source", "path", "file", "data_files", "location"),
        **_all("delimiter", "sep", "separator"),
        **_all("encoding", "charset"),
        **_all("group", "groups", "group_by", "group_column"),
        **_all("time", "time_column", "timestamp_column", "date_column"),
        **_all("types", "column_types", "dtypes", "feature_types"),
        **_all("root", "image_root", "image_dir", "image_folder"),
        **_all("seed", "random_state", "random_seed"),
        **_all("split", "splits"),
    },
    "data.source": {
        **_all("train", "training", "train_file"),
        **_all("validation", "valid", "dev", "val", "validation_file"),
        **_all("test", "testing", "test_file"),
    },
    "data.split": {
        **_all("validation", "valid", "dev", "val", "validation_size", "validation_split", "val_size"),
        **_all("test", "test_size", "test_split", "testing"),
    },
    "train": {
        **_all("learning_rate", "lr", "learning_rate_init"),
        **_all("epochs", "num_train_epochs", "max_epochs", "num_epochs", "n_epochs", "epoch"),
        **_all("batch_size", "per_device_train_batch_size", "train_batch_size", "batchsize", "bs"),
        **_all("weight_decay", "wd"),
        **_all("patience", "early_stopping_patience"),
        **_all("optimiser", "optimizer", "optim"),
        **_all("schedule", "scheduler", "lr_scheduler", "lr_scheduler_type"),
        **_all("accumulate", "gradient_accumulation_steps", "accumulate_grad_batches"),
        **_all("label_smoothing", "label_smoothing_factor"),
        **_all("augment", "augmentation", "augmentations"),
        **_all("clip", "max_grad_norm", "gradient_clip_val", "grad_clip", "clip_grad_norm"),
        **_all("class_weights", "class_weight"),
        **_all("seed", "random_state", "random_seed"),
        **_all("threads", "num_threads", "n_jobs"),
    },
    "compress": _all("quantise", "quantize", "quantization", "quantisation"),
    "gates": {
        **_all("accuracy", "acc"),
        **_all("balanced_accuracy", "balanced_acc"),
        **_all("f1", "f1_score", "f1_macro", "macro_f1"),
        **_all("roc_auc", "auc", "auroc", "rocauc"),
        **_all("average_precision", "ap", "auprc", "pr_auc"),
        **_all("log_loss", "logloss", "nll"),
        **_all("mcc", "matthews_corrcoef"),
        **_all("rmse", "root_mean_squared_error"),
        **_all("mae", "mean_absolute_error"),
        **_all("r2", "r2_score"),
        **_all("latency_p95", "p95_latency"),
        **_all("size", "model_size"),
        **_all("alpha", "significance", "significance_level"),
        **_all("margin", "non_inferiority_margin"),
    },
}
"""Section -> word -> the same thing in lingqu's word; accepted without a remark."""

VALUES: dict[str, dict[Any, Any]] = {
    "train.precision": {**_all("float32", "fp32"), **_all("bfloat16", "bf16")},
    "train.class_weights": {None: "none"},
    "compress.quantise": {True: "int8", False: "none", None: "none", "INT8": "int8"},
    "data.delimiter": {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"},
    "data.encoding": {
        **_all("utf-8", "ascii", "utf8", "UTF-8", "UTF8", "utf_8"),
        **_all("utf-8-sig", "utf8-bom", "utf-8-bom", "UTF-8-BOM"),
        **_all("gb18030", "GB18030", "gbk", "GBK", "gb2312", "GB2312", "cp936"),
        **_all("big5", "Big5", "BIG5", "cp950"),
        **_all("utf-16", "UTF-16", "utf16"),
        **_all("utf-16-le", "UTF-16LE", "utf-16le"),
        **_all("utf-16-be", "UTF-16BE", "utf-16be"),
        **_all("latin-1", "latin1", "iso-8859-1", "ISO-8859-1"),
        **_all("cp1252", "windows-1252", "Windows-1252"),
    },
    "data.types": {
        **_all("number", "int", "integer", "float", "numeric", "double"),
        **_all("category", "categorical", "bool", "boolean", "enum"),
        **_all("text", "str", "string"),
        **_all("time", "date", "datetime", "timestamp"),
        **_all("ignore", "drop", "skip"),
    },
}
"""Setting -> value -> the same thing in lingqu's word; accepted without a remark."""

_TASKS = _all("text-classification", "sentiment-analysis")
_NO_SETTING = "lingqu has no setting for it; remove the line."

_CHINESE = {
    **_all("name", "名称", "名字"),
    **_all("task", "任务"),
    **_all("data", "数据"),
    **_all("data.source", "来源", "数据源", "文件"),
    **_all("data.columns", "列", "字段"),
    **_all("data.columns.text", "文本"),
    **_all("data.columns.label", "标签", "类别"),
    **_all("size", "大小", "规模"),
    **_all("budget", "预算", "时间"),
    **_all("model", "模型"),
    **_all("train", "训练"),
    **_all("gates", "关口", "门槛"),
    **_all("serve", "服务"),
    **_all("improve", "改进"),
    **_all("text-classification", "文本分类", "情感分析"),
    **_all("multi-label-text-classification", "多标签文本分类"),
    **_all("image-classification", "图像分类", "图片分类"),
    **_all("tabular-classification", "表格分类"),
    **_all("tabular-regression", "表格回归"),
}
TOLD: dict[str, str] = {
    **{word: f"lingqu calls it {right}." for word, right in _CHINESE.items()},
    "label_column": "lingqu calls it data.columns.label.",
    "target_column": "lingqu calls it data.columns.label, or data.columns.target for a number.",
    "label": "lingqu calls it data.columns.label.",
    "target": "lingqu calls it data.columns.label, or data.columns.target for a number.",
    "y": "lingqu calls it data.columns.label, or data.columns.target for a number.",
    "text_column": "lingqu calls it data.columns.text.",
    "image_column": "lingqu calls it data.columns.image.",
    "features": "Every column without another role is a feature; leave one out with data.types: {NAME: ignore}.",
    "drop_columns": "Leave a column out with data.types: {NAME: ignore}.",
    "train_size": "Training gets the rows that data.split leaves for it.",
    "data.split.train": "Training gets the rows that validation and test leave for it.",
    "deduplicate": "lingqu calls it data.near_duplicates: near-duplicates stay, together in one split.",
    "shuffle": "Rows are put into splits by a hash of their content, so their order does not matter; remove the line.",
    "stratify": "Rows are put into splits by a hash of their content; remove the line.",
    "fp16": "lingqu calls it train.precision: float32 or bfloat16.",
    "bf16": "lingqu calls it train.precision: bfloat16.",
    "max_steps": "lingqu counts epochs: train.epochs.",
    "early_stopping": "lingqu calls it train.patience.",
    "optimizer": "lingqu calls it train.optimiser.",
    "scheduler": "lingqu calls it train.schedule.",
    "lr_scheduler": "lingqu calls it train.schedule.",
    "lr_scheduler_type": "lingqu calls it train.schedule.",
    "gradient_accumulation_steps": "lingqu calls it train.accumulate.",
    "num_workers": "Data stay in memory and need no workers; threads of computation are train.threads.",
    "device": _NO_SETTING,
    "hidden_size": "The dial decides it: size.",
    "output_dir": "Results go to the folder .lingqu beside the spec, or to LINGQU_HOME.",
    "threshold": "A limit is written beside its metric: gates: {f1: '>= 0.85'}.",
    "thresholds": "A limit is written beside its metric: gates: {f1: '>= 0.85'}.",
    "metrics": "A limit is written beside its metric: gates: {f1: '>= 0.85'}. Every report holds every metric.",
}
"""A word of another tool, as a key or as a value -> what to do in lingqu."""

_DATA_COLUMNS = {"text_column": "text", "image_column": "image"}


class Renamed:
    """A spec in lingqu's words, and where each renamed setting came from.

    >>> renamed = Renamed({"name": "a", "task": "text-classification", "train": {"lr": 0.1}})
    >>> renamed.tree["train"], renamed.origin(("train", "learning_rate"))
    ({'learning_rate': 0.1}, ('train', 'lr'))
    """

    def __init__(
        self, tree: Mapping[str, Any], tasks: Iterable[str] = (), roles: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        self.problems: list[tuple[Place, Problem]] = []
        self._origins: dict[Place, Place] = {}
        self.tree = self._section(tree, (), "")
        for name in ("data", "train", "compress", "gates"):
            self._enter(self.tree, (name,))
        self._slices()
        self._values()
        self._task(tasks)
        data = self.tree.get("data")
        if isinstance(data, dict):
            self._target = target_role(self.tree.get("task"), roles or {})
            self._gather_columns(data)
            for name in ("source", "split", "columns"):
                self._enter(data, ("data", name))

    def origin(self, place: Place) -> Place:
        """The place as the user wrote it."""
        for length in range(len(place), 0, -1):
            written = self._origins.get(place[:length])
            if written is not None:
                return (*self.origin(written[:-1]), written[-1], *place[length:])
        return place

    def _enter(self, parent: dict[str, Any], place: Place) -> None:
        inner = parent.get(str(place[-1]))
        if isinstance(inner, Mapping):
            parent[str(place[-1])] = self._section(inner, place, ".".join(map(str, place)))

    def _slices(self) -> None:
        """The metrics of each slice have the same synonyms as those of the gates."""
        gates = self.tree.get("gates")
        slices = gates.get("slices") if isinstance(gates, dict) else None
        if isinstance(gates, dict) and isinstance(slices, Mapping):
            gates["slices"] = {
                column: self._section(limits, ("gates", "slices", column), "gates")
                if isinstance(limits, Mapping)
                else limits
                for column, limits in slices.items()
            }

    def _section(self, settings: Mapping[str, Any], place: Place, section: str) -> dict[str, Any]:
        words = ACCEPTED.get(section, {})
        if section == "data.columns":
            words = _all(self._target, *TARGET_WORDS)
        renamed: dict[str, Any] = {}
        for word, value in settings.items():
            right = words.get(word, word)
            if right in renamed:
                first = self._origins.get((*place, right), (right,))[-1]
                self._both(place, str(first), word)
                continue
            if right != word:
                self._origins[*place, right] = (*place, word)
            renamed[right] = value
        return renamed

    def _both(self, place: Place, first: str, second: str) -> None:
        found = f"both {first!r} and {second!r}, which mean the same"
        self.problems.append(((*place, second), Problem("one of them", found, "Keep one.")))

    def _gather_columns(self, data: dict[str, Any]) -> None:
        """`data: {label_column: queue}` is `data: {columns: {label: queue}}`."""
        words = {**_all(self._target, *TARGET_WORDS), **_DATA_COLUMNS}
        given = [word for word in words if isinstance(data.get(word), str)]
        columns = data.get("columns", {})
        if not given or not isinstance(columns, Mapping):
            return
        columns = dict(columns)
        for word in given:
            if words[word] in columns:
                self._both(("data",), f"columns.{words[word]}", word)
            else:
                self._origins["data", "columns", words[word]] = ("data", word)
                columns[words[word]] = data[word]
            del data[word]
        data["columns"] = columns

    def _values(self) -> None:
        for setting, same in VALUES.items():
            *sections, name = setting.split(".")
            holder: Any = self.tree
            for section in sections:
                holder = holder.get(section) if isinstance(holder, dict) else None
            if not isinstance(holder, dict) or name not in holder:
                continue
            value = holder[name]
            if isinstance(value, Mapping):
                holder[name] = {key: _same(inner, same) for key, inner in value.items()}
            else:
                holder[name] = _same(value, same)

    def _task(self, tasks: Iterable[str]) -> None:
        """`text_classification` is `text-classification`, unless a task of the first name exists."""
        task = self.tree.get("task")
        if isinstance(task, str) and task not in tasks:
            hyphened = _TASKS.get(task, task.strip().lower().replace("_", "-").replace(" ", "-"))
            self.tree["task"] = hyphened if hyphened in tasks else task


def target_role(task: Any, roles: Mapping[str, Iterable[str]]) -> str:
    """The name of the column that this task predicts: "label", "labels" for several, or "target" where it is a number.

    >>> target_role("tabular-regression", {}), target_role("mine", {"mine": ["text", "target"]})
    ('target', 'target')
    """
    if isinstance(task, str) and task in roles:
        return next((role for role in ("target", "labels") if role in roles[task]), "label")
    name = task.replace("_", "-") if isinstance(task, str) else ""
    return "target" if name.endswith("-regression") else "labels" if name.startswith("multi-label-") else "label"


def _same(value: Any, same: Mapping[Any, Any]) -> Any:
    # 1 == True in Python, and `quantise: 1` is not `quantise: true`.
    if value is None or isinstance(value, str | bool):
        return same.get(value, value)
    return value
