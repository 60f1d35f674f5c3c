"""A folder with one folder per class; and above those, if the user wishes, one per split."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from lingqu.contract import Rows
from lingqu.data.findings import Finding
from lingqu.data.pictures import BYTE_CAP, SUFFIXES
from lingqu.data.quarantine import Batch
from lingqu.errors import DataError, Problem

SPLIT_FOLDERS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation"} | {
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_OTHERS_FILES = {"thumbs.db", "desktop.ini"}
PICTURES_OF_OTHERS = (
    ".gif",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".avif",
    ".jp2",
    ".jxl",
    ".svg",
    ".ico",
    ".psd",
    ".dcm",
    ".raw",
    ".dng",
    ".npy",
)
"""Pictures that lingqu cannot read: each is a broken row. Any other file in such a folder is no row at all."""


def read_image_folder(folder: Path, batch: int = 1000) -> Generator[Batch, None, None]:
    """Pictures and the names of their folders as columns `image`, `label` and `file`, in the order of their paths."""
    children = _folders(folder)
    splits = {
        child.name: SPLIT_FOLDERS[child.name.lower()] for child in children if child.name.lower() in SPLIT_FOLDERS
    }
    if splits and len(splits) == len(children) and all(_folders(child) for child in children):
        for child in children:
            yield from _read(child, folder, splits[child.name], batch)
    elif children:
        yield from _read(folder, folder, "", batch)
    else:
        raise DataError(
            Problem(
                f"one folder per class in {folder}", "no folder", "Sort the pictures into folder/class/picture.png."
            )
        )


def _folders(folder: Path) -> list[Path]:
    return sorted(
        one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".") and not one.is_symlink()
    )


def stray_files(folder: Path) -> list[Finding]:
    """One finding for all files among the pictures that are none, however many.

    >>> stray_files(Path("/nowhere"))
    []
    """
    inside = (
        one
        for one in folder.rglob("*")
        if one.is_file() and not any(part.startswith(".") for part in one.relative_to(folder).parts)
    )
    names = sorted(one.name for one in inside if _is_stray(one))
    if not names:
        return []
    some = ", ".join(repr(name) for name in names[:3]) + (" …" if len(names) > 3 else "")
    what = "1 file that is no picture was" if len(names) == 1 else f"{len(names):,} files that are no pictures were"
    return [Finding("note", "stray-files", f"In the folder {folder.name} {what} left out: {some}")]


def _is_stray(file: Path) -> bool:
    suffix, name = file.suffix.lower(), file.name.lower()
    return suffix not in SUFFIXES and suffix not in PICTURES_OF_OTHERS and name not in _OTHERS_FILES


def _read(classes: Path, root: Path, split: str, size: int) -> Iterator[Batch]:
    files = [(file, label.name) for label in _folders(classes) for file in _files(label) if not _is_stray(file)]
    if not files:
        raise DataError(Problem(f"picture files in the class folders of {classes}", "none", "Check data.source."))
    for start in range(0, len(files), size):
        part = files[start : start + size]
        images: list[bytes | None] = []
        faults: dict[int, str] = {}
        for i, (file, _) in enumerate(part):
            image, fault = _load(file)
            images.append(image)
            if fault:
                faults[i] = fault
        names = [file.relative_to(root).as_posix() for file, _ in part]
        rows = Rows({"image": images, "label": [label for _, label in part], "file": names})
        yield Batch(rows, start + 1, faults, {i: names[i] for i in faults}, split)


def _files(label: Path) -> list[Path]:
    found = (one for one in label.rglob("*") if one.is_file() and not one.name.startswith("."))
    return sorted(one for one in found if one.name.lower() not in _OTHERS_FILES)


def _load(file: Path) -> tuple[bytes | None, str]:
    if file.suffix.lower() not in SUFFIXES:
        return None, f"a file named {file.suffix or 'without suffix'}, which is no {', '.join(sorted(SUFFIXES))}"
    if file.is_symlink():
        return None, "a link instead of a file"
    try:
        if file.stat().st_size > BYTE_CAP:
            return None, "a picture file above 64 MiB"
        return file.read_bytes(), ""
    except OSError as error:
        return None, f"not readable: {error.strerror}"
