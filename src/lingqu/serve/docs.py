"""/openapi.json, and /docs: the same for people, as one plain page without a script or an outside address."""

from __future__ import annotations

import json
import shlex
from html import escape
from typing import TYPE_CHECKING

from lingqu.serve.call import Call
from lingqu.serve.openapi import openapi as document
from lingqu.serve.probing import as_json
from lingqu.serve.response import Response
from lingqu.serve.rows import BINARY
from lingqu.serve.schemas import describe_columns, example_row
from lingqu.serve.words import LANGUAGES, in_language

if TYPE_CHECKING:
    from lingqu.serve.engine import Engine

VARIABLE = "LINGQU_KEY"
"""Where the examples have a key from, which no page should hold."""

STYLE = """\
:root { color-scheme: light dark }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
pre { overflow-x: auto; padding: .8rem; border: 1px solid #8886; border-radius: .4rem; font-size: .85rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #8886 }
"""


async def openapi(call: Call) -> Response:
    """The document for machines."""
    return as_json(document(call.service, call.query("language", LANGUAGES) or "en"))


async def style(call: Call) -> Response:
    """What the page for people looks like."""
    return Response(STYLE, media_type="text/css")


async def page(call: Call) -> Response:
    """How to call each model, with an example that works."""
    accepted = call.headers.get("accept-language", "").lower()
    language = call.query("language", LANGUAGES) or ("zh" if accepted.startswith("zh") else "en")
    say = in_language(language)
    title = escape(say("How to call this service"))
    address = call.headers["host"]
    keyed = call.service.keys is not None and call.service.keys.required
    models = "".join(_model(engine, language, address, keyed) for engine in call.service.engines.values())
    also = escape(document(call.service, language)["info"]["description"])
    described = escape(say("The machine-readable description is at"))
    first = escape(say("This service asks for a key. Give yours to the examples first:"))
    key = f"<p>{first} <code>export {VARIABLE}=lq_…</code></p>" if keyed else ""
    return Response(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        f'<link rel="stylesheet" href="/docs.css"></head><body><h1>{title}</h1>'
        f'<p>{described} <a href="/openapi.json">/openapi.json</a>. {also}</p>{key}{models}</body></html>',
        media_type="text/html",
    )


def _model(engine: Engine, language: str, address: str, keyed: bool) -> str:
    say = in_language(language)
    bundle = engine.bundle()
    columns = describe_columns(bundle.manifest["columns"], bundle.task, language)
    cells = "".join(f"<tr><td>{escape(x['name'])}</td><td>{escape(x['about'])}</td></tr>" for x in columns)
    return (
        f"<h2>{escape(engine.name)}</h2><p>{escape(say(bundle.task.about))}</p>"
        f"<table><tr><th>{escape(say('Column'))}</th><th>{escape(say('What it holds'))}</th></tr>{cells}</table>"
        f"<h3>{escape(say('An example that works'))}</h3><pre>{escape(_command(engine, address, keyed))}</pre>"
    )


def _command(engine: Engine, address: str, keyed: bool) -> str:
    """A line of curl; a picture is sent as a file, for it would not fit on the page."""
    key = f' -H "Authorization: Bearer ${VARIABLE}"' if keyed else ""
    bundle = engine.bundle()
    row = example_row(bundle)
    url = f"http://{address}/v1/models/{engine.name}/predict"
    files = [limit["source"] for limit in bundle.manifest["columns"] if limit["kind"] in BINARY]
    if files:
        parts = [f"{name}=@picture.png" if name in files else f"{name}={value}" for name, value in row.items()]
        return f"curl {url}{key} " + " ".join(f"-F {shlex.quote(part)}" for part in parts)
    body = shlex.quote(json.dumps({"rows": [row]}, ensure_ascii=False))
    return f"curl {url}{key} -H 'Content-Type: application/json' \\\n  -d {body}"
