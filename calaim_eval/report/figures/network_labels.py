"""Names on a network map: set where they cover neither a mark nor another name."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.report.labels import wrap

_LETTER, _LINE, _GAP = 0.061, 0.135, 0.075
_WRAP = 22
_MARGIN = 0.25
_NEARER = 1.3
"""Another mark must be this much farther from the words than their own."""


def place_labels(
    words: dict[str, str], places: pd.DataFrame, *, width: float, height: float
) -> pd.DataFrame:
    """Where to write words beside marks, the most important first.

    Parameters
    ----------
    words : dict of organization to str
        In the order of importance: one that finds no room is left out.
    places : pd.DataFrame
        organization, x, y of every mark.
    width, height : float
        Inches of the panel that x and y span.

    Returns
    -------
    pd.DataFrame
        organization, words, x, y: middle of the written words, in the unit of `places`.
    """
    scale = np.array([_span(places["x"]) / width, _span(places["y"]) / height])
    marks = places[["x", "y"]].to_numpy(dtype=float) / scale
    own = dict(zip(places["organization"], marks, strict=True))
    low, high = marks.min(axis=0) - _MARGIN, marks.max(axis=0) + _MARGIN
    taken: list[np.ndarray] = []
    rows: list[tuple[str, str, float, float]] = []
    for name, text in words.items():
        lines = wrap(text, width=_WRAP)
        size = _size(lines)
        for middle in _candidates(own[name], size):
            box = np.array([middle - size / 2, middle + size / 2])
            is_inside = (box[0] >= low).all() and (box[1] <= high).all()
            if is_inside and _is_free(box, own[name], marks, taken):
                taken.append(box)
                x, y = middle * scale
                rows.append((name, lines, float(x), float(y)))
                break
    return pd.DataFrame(rows, columns=["organization", "words", "x", "y"])


def _size(lines: str) -> np.ndarray:
    """Inches that words take."""
    parts = lines.split("\n")
    return np.array([_LETTER * max(map(len, parts)), _LINE * len(parts)])


def _candidates(point: np.ndarray, size: np.ndarray) -> list[np.ndarray]:
    """Above, below, right and left of a mark, then slid along it, then the corners."""
    dx, dy = size / 2 + _GAP
    steps = [(0.0, dy), (0.0, -dy), (dx, 0.0), (-dx, 0.0)]
    for share in (0.2, -0.2, 0.4, -0.4):
        slide_x, slide_y = share * size
        steps += [(slide_x, dy), (slide_x, -dy), (dx, slide_y), (-dx, slide_y)]
    steps += [(dx, dy), (-dx, dy), (dx, -dy), (-dx, -dy)]
    return [point + np.array(step) for step in steps]


def _is_free(box: np.ndarray, own: np.ndarray, marks: np.ndarray, taken: list[np.ndarray]) -> bool:
    """Whether a box is clearly nearest to its own mark and covers no other name."""
    beside = np.maximum(np.maximum(box[0] - marks, marks - box[1]), 0.0)
    distance = np.hypot(*beside.T)
    of_own = (marks == own).all(axis=1)
    is_nearest = (distance[~of_own] > _NEARER * distance[of_own].max()).all()
    meets = [(box[0] < other[1]).all() and (box[1] > other[0]).all() for other in taken]
    return bool(is_nearest) and not any(meets)


def _span(values: pd.Series) -> float:
    """Range of values, 1 where there is none."""
    return float(np.ptp(values)) or 1.0
