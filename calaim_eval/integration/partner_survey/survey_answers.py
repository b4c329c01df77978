"""Answers of a partner survey, scored by its codebook: reversed items, missing codes, skips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import count_words
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.inputs import (
    TEXT,
    Day,
    as_day,
    check_unique,
    check_values,
    set_aside,
    take_columns,
)
from calaim_eval.tables.ledger import RowLedger

PERSON_COLUMNS = ("respondent_id", "organization_id", "respondent_role")
UNKNOWN_ROLE = "not_recorded"
_STAGE = "survey answers"


@dataclass(frozen=True, slots=True, eq=False)
class SurveyAnswers:
    """One row a respondent, one column an item, high answers meaning much of the scale.

    Attributes
    ----------
    answers : pd.DataFrame
        ``respondent_id``, ``organization_id``, ``respondent_role`` and the items; missing where
        there is no answer that counts; shape (n_respondents, 3 + n_items). Persons: restricted.
    scales : Mapping[str, tuple[str, ...]]
        Scale to its items that were answered at all, in the order of the codebook.
    n_points : Mapping[str, float]
        Scale to the number of answers its items allow (5 for 1 to 5); NaN where items differ.
    """

    answers: pd.DataFrame
    scales: Mapping[str, tuple[str, ...]]
    n_points: Mapping[str, float]

    @property
    def n_respondents(self) -> int:
        """Respondents with at least one answer."""
        return len(self.answers)

    def items(self, scale: str) -> pd.DataFrame:
        """Answers to the items of a scale; shape (n_respondents, n_items).

        Raises
        ------
        EstimationError
            The codebook has no such scale, or nobody answered its items.
        """
        if scale not in self.scales:
            known = ", ".join(f"`{name}`" for name in self.scales) or "none"
            raise EstimationError(
                f"the survey has no answered scale `{scale}`.\n  Answered scales: {known}."
            )
        return self.answers[list(self.scales[scale])]

    def scores(self, scale: str, *, min_share_answered: float = 0.5) -> pd.Series:
        """Mean answer of each respondent; missing below the share of items answered.

        Raises
        ------
        EstimationError
            The share is not above 0 and at most 1, or there is no such scale.
        """
        if not 0 < min_share_answered <= 1:
            raise EstimationError(
                "`min_share_answered` is not above 0 and at most 1.\n  Half of the items is usual."
            )
        items = self.items(scale)
        is_enough = items.notna().mean(axis=1) >= min_share_answered - 1e-12
        return items.mean(axis=1).where(is_enough)

    def __repr__(self) -> str:
        people = count_words(self.n_respondents)
        return f"<SurveyAnswers: {people} respondents, scales {', '.join(self.scales)}>"


def score_survey(
    survey_response: pd.DataFrame,
    survey_item: pd.DataFrame,
    *,
    wave_date: Day | None = None,
    ledger: RowLedger | None = None,
) -> SurveyAnswers:
    """Score the answers of one survey wave by its codebook.

    Reversed items are turned (``lowest + highest - answer``). Set aside and counted, each under
    its reason: codes that are no answer, answers out of range, items that are not in the
    codebook, and answers to questions the respondent was to skip.

    Parameters
    ----------
    survey_response, survey_item : pd.DataFrame
        Columns of the tables of these names. Items without a `scale` only decide skips.
    wave_date : day, optional
        Wave to score; needed where the answers are of several.
    ledger : RowLedger, optional
        Gets the rows set aside and the reason of each.

    Returns
    -------
    SurveyAnswers

    Raises
    ------
    TableError
        Columns are absent, keys repeat, the codebook contradicts itself, or a respondent is
        listed with several organizations or roles.
    EstimationError
        Several waves and none chosen, or no answer counts.

    Examples
    --------
    >>> item = pd.DataFrame(
    ...     {
    ...         "item": ["helps", "hinders"],
    ...         "scale": "use",
    ...         "lowest_response": 1,
    ...         "highest_response": 5,
    ...         "is_reversed": [False, True],
    ...         "missing_codes": "8;9",
    ...     }
    ... )
    >>> response = pd.DataFrame(
    ...     {
    ...         "respondent_id": ["a", "a", "b", "b"],
    ...         "organization_id": ["o", "o", "o", "o"],
    ...         "item": ["helps", "hinders", "helps", "hinders"],
    ...         "response": [4, 1, 9, 2],
    ...     }
    ... )
    >>> score_survey(response, item).items("use").to_numpy().tolist()
    [[4.0, 5.0], [nan, 4.0]]
    """
    codebook = _codebook(survey_item)
    rows = take_columns(
        survey_response,
        table="survey_response",
        required=("respondent_id", "organization_id", "item", "response"),
        optional=("respondent_role", "wave_date"),
    )
    check_values(rows, table="survey_response", column="respondent_role")
    is_of_wave = _of_wave(rows["wave_date"], wave_date)
    judged = _judge(rows, codebook, is_of_wave)
    is_kept = set_aside(judged, table="survey_response", stage=_STAGE, ledger=ledger)
    if not is_kept.any():
        raise EstimationError(
            f"table `survey_response`: none of {len(rows):,} rows is an answer that counts.\n"
            "  Check `wave_date`, and whether `item` and the ranges are those of `survey_item`; "
            "the ledger has the reasons."
        )
    kept = rows[is_kept]
    check_unique(kept, table="survey_response", key=("respondent_id", "item"))
    return _arranged(kept, codebook)


def _codebook(survey_item: pd.DataFrame) -> pd.DataFrame:
    """The codebook, one row an item; contradictions are errors."""
    book = take_columns(
        survey_item,
        table="survey_item",
        required=("item", "lowest_response", "highest_response"),
        optional=("scale", "is_reversed", "missing_codes", "asked_if_item", "asked_if_responses"),
    )
    check_unique(book, table="survey_item", key=("item",))
    if book["item"].isna().any():
        raise TableError("table `survey_item`: a row has no `item`.\n  Name it or leave it out.")
    book["is_reversed"] = _yes(book["is_reversed"])
    wrong = {
        "`lowest_response` not below `highest_response`": ~(
            book["lowest_response"] < book["highest_response"]
        ),
        "`asked_if_item` that is not an item": book["asked_if_item"].notna()
        & ~book["asked_if_item"].isin(book["item"]),
        "`asked_if_item` without `asked_if_responses`, or the reverse": book["asked_if_item"].isna()
        != book["asked_if_responses"].isna(),
        "an item that decides about itself": book["asked_if_item"] == book["item"],
    }
    for words, mask in wrong.items():
        if mask.any():
            raise TableError(
                f"table `survey_item`: {int(mask.sum())} of {len(book)} items have {words}.\n"
                "  Mend the codebook; answers are scored by nothing else."
            )
    return book.set_index("item", drop=False)


def _yes(flags: pd.Series) -> pd.Series:
    """Yes or no as written in a file; missing is no."""
    words = flags.astype("object").fillna("no").astype(str).str.strip().str.lower()
    known = {"true": True, "yes": True, "1": True, "1.0": True}
    known |= {"false": False, "no": False, "0": False, "0.0": False}
    if not words.isin(list(known)).all():
        raise TableError(
            f"table `survey_item`, column `is_reversed`: {int((~words.isin(list(known))).sum())} "
            f"of {len(words)} values are neither yes nor no.\n  Write true or false."
        )
    return words.map(known).astype(bool)


def _numbers(codes: object, column: str) -> list[float]:
    """Codes of one cell of the codebook, parted by semicolons."""
    if not isinstance(codes, str):
        return []
    try:
        return [float(code) for code in codes.split(";") if code.strip()]
    except ValueError as error:
        raise TableError(
            f"table `survey_item`, column `{column}`: a code is not a number.\n"
            "  Part codes by semicolons, e.g. 8;9."
        ) from error


def _of_wave(dates: pd.Series, wave_date: Day | None) -> pd.Series:
    """Rows of the wave asked for, or of the only one there is."""
    if wave_date is not None:
        return dates == as_day(wave_date, name="wave_date")
    n_waves = dates.nunique(dropna=False)
    if n_waves > 1:
        raise EstimationError(
            f"table `survey_response` has answers of {n_waves} waves.\n"
            "  Say which to score with `wave_date`; waves are never averaged."
        )
    return pd.Series(data=True, index=dates.index)


def _judge(rows: pd.DataFrame, book: pd.DataFrame, is_of_wave: pd.Series) -> dict[str, pd.Series]:
    """Why an answer does not count, first reason first."""
    item = rows["item"]
    no_answer = {
        name: _numbers(codes, "missing_codes") for name, codes in book["missing_codes"].items()
    }
    pairs = zip(item, rows["response"], strict=True)
    is_code = pd.Series([r in no_answer.get(i, ()) for i, r in pairs], index=rows.index, dtype=bool)
    low, high = item.map(book["lowest_response"]), item.map(book["highest_response"])
    is_outside = (rows["response"] < low) | (rows["response"] > high)
    ids = ["respondent_id", "organization_id", "item"]
    reasons = {
        "other wave": ~is_of_wave,
        "respondent, organization or item missing": rows[ids].isna().any(axis=1),
        "item not in the codebook": ~item.isin(book.index),
        "no answer": rows["response"].isna(),
        "code for no answer": is_code,
        "answer out of range": is_outside,
    }
    counts = ~np.logical_or.reduce([mask.to_numpy() for mask in reasons.values()])
    return reasons | {"question was to be skipped": _to_skip(rows, book, counts)}


def _to_skip(rows: pd.DataFrame, book: pd.DataFrame, counts: np.ndarray) -> pd.Series:
    """Answers to items whose deciding question was answered otherwise, or not at all."""
    gates = book["asked_if_item"].dropna()
    answered = rows[counts].drop_duplicates(["respondent_id", "item"])
    given = answered.set_index(["respondent_id", "item"])["response"]
    to_skip = pd.Series(data=False, index=rows.index)
    for item, gate in gates.items():
        allowed = _numbers(book.loc[item, "asked_if_responses"], "asked_if_responses")
        asked = given[given.index.get_level_values("item") == gate].droplevel("item")
        opened = set(asked.index[asked.isin(allowed)])
        to_skip |= (rows["item"] == item) & ~rows["respondent_id"].isin(opened)
    return to_skip


def _arranged(kept: pd.DataFrame, book: pd.DataFrame) -> SurveyAnswers:
    """One row a respondent, reversed items turned."""
    persons = kept[list(PERSON_COLUMNS)].drop_duplicates()
    repeated = persons["respondent_id"].duplicated()
    if repeated.any():
        raise TableError(
            f"table `survey_response`: {int(repeated.sum()):,} respondents are listed with more "
            "than one organization or role.\n  Give each person one of both, or an id for each."
        )
    flip = kept["item"].map(book["is_reversed"]).to_numpy(dtype=bool)
    ends = kept["item"].map(book["lowest_response"] + book["highest_response"])
    scored = kept.assign(response=kept["response"].where(~flip, ends - kept["response"]))
    wide = scored.pivot_table(index="respondent_id", columns="item", values="response")
    scales, n_points = {}, {}
    for scale, rows in book.dropna(subset=["scale"]).groupby("scale", sort=False):
        items = tuple(item for item in rows["item"] if item in wide.columns)
        if items:
            scales[str(scale)] = items
            spans = (rows["highest_response"] - rows["lowest_response"]).loc[list(items)].unique()
            n_points[str(scale)] = float(spans[0]) + 1 if len(spans) == 1 else np.nan
    persons = persons.set_index("respondent_id")
    persons["respondent_role"] = persons["respondent_role"].fillna(UNKNOWN_ROLE)
    used = [item for items in scales.values() for item in items]
    answers = persons.join(wide[used]).reset_index()
    answers["respondent_id"] = answers["respondent_id"].astype(TEXT)
    return SurveyAnswers(answers=answers, scales=scales, n_points=n_points)
