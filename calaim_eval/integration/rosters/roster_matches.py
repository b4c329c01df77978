"""Pairs of organizations that may be one, with what speaks for and against it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, MissingExtraError, TableError, quoted
from calaim_eval.integration.inputs import as_text
from calaim_eval.integration.rosters.organization_names import plain_name

ACCEPT, REVIEW = "accept", "review"
SAME_NAME, ALIKE_NAME = "same name", "alike name"
COLUMNS = ("left_id", "left_name", "right_id", "right_name", "rule", "score", "agree", "differ")
"""Of the proposed pairs, before what is proposed and decided."""


def propose_matches(
    left: pd.DataFrame,
    right: pd.DataFrame,
    *,
    name: str = "organization_name",
    organization_id: str = "organization_id",
    numbers: Sequence[str] = ("npi", "ein"),
    place: str | None = None,
    least_score: float = 85.0,
    most_candidates: int = 3,
) -> pd.DataFrame:
    """Pairs of a row of one roster and a row of the other that may be one organization.

    Equal numbers (NPI, EIN) speak first, then names without case, accents and legal form, then
    names alike. Nothing is linked by this: pairs that share a number, contradict each other in
    none and are the only candidates of both sides are proposed for acceptance, all others for
    review by people (`write_match_review`).

    Parameters
    ----------
    left, right : pd.DataFrame
        Two rosters, one row per organization.
    name, organization_id : str
        Columns in both.
    numbers : sequence of str
        Columns with numbers that belong to one organization, strongest first; those a roster
        lacks are passed over. Kept as text: leading zeros count. Without a digit above 0 (``0``,
        ``n/a``) a number is missing.
    place : str, optional
        Column (county, city) that must agree for names alike; a missing place agrees with any.
    least_score : float
        Least likeness of names, 0 to 100: share of letters that agree, words in any order.
    most_candidates : int
        Names alike that are kept for each row of `left`.

    Returns
    -------
    pd.DataFrame
        `COLUMNS`; ``rule`` is the number that agrees, ``"same name"`` or ``"alike name"``;
        ``score`` likeness of the names; ``agree`` and ``differ`` the numbers that do;
        ``n_candidates`` pairs the row of `left` or the row of `right` is in, the larger;
        ``proposal`` (``"accept"`` or ``"review"``); ``decision`` (empty).

    Raises
    ------
    TableError
        A column is absent, or an id is missing or repeats.
    EstimationError
        `least_score` is not between 50 and 100.
    MissingExtraError
        The package `rapidfuzz` is not installed.

    Notes
    -----
    Likeness is the normalized indel similarity of the sorted words (`rapidfuzz`,
    ``fuzz.token_sort_ratio``). For a probabilistic linkage of persons use a tool made for it; for
    a few thousand organizations that people review, numbers and names do.
    """
    if not 50 <= least_score <= 100:
        raise EstimationError(f"`least_score` is {least_score}; it lies between 50 and 100.")
    sides = [
        _side(frame, which, name, organization_id, numbers, place)
        for which, frame in (("left", left), ("right", right))
    ]
    shared = [n for n in numbers if all(n in side.columns for side in sides)]
    ours, theirs = sides
    by_name = _name_pairs(ours, theirs, least_score, most_candidates)
    pairs = by_name | _number_pairs(ours, theirs, shared)
    if not pairs:
        return pd.DataFrame(columns=[*COLUMNS, "n_candidates", "proposal", "decision"])
    return _table(ours, theirs, pairs, shared)


def _side(
    frame: pd.DataFrame,
    which: str,
    name: str,
    organization_id: str,
    numbers: Sequence[str],
    place: str | None,
) -> pd.DataFrame:
    """A roster with its compared columns under fixed names."""
    needed = [organization_id, name, *([place] if place else [])]
    absent = [column for column in needed if column not in frame.columns]
    if absent:
        raise TableError(f"the {which} roster lacks {quoted(absent)}.")
    ids = as_text(frame[organization_id])
    bad = int(ids.isna().sum() + ids.duplicated().sum())
    if bad:
        raise TableError(
            f"the {which} roster has {bad} of {len(frame)} rows whose `{organization_id}` is "
            "missing or repeats. Make it one row per organization first."
        )
    side = pd.DataFrame({"id": ids.astype(object), "name": frame[name]}).reset_index(drop=True)
    side["plain"] = [plain_name(value) for value in side["name"]]
    side["place"] = _text(frame[place]) if place else ""
    for number in numbers:
        if number in frame.columns:
            side[number] = _number_text(frame[number])
    return side


def _text(values: pd.Series) -> np.ndarray:
    """Values as compared: letters and digits, empty where missing."""
    cleaned = values.astype("string").str.strip().str.casefold()
    cleaned = cleaned.str.replace(r"\.0$", "", regex=True).str.replace(r"[\s-]+", "", regex=True)
    return np.asarray(cleaned.fillna(""), dtype=object)


def _number_text(values: pd.Series) -> np.ndarray:
    """Numbers as compared; what somebody wrote for "none" (0, n/a, unknown) is empty."""
    cleaned = pd.Series(_text(values), dtype=object)
    return np.where(cleaned.str.contains("[1-9]", regex=True).to_numpy(dtype=bool), cleaned, "")


def _number_pairs(
    left: pd.DataFrame, right: pd.DataFrame, numbers: Sequence[str]
) -> dict[tuple[int, int], str]:
    """Positions of rows with an equal number, and the strongest that agrees."""
    pairs: dict[tuple[int, int], str] = {}
    for number in numbers:
        ours = left.loc[left[number] != "", [number]].reset_index(names="i")
        theirs = right.loc[right[number] != "", [number]].reset_index(names="j")
        for i, j in ours.merge(theirs, on=number)[["i", "j"]].itertuples(index=False):
            pairs.setdefault((int(i), int(j)), number)
    return pairs


def _name_pairs(
    left: pd.DataFrame, right: pd.DataFrame, least: float, most: int
) -> dict[tuple[int, int], str]:
    """Positions of rows with the same name, or one alike, in agreeing places."""
    try:
        from rapidfuzz import fuzz, process
    except ImportError as error:
        raise MissingExtraError(
            'names are compared by the package rapidfuzz. Install it with: pip install "calaim-eval'
            '[linkage]".'
        ) from error
    plain, places = right["plain"].to_numpy(), right["place"].to_numpy()
    pairs: dict[tuple[int, int], str] = {}
    for i, (name, place) in enumerate(zip(left["plain"], left["place"], strict=True)):
        if not name:
            continue
        near = np.flatnonzero((plain != "") & ((place == "") | (places == "") | (places == place)))
        found = process.extract(
            name,
            [plain[j] for j in near],
            scorer=fuzz.token_sort_ratio,
            score_cutoff=least,
            limit=None,
        )
        same = [near[k] for _, _, k in found if plain[near[k]] == name]
        alike = [near[k] for _, _, k in found if plain[near[k]] != name][:most]
        pairs |= {(i, int(j)): SAME_NAME for j in same}
        pairs |= {(i, int(j)): ALIKE_NAME for j in alike}
    return pairs


def _table(
    left: pd.DataFrame,
    right: pd.DataFrame,
    pairs: dict[tuple[int, int], str],
    numbers: Sequence[str],
) -> pd.DataFrame:
    """The pairs with their evidence, the surest first."""
    from rapidfuzz import fuzz

    rows = []
    for (i, j), rule in pairs.items():
        one, two = left.iloc[i], right.iloc[j]
        known = [n for n in numbers if one[n] and two[n]]
        rows.append(
            {
                "left_id": one["id"],
                "left_name": one["name"],
                "right_id": two["id"],
                "right_name": two["name"],
                "rule": rule,
                "score": round(float(fuzz.token_sort_ratio(one["plain"], two["plain"])), 1),
                "agree": ", ".join(n for n in known if one[n] == two[n]),
                "differ": ", ".join(n for n in known if one[n] != two[n]),
            }
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    sizes = [table.groupby(side)[side].transform("size") for side in ("left_id", "right_id")]
    table["n_candidates"] = np.maximum(*sizes)
    is_sure = table["agree"].ne("") & table["differ"].eq("") & table["n_candidates"].eq(1)
    table["proposal"] = np.where(is_sure, ACCEPT, REVIEW)
    table["decision"] = ""
    order = {**{n: i for i, n in enumerate(numbers)}, SAME_NAME: 90, ALIKE_NAME: 91}
    table["_order"] = table["rule"].map(order)
    table = table.sort_values(
        ["_order", "score", "left_id", "right_id"], ascending=[True, False, True, True]
    )
    return table.drop(columns="_order").reset_index(drop=True)
