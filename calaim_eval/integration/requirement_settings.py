"""What each plan requires on a day, and how alike two plans' settings of one element are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.inputs import Day, as_day, set_aside, take_columns
from calaim_eval.integration.settings_in_force import not_in_force
from calaim_eval.tables.ledger import RowLedger

ElementKind: TypeAlias = Literal["category", "number", "set"]
_KINDS = ("category", "number", "set")


def requirements_on(
    plan_requirement: pd.DataFrame,
    *,
    as_of: Day,
    ledger: RowLedger | None = None,
    stage: str = "requirements in force",
) -> pd.DataFrame:
    """Setting of every element by every plan on a day.

    A row holds from its `effective_date` until the plan's next row for the element; without a
    date it always held.

    Parameters
    ----------
    plan_requirement : pd.DataFrame
        Columns of the table `plan_requirement`.
    as_of : day
    ledger : RowLedger, optional
        Gets the rows set aside and the reason of each.
    stage : str
        Stage name in the ledger.

    Returns
    -------
    pd.DataFrame
        Index plan, one column an element, text; missing where a plan's setting is not recorded.

    Raises
    ------
    TableError
        Columns are absent, or a plan has two settings of an element from one day on.
    EstimationError
        No requirement is in force.
    """
    day = as_day(as_of, name="as_of")
    rows = take_columns(
        plan_requirement,
        table="plan_requirement",
        required=("plan", "requirement", "requirement_value"),
        optional=("effective_date",),
    )
    key = ["plan", "requirement"]
    rows["requirement_value"] = rows["requirement_value"].str.strip()
    is_kept = set_aside(
        not_in_force(rows, key=key, value="requirement_value", day=day),
        table="plan_requirement",
        stage=stage,
        ledger=ledger,
    )
    if not is_kept.any():
        raise EstimationError(
            f"table `plan_requirement`: none of {len(rows):,} rows is in force on the day.\n"
            "  Check `effective_date` and `as_of`."
        )
    kept = rows[is_kept]
    _refuse_two_settings(kept, key)
    first = kept.drop_duplicates(key)
    wide = first.set_index(key)["requirement_value"].unstack("requirement")  # noqa: PD010
    return wide[list(dict.fromkeys(first["requirement"]))].sort_index()


def kinds_of_elements(
    settings: pd.DataFrame, kinds: Mapping[str, ElementKind] | None = None
) -> dict[str, ElementKind]:
    """Kind of each element: as declared, else a number where every setting is one, else a set
    where a setting holds a semicolon, else a category.

    Raises
    ------
    EstimationError
        A declared kind is not known, is of no element, or is a number and settings are not.
    """
    declared = dict(kinds or {})
    unknown = [name for name in declared if name not in settings.columns]
    if unknown or any(kind not in _KINDS for kind in declared.values()):
        raise EstimationError(
            f"`kinds`: {len(unknown)} of {len(declared)} elements are not required by any plan, or "
            "a kind is not one of `category`, `number`, `set`.\n"
            f"  Elements: {', '.join(f'`{name}`' for name in settings.columns)}."
        )
    found: dict[str, ElementKind] = {}
    for name in settings.columns:
        values = settings[name].dropna()
        is_number = pd.to_numeric(values, errors="coerce").notna().all()
        if declared.get(name) == "number" and not is_number:
            raise EstimationError(
                f"element `{name}` is declared a number, and settings of it are not.\n"
                "  Write them without units, or declare it a category."
            )
        guess: ElementKind = "set" if values.str.contains(";").any() else "category"
        found[name] = declared.get(name, "number" if is_number else guess)
    return found


def alike_written(settings: pd.DataFrame, kinds: Mapping[str, ElementKind]) -> pd.DataFrame:
    """Settings of which those that ask the same are the same text: ``3`` and ``3.0``, or the same
    entries in another order.

    Parameters
    ----------
    settings : pd.DataFrame
        Index plan, one column an element, as `requirements_on` returns.
    kinds : mapping of element to {"category", "number", "set"}
        Of every element.

    Returns
    -------
    pd.DataFrame
        Same shape.
    """

    def written(value: str, kind: ElementKind) -> str:
        if kind == "number":
            return repr(float(value))
        return ";".join(sorted(_entries(value))) if kind == "set" else value

    return settings.apply(
        lambda values: values.map(lambda v: written(v, kinds[values.name]), na_action="ignore")
    )


def number_span(values: pd.Series) -> float:
    """Range of the settings that are numbers; 0 where none is."""
    number = pd.to_numeric(values, errors="coerce").dropna()
    return float(number.max() - number.min()) if len(number) else 0.0


def gower_similarity(
    values: pd.Series, kind: ElementKind, *, span: float | None = None
) -> np.ndarray:
    r"""Similarity of every two plans in one element, from 0 to 1; NaN where one is not recorded.

    Parameters
    ----------
    values : pd.Series
        One setting a plan, as text; shape (p,).
    kind : {"category", "number", "set"}
        Same or not; :math:`1 - |x_i - x_j| / \text{range}`; shared entries over all entries.
    span : float, optional
        Range of the numbers, where they are compared with those of other days. Default: of
        `values`.

    Returns
    -------
    np.ndarray
        Shape (p, p).
    """
    if kind == "number":
        number = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
        span = number_span(values) if span is None else span
        gap = np.abs(number[:, None] - number[None, :])
        return np.asarray(1 - gap / (span if span > 0 else 1.0))
    if kind == "set":
        return _shared_entries(values)
    code, _ = pd.factorize(values)
    same = (code[:, None] == code[None, :]).astype(float)
    unknown = code < 0
    same[unknown, :] = np.nan
    same[:, unknown] = np.nan
    return np.asarray(same)


def _shared_entries(values: pd.Series) -> np.ndarray:
    """Jaccard similarity of settings that list several things."""
    sets = [_entries(v) if isinstance(v, str) else None for v in values]
    found = np.full((len(sets), len(sets)), np.nan)
    for i, one in enumerate(sets):
        for j, other in enumerate(sets):
            if one is not None and other is not None:
                found[i, j] = len(one & other) / len(one | other) if one | other else 1.0
    return found


def _entries(value: str) -> frozenset[str]:
    """Entries of a setting that lists several things."""
    return frozenset(part.strip() for part in value.split(";") if part.strip())


def _refuse_two_settings(kept: pd.DataFrame, key: list[str]) -> None:
    """Refuse two settings of one element from the same day on."""
    settings = kept.drop_duplicates([*key, "requirement_value"])
    n_double = int(settings.duplicated(key).sum())
    if n_double:
        raise TableError(
            f"table `plan_requirement`: {n_double} times a plan has two settings of an element "
            "from the same day on.\n  Keep one, or join them by semicolons where both are "
            "required."
        )
