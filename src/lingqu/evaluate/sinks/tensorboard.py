"""Event files that `tensorboard --logdir` shows: a folder per version, and in it one per rung of the ladder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.errors import missing_package
from lingqu.evaluate.sinks import CURVES, numbers, told_settings
from lingqu.store import write_bytes

if TYPE_CHECKING:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

PAGE = "report.html"


def write(report: Mapping[str, Any], page: Path, folder: Path) -> None:
    """Write a version's events below `folder`; a version whose report lies there already is left alone."""
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ModuleNotFoundError as error:
        raise missing_package("tensorboard", "track", "track.tensorboard") from error
    own = folder / f"{report['name']}-{report['version']}"
    if (own / PAGE).is_file():
        return
    for rung in report.get("ladder") or []:
        events = EventFileWriter(str(own / rung["recipe"]))
        for one in rung.get("history") or []:
            for key, name in CURVES.items():
                if one.get(key) is not None:
                    _scalar(events, name, float(one[key]), int(one.get("epoch", 0)))
        if rung.get("value") is not None:
            _scalar(events, f"validation/{rung['metric']}", float(rung["value"]), 0)
        events.close()
    events = EventFileWriter(str(own))
    for name, value in numbers(report).items():
        _scalar(events, f"test/{name}", value, int(report["version"]))
    lines = ["| setting | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in told_settings(report).items())]
    _text(events, "settings", "\n".join(lines))
    events.close()
    # Last, so that a run that was killed in between writes the version again.
    write_bytes(own / PAGE, page.read_bytes())


def _scalar(events: EventFileWriter, name: str, value: float, step: int) -> None:
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

    summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
    events.add_event(Event(wall_time=time.time(), step=step, summary=summary))


def _text(events: EventFileWriter, name: str, text: str) -> None:
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.compat.proto.tensor_pb2 import TensorProto  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.compat.proto.types_pb2 import DT_STRING  # pyright: ignore[reportAttributeAccessIssue]

    about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
    events.add_event(
        Event(wall_time=time.time(), summary=Summary(value=[Summary.Value(tag=name, metadata=about, tensor=tensor)]))
    )
