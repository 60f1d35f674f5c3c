"""The hook of `mkdocs build`: puts the generated pages beside the written ones, and the lessons into the menu."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, Files

from lingqu.models import FAMILIES
from tools.reference import pages

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig, **_: Any) -> MkDocsConfig:
    """Every family's lesson in the menu; in mkdocs.yml the section names its first page only."""
    for section in config.nav or []:
        if isinstance(section, dict) and "Lessons" in section:
            section["Lessons"] = ["lessons/index.md", *(f"lessons/{name}.md" for name in FAMILIES)]
    return config


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """The generated pages, as if they lay in docs/."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files
