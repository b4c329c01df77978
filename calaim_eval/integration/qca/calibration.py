"""Raw values to degrees of membership in a set, by anchors that a file declares."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError, quoted

FULL_LOG_ODDS = float(np.log(0.95 / 0.05))
"""Log odds of the degree of membership 0.95, which the outer anchors have."""
_KEYS = ("column", "non_member", "crossover", "full_member", "reason")


@dataclass(frozen=True, slots=True)
class Calibration:
    """How one column becomes membership in a set.

    Attributes
    ----------
    name : str
        Of the set, such as ``"well_funded"``.
    column : str
    non_member, crossover, full_member : float
        Values with membership 0.05, 0.5 and 0.95; rising, or falling for a set of low values. All
        three equal: a crisp set, a member at or above.
    reason : str
        Why these anchors: theory or outside knowledge, not the data.
    """

    name: str
    column: str
    non_member: float
    crossover: float
    full_member: float
    reason: str

    def __post_init__(self) -> None:
        numbers = (self.non_member, self.crossover, self.full_member)
        if not all(_is_number(each) for each in numbers) or not isinstance(self.reason, str):
            raise TableError(
                f"set `{self.name}`: non_member, crossover and full_member are numbers, `reason` "
                "is text. Write numbers without quotation marks."
            )
        anchors = np.array([self.non_member, self.crossover, self.full_member])
        steps = np.diff(anchors)
        ordered = (steps > 0).all() or (steps < 0).all() or (steps == 0).all()
        if not np.isfinite(anchors).all() or not ordered:
            raise TableError(
                f"set `{self.name}`: the anchors {anchors.tolist()} neither rise nor fall. Give "
                "non_member, crossover and full_member in order (all equal for a crisp set)."
            )
        if not self.reason.strip():
            raise TableError(
                f"set `{self.name}` has no `reason`. Say why these are the anchors: results depend "
                "on them more than on anything else."
            )


def _is_number(value: object) -> bool:
    """Whether an anchor is a number, and not true or false."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def read_calibration(path: Path) -> tuple[Calibration, ...]:
    """Anchors of every set from a TOML file, one table a set.

    Examples
    --------
    A file has ::

        [well_funded]
        column = "path_dollars_per_member"
        non_member = 0
        crossover = 5
        full_member = 20
        reason = "PATH awards: 5 dollars pays one coordinator in a median county"

    Raises
    ------
    TableError
        The file is no TOML, a key is absent or unknown, or anchors are no numbers or out of order.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TableError(f"the calibration file cannot be read: {error}.") from error
    if not content:
        raise TableError("the calibration file declares no set. Add one table a set.")
    return tuple(_calibration(name, entry) for name, entry in content.items())


def _calibration(name: str, entry: object) -> Calibration:
    """One declared set."""
    keys = set(entry) if isinstance(entry, dict) else set()
    if keys != set(_KEYS):
        raise TableError(
            f"set `{name}` of the calibration file needs {quoted(_KEYS)}; absent: "
            f"{quoted(sorted(set(_KEYS) - keys))}, unknown: {quoted(sorted(keys - set(_KEYS)))}."
        )
    return Calibration(name=name, **entry)  # type: ignore[arg-type]


def calibrate(data: pd.DataFrame, sets: Sequence[Calibration]) -> pd.DataFrame:
    r"""Degrees of membership by the direct method.

    .. math:: m(x) = \operatorname{expit}\{2.944 (x - c)/|a - c|\}

    with crossover c and a the outer anchor on the side of x.

    Parameters
    ----------
    data : pd.DataFrame
        One row per case (county, plan, organization).
    sets : sequence of Calibration

    Returns
    -------
    pd.DataFrame
        One column per set, in 0–1, NaN where the value is missing; the index of `data`. A case at
        exactly 0.5 is in no row of a truth table: move the crossover where cases lie on it.

    Raises
    ------
    TableError
        A column is absent or holds no numbers, or two sets have one name.

    References
    ----------
    Ragin CC (2008). Redesigning Social Inquiry. University of Chicago Press, chapter 5.
    """
    names = [s.name for s in sets]
    if len(set(names)) < len(names):
        raise TableError("two sets have one name. Give each set its own.")
    absent = [s.column for s in sets if s.column not in data.columns]
    if absent:
        raise TableError(f"the table of cases lacks {quoted(absent)}, which the calibration names.")
    return pd.DataFrame({s.name: _membership(data[s.column], s) for s in sets}, index=data.index)


def _membership(values: pd.Series, anchors: Calibration) -> np.ndarray:
    """Membership of each case in one set."""
    if not pd.api.types.is_numeric_dtype(values.dtype):
        raise TableError(f"column `{values.name}` holds {values.dtype}; a set needs numbers.")
    x = values.to_numpy(dtype=float, na_value=np.nan)
    if anchors.non_member == anchors.full_member:
        return np.where(np.isnan(x), np.nan, (x >= anchors.crossover).astype(float))
    direction = np.sign(anchors.full_member - anchors.crossover)
    distance = direction * (x - anchors.crossover)
    above = abs(anchors.full_member - anchors.crossover)
    below = abs(anchors.crossover - anchors.non_member)
    score = FULL_LOG_ODDS * distance / np.where(distance > 0, above, below)
    return np.asarray(0.5 * (1 + np.tanh(0.5 * score)))
