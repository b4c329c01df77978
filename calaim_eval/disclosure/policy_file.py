"""A suppression policy of one's own: a TOML file, checked key by key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from calaim_eval.disclosure.policy import Policy, packaged, policy_names
from calaim_eval.errors import DisclosureError

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_BASED_ON = "based_on"
# Say where a policy comes from; they differ in every policy of one's own.
_ABOUT = frozenset({"name", "version", "title", "source", "confirmed", "differs_from"})


def read_policy_file(path: Path) -> Policy:
    """Read a policy file; say everything that is wrong with it at once.

    Raises
    ------
    DisclosureError
        The file is missing, is not TOML, or has keys or values that are not a policy's.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DisclosureError(
            f"{path}: no such policy file.\n  Policies of the package: "
            f"{', '.join(f'`{n}`' for n in policy_names())}."
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise DisclosureError(f"{path}: not a TOML file that can be read: {problem}.") from None
    if content.get("name") in policy_names():
        raise DisclosureError(
            f"{path}: `{content['name']}` is the name of a policy of the package.\n"
            "  Give yours a name of its own: outputs are told apart by it."
        )
    content.pop("differs_from", None)
    based_on = content.pop(_BASED_ON, None)
    if based_on is None:
        return Policy(**checked_rules(content, where=str(path)))
    if based_on not in policy_names():
        listed = ", ".join(f"`{n}`" for n in policy_names())
        raise DisclosureError(f"{path}: `{_BASED_ON}` is none of the policies {listed}.")
    own_name = [name for name in ("name", "version", "title", "source") if name not in content]
    if own_name:
        listed = ", ".join(f"`{n}`" for n in own_name)
        raise DisclosureError(
            f"{path}: {listed} missing. Every output names the policy: it needs a name, a version, "
            "a title and who decided it (`source`) of its own."
        )
    base = packaged(based_on)
    rules = checked_rules({**base, "confirmed": "own", **content}, where=str(path))
    return Policy(**rules | {"differs_from": _differences(rules, base, based_on)})


def checked_rules(content: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The rules as the arguments of `Policy`.

    Raises
    ------
    DisclosureError
        Naming every key that is unknown or missing, and every value that cannot be.
    """
    known = {field.name: field for field in fields(Policy)}
    problems = [_unknown(key, list(known)) for key in content if key not in known]
    problems += [
        f"`{name}` is missing; or name a policy it is `{_BASED_ON}`"
        for name, field in known.items()
        if name not in content and field.default is MISSING
    ]
    for name, value in content.items():
        wrong = _CHECKS[name](value) if name in _CHECKS else None
        problems += [f"`{name}`: {wrong}"] if wrong else []
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise DisclosureError("\n".join([f"{where}: {count}", *(f"  {p}" for p in problems)]))
    return dict(content)


def _differences(rules: Mapping[str, Any], base: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """What a policy changes in the one it is based on, a rule each."""
    defaults = {f.name: f.default for f in fields(Policy) if f.default is not MISSING}
    before = {**defaults, **base}
    return tuple(
        f"{key} {value} ({before[key]} in {name})"
        for key, value in rules.items()
        if key not in _ABOUT and value != before[key]
    )


def _unknown(key: str, known: list[str]) -> str:
    """An unknown key, with the one that may be meant."""
    close = get_close_matches(key, known, n=1)
    return f"`{key}` is no key of a policy" + (f"; did you mean `{close[0]}`?" if close else "")


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "give words in quotes"


def _name(value: Any) -> str | None:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return None
    return "lower-case letters, digits and underscores, starting with a letter"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "is true or false"


def _whole(low: int) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        is_whole = isinstance(value, int) and not isinstance(value, bool) and value >= low
        return None if is_whole else f"a whole number of {low} or more"

    return check


def _number(low: float) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if is_number and low <= value < float("inf") else f"a number of {low} or more"

    return check


def _one_of(*words: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        listed = ", ".join(f'"{word}"' for word in words)
        return None if isinstance(value, str) and value in words else f"one of {listed}"

    return check


def _groups(value: Any) -> str | None:
    is_groups = isinstance(value, Mapping) and all(
        isinstance(names, list | tuple) and all(isinstance(n, str) for n in names)
        for names in value.values()
    )
    return None if is_groups else 'a table of lists, such as `race_ethnicity = ["aian", "nhpi"]`'


def _tables(value: Any) -> str | None:
    is_list = isinstance(value, list | tuple) and all(
        isinstance(name, str) and _NAME.fullmatch(name) for name in value
    )
    return None if is_list else 'a list of names of tables, such as `["access_times"]`'


def _share(value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number and 0 < value <= 1 else "a number above 0 and at most 1"


_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "name": _name,
    "version": _text,
    "title": _text,
    "source": _text,
    "confirmed": _one_of("yes", "partial", "no", "own"),
    "min_count": _whole(1),
    "zeros_shown": _flag,
    "min_interval": _number(1),
    "min_interval_share": _number(0),
    "protect_changes": _flag,
    "score_edition": _one_of("", "1.0", "2.0"),
    "score_limit": _whole(0),
    "time_limit_seconds": _number(0.1),
    "cost_margin": _number(1),
    "cost_readable": _number(1),
    "keep_readable": _groups,
    "hide_first": _tables,
    "cost_hide_first": _share,
    "rounding": _one_of("none", "nearest", "midpoint"),
    "rounding_base": _whole(1),
    "min_support": _whole(0),
    "denominator_limit": _whole(0),
    "score_gate": _one_of("show", "refuse"),
}
