"""Resources out of FHIR files, one bundle or one line at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from calaim_eval.errors import TableError
from calaim_eval.tables.fhir_values import Json, Links
from calaim_eval.tables.sources import suffix_of
from calaim_eval.tables.text_files import NOT_UNPACKED, UNPACKED, UNREADABLE, open_text

_TEXT = (".json", ".ndjson")
FHIR_SUFFIXES = tuple(f"{text}{packed}" for text in _TEXT for packed in ("", *UNPACKED))
_NUMBERED = re.compile(r"\.(nd)?json\.(part)?\d+$")
"""A piece of a FHIR file, numbered behind the suffix: not read, and not to be passed over."""
NOT_JSON = "line that is not JSON"
NO_RESOURCE = "entry without a resource"
NO_TYPE = "object without a resource type"


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource, or why there is none.

    Attributes
    ----------
    resource : dict, optional
    reason : str
        Why there is no resource; empty otherwise.
    links : Links
        What references mean within its bundle.
    """

    resource: Json | None
    reason: str = ""
    links: Links = field(default_factory=dict)


def find_fhir_files(folder: Path) -> tuple[Path, ...]:
    """All FHIR files in a folder and the folders in it, in name order.

    Raises
    ------
    TableError
        There are none, or some are packed or named in a way that is not read.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    closed = [path for path in files if _is_closed(path)]
    if closed:
        raise TableError(
            f"`{folder}` holds {len(closed)} archives or FHIR files packed or named in a way "
            f"that is not read ({', '.join(sorted({path.suffix.lower() for path in closed}))}).\n"
            "  Unpack them, name or pack each alone as `<name>.ndjson` or `<name>.ndjson.gz`, or "
            "take them out of the folder."
        )
    paths = sorted(path for path in files if path.name.lower().endswith(FHIR_SUFFIXES))
    if not paths:
        raise TableError(
            f"`{folder}` holds no FHIR files.\n"
            "  Bundles are `.json`, bulk exports `.ndjson`; both may be packed (`.gz`, `.zst`, "
            "`.bz2`, `.xz`, `.zip`)."
        )
    return tuple(paths)


def _is_closed(path: Path) -> bool:
    """Whether a file is packed or a numbered piece, and no FHIR or text file of another table."""
    name = path.name.lower()
    is_read = name.endswith(FHIR_SUFFIXES) or suffix_of(path)
    is_packed = name.endswith(NOT_UNPACKED) or (name.endswith(UNPACKED) and not is_read)
    return is_packed or _NUMBERED.search(name) is not None


def read_entries(path: Path, *, place: str) -> Iterator[Entry]:
    """Resources of one file, with their bundle's links.

    Parameters
    ----------
    path : Path
        A bundle, a single resource, or newline-delimited resources.
    place : str
        What to call the file in messages: names of bundles hold the names of people.

    Raises
    ------
    TableError
        A bundle is no JSON, or the file is damaged, locked or an archive of several files.
    """
    try:
        with open_text(path) as stream:
            if ".ndjson" in path.name.lower():
                yield from _lines(stream)
            else:
                yield from _entries(json.load(stream))
    # The name of the file, which a failure to open an archive tells, may be that of a person.
    except (TableError, ValueError, *UNREADABLE) as problem:
        raise TableError(
            f"FHIR {place} cannot be read ({type(problem).__name__}).\n"
            "  It is damaged, cut short, locked with a password, an archive of several files or no "
            "JSON; fetch or pack it again. Newline-delimited files must be named `.ndjson`."
        ) from None


def _lines(stream: IO[str]) -> Iterator[Entry]:
    """Resources of a newline-delimited file."""
    for line in stream:
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except ValueError:
            yield Entry(None, NOT_JSON)
            continue
        yield from _entries(content)


def _entries(content: Any) -> Iterator[Entry]:
    """Resources of a bundle, or the one resource the content is."""
    if not isinstance(content, dict) or not isinstance(content.get("resourceType"), str):
        yield Entry(None, NO_TYPE)
    elif content["resourceType"] != "Bundle":
        yield Entry(content)
    else:
        entries = [each for each in content.get("entry") or [] if isinstance(each, dict)]
        links = _links(entries)
        for entry in entries:
            yield _entry(entry, links)


def _entry(entry: Mapping[str, Any], links: Links) -> Entry:
    """One entry of a bundle; a resource without an id takes that of its URL."""
    resource = entry.get("resource")
    if not isinstance(resource, dict):
        return Entry(None, NO_RESOURCE)
    if not isinstance(resource.get("resourceType"), str):
        return Entry(None, NO_TYPE)
    if not resource.get("id") and entry.get("fullUrl") in links:
        resource["id"] = links[entry["fullUrl"]].split("/", 1)[1]
    return Entry(resource, "", links)


def _links(entries: list[Json]) -> Links:
    """Full URL of each resource of a bundle to ``Type/id``."""
    links = {}
    for entry in entries:
        url, resource = entry.get("fullUrl"), entry.get("resource")
        if isinstance(url, str) and isinstance(resource, dict):
            own = resource.get("id") or url.replace(":", "/").rsplit("/", 1)[-1]
            links[url] = f"{resource.get('resourceType')}/{own}"
    return links
