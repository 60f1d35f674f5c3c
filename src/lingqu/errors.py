"""Every exception that lingqu raises on purpose, as one tree.

    LingquError                   one or more problems, each: expected, found, what to do next
    ├── RequestError              what was asked cannot be done as asked (exit status 2)
    │   ├── SpecError             the YAML file or its settings
    │   ├── DataError             the rows: unreadable, wrong columns, too many broken ones
    │   ├── UnknownNameError      a task, model, metric, version … that does not exist
    │   ├── MissingPackageError   an optional package; the message is its install line
    │   ├── AccessError           no key, or one that is wrong, expired or revoked
    │   │   └── ScopeError        a key that may not do this
    │   ├── QuotaError            a key that has asked for more than it may; says when to come again
    │   └── ProtocolError         what came over the wire is not what the route reads
    └── WorkError                 the request was right and the work failed (exit status 1)
        ├── TrainingError         not-a-number losses, nothing left to learn from
        │   └── MemoryLimitError  no memory left, also with half a batch at a time (exit status 3)
        ├── BundleError           a bundle that is damaged, too new, or differs from its network
        ├── StoreError            the store: damaged, read-only, full
        │   └── ConflictError     somebody else changed it first
        ├── GateError             a promotion that its evidence does not carry
        └── ServiceError          the service cannot answer; says when to come again
            ├── OverloadError     more requests wait than can be answered in time
            ├── DeadlineError     there was no answer in time
            ├── NotReadyError     no model is loaded yet
            └── DrainingError     the service is being stopped

Anything else that escapes is a bug and keeps its traceback.

>>> print(UnknownNameError(Problem("a task that lingqu knows", "'text-clasification'", near("text-clasification", ["text-classification"]))))
Expected a task that lingqu knows, found 'text-clasification'. Did you mean 'text-classification'?
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, told in three parts and a place.

    >>> str(Problem("a column 'label'", "columns a, b", "Name it under data.columns.", where="spec.yaml:4"))
    "spec.yaml:4: Expected a column 'label', found columns a, b. Name it under data.columns."
    """

    expected: str
    found: str
    next: str = ""
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" {self.next}" if self.next else ""
        return f"{place}Expected {self.expected}, found {self.found}.{advice}"


class LingquError(Exception):
    """The root of the tree; holds every problem that was seen, not only the first."""

    exit_status = 1

    def __init__(self, *problems: Problem | Iterable[Problem]) -> None:
        flat: list[Problem] = []
        for problem in problems:
            if isinstance(problem, Problem):
                flat.append(problem)
            else:
                flat.extend(problem)
        self.problems = tuple(flat)
        super().__init__(*self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        return "\n".join(f"{i}. {problem}" for i, problem in enumerate(self.problems, 1))


class RequestError(LingquError):
    """What was asked cannot be done as asked."""

    exit_status = 2


class SpecError(RequestError):
    """The YAML file or its settings are wrong."""


class DataError(RequestError):
    """The rows cannot be read, lack columns, or too many of them are broken."""


class UnknownNameError(RequestError):
    """A name that nothing answers to."""


class MissingPackageError(RequestError):
    """An optional package is not installed; the advice is the install line."""


class AccessError(RequestError):
    """There is no key, or it is wrong, expired or revoked."""


class ScopeError(AccessError):
    """A key that may not do what it is used for."""


class QuotaError(RequestError):
    """A key has asked for more than it may; `retry_after` is in seconds."""

    def __init__(self, *problems: Problem | Iterable[Problem], retry_after: float = 1.0) -> None:
        super().__init__(*problems)
        self.retry_after = retry_after


class ProtocolError(RequestError):
    """What came over the wire is not what the route reads; `status` is the HTTP status that says so.

    >>> ProtocolError(Problem("a body of JSON", "an empty one"), status=400).status
    400
    """

    def __init__(self, *problems: Problem | Iterable[Problem], status: int = 400) -> None:
        super().__init__(*problems)
        self.status = status


class WorkError(LingquError):
    """The request was right and the work failed."""


class TrainingError(WorkError):
    """Training cannot go on."""


class MemoryLimitError(TrainingError):
    """There is not memory enough for what was asked."""

    exit_status = 3


class BundleError(WorkError):
    """A bundle is damaged, too new, or does not agree with its network."""


class StoreError(WorkError):
    """The store is damaged, full, or may not be written."""


class ConflictError(StoreError):
    """Somebody else changed the same thing first."""


class GateError(WorkError):
    """A promotion that its evidence does not carry."""


class ServiceError(WorkError):
    """The service cannot answer now; `retry_after` says in how many seconds it is worth another try.

    >>> ServiceError(Problem("a service that is ready", "one that is loading"), retry_after=0.5).retry_after
    0.5
    """

    def __init__(self, *problems: Problem | Iterable[Problem], retry_after: float = 1.0) -> None:
        super().__init__(*problems)
        self.retry_after = retry_after


class OverloadError(ServiceError):
    """More requests wait than can be answered in time."""


class DeadlineError(ServiceError):
    """There was no answer in time."""


class NotReadyError(ServiceError):
    """No model is loaded yet."""


class DrainingError(ServiceError):
    """The service is being stopped."""


def near(name: str, known: Iterable[str], *, say: str = "Known: {}.") -> str:
    """Advice for an unknown name: the nearest right one, or the list of all.

    >>> near("lern_rate", ["learning_rate", "epochs"])
    "Did you mean 'learning_rate'?"
    >>> near("xyz", ["b", "a"])
    'Known: a, b.'
    >>> near("target", ["area", "price"])
    'Known: area, price.'
    """
    names = sorted(known)
    # At 0.6 'area' would be like 'target', and from 0.62 on 'auto' no more like 'automatic'.
    close = get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.61)
    if close:
        return f"Did you mean '{next(n for n in names if n.lower() == close[0])}'?"
    return say.format(", ".join(names) or "none yet")


def missing_package(package: str, extra: str, purpose: str) -> MissingPackageError:
    """The answer to a failed import: the exact line that installs what is missing.

    >>> print(missing_package("torch", "train", "training"))
    Expected the package torch for training, found it not installed. Run: pip install 'lingqu[train]'
    """
    return MissingPackageError(
        Problem(f"the package {package} for {purpose}", "it not installed", f"Run: pip install 'lingqu[{extra}]'")
    )
