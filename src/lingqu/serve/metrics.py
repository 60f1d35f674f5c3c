"""The numbers that Prometheus collects, added up over all worker processes.

In a worker PROMETHEUS_MULTIPROC_DIR is set before anything imports prometheus_client: each process then keeps its numbers in a
file of that folder, and whichever process is asked adds all of them up. No label ever holds a user or a request.

What comes with every request is added up in memory first and goes to the library ten times a second, for that takes it a
tenth of the work. So the process that is asked tells all of its own, the others all that is older than that moment; one
that is killed takes as much with it, for to write down each count as it comes would cost every request.
"""

from __future__ import annotations

import os
import threading
from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from lingqu.serve.allocated import Allocated
from lingqu.serve.histograms import Histograms, Spread
from lingqu.serve.reply import Served

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Before any number is made: the library looks its files' class up by this name.
values.MmapedDict = Allocated  # pyright: ignore[reportPrivateImportUsage]


class _Counted:
    """Counts by their labels, until they are told."""

    def __init__(self, metric: Counter) -> None:
        self._metric = metric
        self._lock = threading.Lock()
        self._waiting: Tally[tuple[str, ...]] = Tally()

    def inc(self, labels: tuple[str, ...]) -> None:
        with self._lock:
            self._waiting[labels] += 1

    def flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, Tally()
        for labels, count in waiting.items():
            self._metric.labels(*labels).inc(count)


class Metrics:
    """The numbers of one service in this process.

    >>> metrics = Metrics()
    >>> metrics.request("kinds", "3", "champion", 200, 0.004)
    >>> [line for line in metrics.text().decode().splitlines() if line.startswith("lingqu_request_total")]
    ['lingqu_request_total{code="200",model="kinds",role="champion",version="3"} 1.0']
    """

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._own = own
        model, version = ["model"], ["model", "version"]
        answered = ["model", "version", "role", "code"]
        gauge = {"multiprocess_mode": "livesum", "registry": own}
        self._requests = _Counted(
            Counter("lingqu_request", "Requests that were answered, by status code.", answered, registry=own)
        )
        self._durations = Spread("lingqu_request_duration_seconds", "From request to answer.", version, SECONDS, own)
        self._progress = Gauge("lingqu_request_in_progress", "Requests that are being answered.", model, **gauge)
        self._running: Tally[str] = Tally()
        self._depth = Gauge("lingqu_queue_depth", "Requests that wait for a thread.", model, **gauge)
        self._queued = Spread("lingqu_queue_duration_seconds", "How long requests waited.", model, SECONDS, own)
        self._rows = Spread("lingqu_batch_size", "Rows of a batch.", version, ROWS, own)
        self._computed = Spread("lingqu_inference_duration_seconds", "How long batches took.", version, SECONDS, own)
        self._spreads = (self._durations, self._queued, self._rows, self._computed)
        self._failed = Counter("lingqu_inference_failed", "Batches in which the model failed.", version, registry=own)
        self._info = Gauge(
            "lingqu_model_info",
            "1 for each version that is loaded and each of its aliases.",
            [*version, "alias"],
            multiprocess_mode="livemax",
            registry=own,
        )
        self._swaps = Counter("lingqu_model_swap", "Swaps: done or refused.", [*model, "result"], registry=own)
        self._rollbacks = Counter("lingqu_rollback", "Automatic falls back.", [*model, "reason"], registry=own)
        self._feedback = Counter("lingqu_feedback", "Feedback received.", ["source", "status"], registry=own)
        self._journal = Counter("lingqu_journal", "Answers that were written down or lost.", ["result"], registry=own)
        self._journalled = {"written": 0, "lost": 0}
        self._shadows = Counter(
            "lingqu_shadow", "Shadow answers: computed or dropped.", [*model, "result"], registry=own
        )

    def request(self, model: str, version: str, role: str, code: int, seconds: float) -> None:
        """A request was answered with this status code; `version` and `role` are empty where none was chosen."""
        self._requests.inc((model, version, "challenger" if role == "canary" else role, str(code)))
        self._durations.observe((model, version), seconds)

    def in_progress(self, model: str, change: int) -> None:
        """A request begins (+1) or ends (-1); told with the next `depth`."""
        self._running[model] += change

    def depth(self, model: str, waiting: int) -> None:
        """How many requests wait now; and how many are being answered."""
        self._depth.labels(model).set(waiting)
        self._progress.labels(model).set(self._running[model])

    def queued(self, model: str, seconds: float) -> None:
        """A request waited so long."""
        self._queued.observe((model,), seconds)

    def batch(self, served: Served, rows: int, seconds: float, *, failed: bool) -> None:
        """A batch was computed."""
        labels = (served.name, served.version)
        self._rows.observe(labels, rows)
        self._computed.observe(labels, seconds)
        if failed:
            self._failed.labels(*labels).inc()

    def info(self, served: Served, alias: str, *, loaded: bool) -> None:
        """A version has this alias here, or has it no longer."""
        self._info.labels(served.name, served.version, alias).set(int(loaded))

    def swap(self, model: str, result: str) -> None:
        """A swap was "done" or "refused"."""
        self._swaps.labels(model, result).inc()

    def rollback(self, model: str, reason: str) -> None:
        """The service went back by itself, for "errors", "timeouts" or "slow"."""
        self._rollbacks.labels(model, reason).inc()

    def shadow(self, model: str, result: str) -> None:
        """A challenger answered unseen ("computed"), or there was no time for it ("dropped")."""
        self._shadows.labels(model, result).inc()

    def feedback(self, source: str, status: str) -> None:
        """Feedback came."""
        self._feedback.labels(source, status).inc()

    def journal(self, written: int, lost: int) -> None:
        """How many answers the journal has written and lost since it began."""
        for result, count in (("written", written), ("lost", lost)):
            if count > self._journalled[result]:
                self._journal.labels(result).inc(count - self._journalled[result])
                self._journalled[result] = count

    def flush(self) -> None:
        """Tell the library what has been added up."""
        for gathered in (self._requests, *self._spreads):
            gathered.flush()

    def text(self) -> bytes:
        """All numbers of all workers in Prometheus's text format; it reads files, so call it in a thread."""
        self.flush()
        source = MultiProcessCollector(None) if FOLDER in os.environ else self._own
        return generate_latest(Histograms(self._spreads, source))
