"""Small things every FHIR resource is made of: codes, references, dates, identifiers."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
Links = Mapping[str, str]
Row = dict[str, Any]

NPI_SYSTEMS = ("us-npi", "2.16.840.1.113883.4.6")
_VERSION = re.compile(r"/_history/.*$")
_LEAP_SECOND = re.compile(r"(T\d{2}:\d{2}:)60")


def as_list(value: Any) -> list[Any]:
    """A repeated element as a list; one value that should be a list is taken for one of it."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def objects(value: Any) -> list[Json]:
    """The objects of a repeated element."""
    return [each for each in as_list(value) if isinstance(each, dict)]


def codings(concept: Any) -> Iterator[tuple[str, str]]:
    """System and code of every coding of one or several concepts."""
    for each in objects(concept):
        for coding in objects(each.get("coding")):
            if coding.get("code"):
                yield str(coding.get("system") or "").lower(), str(coding["code"]).strip()


def codes(concept: Any) -> list[str]:
    """Codes of a concept, whatever their system."""
    return [code for _, code in codings(concept)]


def code_of(concept: Any, systems: tuple[str, ...]) -> str | None:
    """Code under a system whose address holds one of `systems`; else one that names no system."""
    found = list(codings(concept))
    for system, code in found:
        if any(part in system for part in systems):
            return code
    return next((code for system, code in found if not system), None)


def reference(value: Any, links: Links) -> str | None:
    """What a reference points to, as ``Type/id``; missing when it points nowhere.

    Parameters
    ----------
    value : dict
        A FHIR Reference.
    links : Links
        Full URL to ``Type/id``, of the bundle.
    """
    text = value.get("reference") if isinstance(value, dict) else None
    text = text.strip() if isinstance(text, str) else ""
    if not text or text.startswith("#"):
        return None
    if text in links:
        return links[text]
    parts = _VERSION.sub("", text).replace("urn:uuid:", "").replace("urn:oid:", "").split("/")
    kind = parts[-2] if len(parts) > 1 else str(value.get("type") or "?")
    return f"{kind}/{parts[-1].strip()}"


def id_of(pointer: str | None) -> str | None:
    """The id in ``Type/id``."""
    return pointer.split("/", 1)[1] if pointer else None


def identifier(value: Any, *systems: str, kind: str = "") -> str | None:
    """Value of the identifier of a system or of a type."""
    for each in objects(value):
        system = str(each.get("system") or "").lower()
        of_kind = bool(kind) and kind in codes(each.get("type"))
        if each.get("value") and (of_kind or any(part in system for part in systems)):
            return str(each["value"]).strip()
    return None


def npi_in(value: Any, resource: Json) -> str | None:
    """NPI a reference carries itself, or that a contained resource has."""
    if not isinstance(value, dict):
        return None
    own = identifier(value.get("identifier"), *NPI_SYSTEMS, kind="npi")
    text = str(value.get("reference") or "")
    if own or not text.startswith("#"):
        return own
    for contained in objects(resource.get("contained")):
        if contained.get("id") == text[1:]:
            return identifier(contained.get("identifier"), *NPI_SYSTEMS, kind="npi")
    return None


def first_day(text: Any) -> str | None:
    """First day that a date, month or year means."""
    if not isinstance(text, str) or not text:
        return None
    if re.fullmatch(r"\d{4}", text):
        return f"{text}-01-01"
    return f"{text}-01" if re.fullmatch(r"\d{4}-\d{2}", text) else text[:10]


def last_day(text: Any) -> str | None:
    """Last day that a date, month or year means."""
    if not isinstance(text, str) or not text:
        return None
    if re.fullmatch(r"\d{4}", text):
        return f"{text}-12-31"
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        return f"{text}-{calendar.monthrange(int(text[:4]), int(text[5:]))[1]:02d}"
    return text[:10]


def instant(text: Any) -> str | None:
    """An instant in UTC, to the microsecond, as text that sorts in time; none for other values.

    Where no time zone is told, it is UTC. A leap second is the one before it, and a day with a time
    that is none is the start of the day.
    """
    day = first_day(text)
    if day is None:
        return None
    for each in (_LEAP_SECOND.sub(r"\g<1>59", text), day):
        try:
            moment = datetime.fromisoformat(each if len(each) > len(day) else day)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except ValueError:
            continue
        except OverflowError:
            return None
        return moment.isoformat(timespec="microseconds")
    return None


def amount(value: Any) -> float | None:
    """Number of a Money or Quantity."""
    number = value.get("value") if isinstance(value, dict) else None
    return float(number) if isinstance(number, int | float) else None


def extensions(resource: Json, url: str) -> list[Json]:
    """Extensions whose address ends so."""
    found = objects(resource.get("extension"))
    return [each for each in found if str(each.get("url") or "").endswith(url)]
