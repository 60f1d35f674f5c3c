"""The people of the demo's world: they ask the service over HTTP, and some tell it later what would have been right.

They never stop while the story lasts, whatever is learned, swapped or rolled back meanwhile, and every request is
counted: one that fails is a failure of the story, and nobody tries a second time.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

from lingqu.cli.demo.world import Album, Photograph

THREADS = 2
LATE_SECONDS = 0.8
"""How long after an answer its label comes."""
MISTAKEN = 0.05
"""The share of the labels of honest people that are wrong."""
WAIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answered:
    """One request of the crowd: when it was answered (seconds since the story began), by which version, whether rightly."""

    at: float
    version: int
    right: bool


@dataclass(slots=True)
class Scene:
    """What the crowd does now: which pictures it sends, the camera's angle, requests a second, the share that tells labels."""

    album: Album
    angle: float = 0.0
    rate: float = 50.0
    telling: float = 0.0


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a key."""

    name: str
    token: str


class Line:
    """One connection to the service, kept open between requests."""

    def __init__(self, url: str) -> None:
        self._where = urlsplit(url).netloc
        self._open: http.client.HTTPConnection | None = None

    def send(self, path: str, body: bytes, kind: str, who: Person) -> tuple[int, dict[str, Any]]:
        """Status and JSON of one request; status 0 when no answer came."""
        connection = self._open or http.client.HTTPConnection(self._where, timeout=WAIT_SECONDS)
        self._open = connection
        headers = {"content-type": kind, "x-api-key": who.token, "x-user-id": who.name}
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return 0, {}

    def ask(self, name: str, picture: bytes, who: Person) -> tuple[int, dict[str, Any]]:
        """One picture, by itself."""
        return self.send(f"/v1/models/{name}/predict", picture, "image/png", who)

    def tell(self, prediction: str, label: str, who: Person) -> tuple[int, dict[str, Any]]:
        """What would have been right."""
        body = json.dumps({"prediction_id": prediction, "label": label}).encode()
        return self.send("/v1/feedback", body, "application/json", who)

    def close(self) -> None:
        """Hang up."""
        if self._open is not None:
            self._open.close()
        self._open = None


@dataclass(slots=True, eq=False)
class Crowd:
    """Threads that ask as the scene says; `truths` is what each answered picture showed, by the id of its answer."""

    url: str
    name: str
    people: list[Person]
    scene: Scene
    began: float
    answered: list[Answered] = field(default_factory=list)
    truths: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    told: int = 0
    mistaken: int = 0
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _late: deque[tuple[float, str, str, bool, Person]] = field(default_factory=deque)
    _due: float = 0.0
    _draw: Random = field(default_factory=lambda: Random(0))

    def __enter__(self) -> Crowd:
        self._due = time.monotonic()
        for number in range(THREADS):
            thread = threading.Thread(target=self._live, name=f"crowd-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)

    def count(self, status: int, expected: int) -> bool:
        """Count a request, by whomever; whether it went well."""
        with self._lock:
            self.sent += 1
            if status != expected:
                self.failures.append(f"status {status}" if status else "no answer")
        return status == expected

    def ask(self, line: Line, photograph: Photograph, who: Person) -> str | None:
        """One picture asked about, counted and remembered; the id of the answer."""
        status, told = line.ask(self.name, photograph.picture, who)
        if not self.count(status, 200):
            return None
        first = told["predictions"][0]
        one = Answered(time.monotonic() - self.began, int(told["version"]), first["prediction"] == photograph.truth)
        with self._lock:
            self.answered.append(one)
            self.truths[first["id"]] = photograph.truth
        return first["id"]

    def waits(self) -> int:
        """How many labels are still on their way."""
        return len(self._late)

    def _live(self) -> None:
        line = Line(self.url)
        while not self._ended.is_set():
            with self._lock:
                pause = self._due - time.monotonic()
                self._due = max(self._due, time.monotonic() - 0.1) + 1 / self.scene.rate
            if self._ended.wait(max(0.0, pause)):
                break
            self._tell_one(line)
            with self._lock:
                scene = self.scene
                photograph = scene.album.photograph(scene.angle)
                who = self._draw.choice(self.people)
                tells, wrong = self._draw.random() < scene.telling, self._draw.random() < MISTAKEN
                other = str(self._draw.randrange(10))
            identity = self.ask(line, photograph, who)
            if identity is not None and tells:
                label = other if wrong else photograph.truth
                self._late.append((time.monotonic() + LATE_SECONDS, identity, label, label != photograph.truth, who))
        line.close()

    def _tell_one(self, line: Line) -> None:
        """Tell the oldest label if its time has come."""
        with self._lock:
            late = self._late.popleft() if self._late and self._late[0][0] <= time.monotonic() else None
        if late is not None:
            _, identity, label, wrong, who = late
            if self.count(line.tell(identity, label, who)[0], 202):
                with self._lock:
                    self.told += 1
                    self.mistaken += wrong
