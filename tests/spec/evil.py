"""Reads evil specs in a process that stops at the first sign of code run; started by test_evil.py."""

import json
import sys

from lingqu.errors import SpecError
from lingqu.spec import load_spec, show

ALLOWED = ("open", "os.listdir", "os.scandir", "object.__", "builtins.id", "sys._getframe", "cpython.")
TABLES = {
    "tasks": {"text-classification": ["text", "label"]},
    "metrics": ["accuracy", "f1"],
    "models": ["cnn", "mlp"],
}


def read(path: str) -> str:
    try:
        show(load_spec(path, **TABLES))
    except SpecError as error:
        str(error)
        return "refused"
    return "read"


def main() -> None:
    paths = json.load(sys.stdin)
    # What Python and pydantic load on first use is loaded by the harmless ones.
    for path in paths["harmless"]:
        read(path)
    events: list[str] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and set(str(arguments[1] or "r")) & set("wax+")
        if writes or not event.startswith(ALLOWED):
            events.append(f"{event} {arguments!r:.200}")

    sys.addaudithook(watch)
    results = {}
    for path in paths["evil"]:
        answer, seen = read(path), list(events)
        results[path] = [answer, seen]
        events.clear()
    # Proof that the hook would have seen something.
    compile("1", "canary", "eval")
    results["canary"] = ["seen" if events else "blind", []]
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
