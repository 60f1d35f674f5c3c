"""The settings of what runs after a model is made: the service, its journal, monitoring, and the way round again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lingqu.spec import amounts
from lingqu.spec.amounts import Limit
from lingqu.spec.fields import (
    Duration,
    Host,
    LabelCount,
    Latency,
    PriceText,
    Rate,
    Real,
    Settings,
    ShareAtMost,
    Switch,
    Whole,
)
from lingqu.spec.problems import refuse


class JournalSettings(Settings):
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


class ServeSettings(Settings):
    """How the service listens."""

    host: Host = Field(default="127.0.0.1", description="The address to listen on; any but this machine's needs a key.")
    port: Whole = Field(default=8000, ge=0, le=65_535, description="The port; 0 takes any free one.")
    hosts: list[Host] = Field(
        default=[],
        title="a list of names such as [models.example.org]",
        description="Names under which the service is reached, besides localhost and addresses.",
    )
    workers: Whole = Field(default=1, ge=1, le=256, description="Processes that answer on the one port.")
    queue: Whole = Field(default=64, ge=1, le=100_000, description="Requests of a model that may wait in a process.")
    connections: Whole = Field(
        default=1000, ge=1, le=1_000_000, description="Open connections of a process; one more is told to come again."
    )
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


class MonitorSettings(Settings):
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
    season: Literal["none", "week"] = Field(
        default="none", description="week compares with answers of the same weekdays of the weeks before, if enough."
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
        default=[],
        title="a list of names such as [alerts.example.org]",
        description="Hosts that alerts may go to; the address itself is LINGQU_WEBHOOK.",
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


class ImproveSettings(Settings):
    """When to go round the loop again."""

    after: LabelCount = Field(default="200 new labels", description="Train again when this many new labels have come.")
    at_most: Rate = Field(default="1 per day", description="But not more often than this.")
    promote: Literal["ask", "auto"] = Field(
        default="ask", description="Who promotes a challenger that passed the gate."
    )
    shadow: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether it answers unseen before that; auto: where a service answered within a day.",
    )
    proof: Literal["gate", "unseen"] = Field(
        default="gate",
        description="What shows that it is better: gate rows, or unseen, today's traffic beside the champion.",
    )
    canary: Whole = Field(
        default=200,
        ge=0,
        le=1_000_000,
        description="Answers of it at each share of users before the next; 0: all get it at once.",
    )
    canary_shares: list[Annotated[Real, Field(gt=0, lt=1)]] = Field(
        default=[0.05, 0.25],
        min_length=1,
        title="a list of shares above 0 and below 1",
        description="These shares of users, from the smallest to the largest, before all.",
    )
    patience: Duration = Field(default="14 d", description="One that has not proved itself by then is dropped.")

    @model_validator(mode="after")
    def _prove_somewhere(self) -> ImproveSettings:
        if self.proof == "unseen" and self.shadow == "never":
            found = "proof: unseen with shadow: never"
            raise refuse("a challenger that may answer unseen", found, "Leave shadow out, or set proof: gate.")
        return self

    @property
    def patience_seconds(self) -> float:
        """How long a challenger has to prove itself, in seconds."""
        return amounts.seconds(self.patience)

    @property
    def new_labels(self) -> int:
        """How many new labels start the next round."""
        return amounts.labels(self.after)

    @property
    def pause_seconds(self) -> float:
        """The shortest time between two rounds."""
        return amounts.pause(self.at_most)
