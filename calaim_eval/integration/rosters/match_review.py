"""The file in which people decide which pairs are one organization, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError, quoted
from calaim_eval.integration.inputs import as_text
from calaim_eval.integration.rosters.roster_matches import ACCEPT, COLUMNS, REVIEW
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.spreadsheets.choose import chosen_tables
from calaim_eval.tables.spreadsheets.sheets import is_workbook

DECISIONS = ("same", "different")
_FILE = (*COLUMNS, "n_candidates", "proposal", "decision", "decided_by", "reason")


def write_match_review(matches: pd.DataFrame, path: Path) -> Path:
    """Write proposed pairs as a CSV file a spreadsheet opens, one row a pair.

    People fill ``decision`` (``same`` or ``different``), ``decided_by`` and ``reason``. A file
    with decisions is not overwritten.

    Raises
    ------
    TableError
        The file is there and holds decisions, or cannot be read.
    """
    target = Path(path)
    if target.exists():
        there = _read_file(target)
        if "decision" in there and (there["decision"].str.strip() != "").any():
            raise TableError(
                "the review file is there and holds decisions. Write to another name, or move it."
            )
    table = matches.assign(decided_by="", reason="")
    table[list(_FILE)].to_csv(target, index=False, encoding="utf-8-sig")
    return target


def read_match_review(path: Path, *, accept_proposals: bool = False) -> pd.DataFrame:
    """Pairs that are one organization, as decided.

    Parameters
    ----------
    path : Path
        A file of `write_match_review` with decisions, as CSV or saved as a workbook.
    accept_proposals : bool
        Let undecided pairs with the proposal ``"accept"`` count as the same: a number agrees, none
        differs, and neither side has another candidate.

    Returns
    -------
    pd.DataFrame
        ``left_id``, ``right_id``, one row per organization found in both; each side at most once.

    Raises
    ------
    TableError
        The file cannot be read; a decision is none of ``same`` and ``different``; pairs are
        undecided; one organization is decided to be the same as two others.
    """
    table = _read_file(path)
    absent = [name for name in _FILE if name not in table.columns]
    if absent:
        raise TableError(f"the review file lacks {quoted(absent)}.")
    decision = table["decision"].str.strip().str.casefold()
    unknown = int((~decision.isin([*DECISIONS, ""])).sum())
    if unknown:
        raise TableError(
            f"`decision` holds something else than {quoted(DECISIONS)} in {unknown} of "
            f"{len(table)} pairs."
        )
    if accept_proposals:
        decision = decision.mask((decision == "") & (table["proposal"] == ACCEPT), DECISIONS[0])
    same = table.loc[decision == DECISIONS[0], ["left_id", "right_id"]].drop_duplicates()
    _require_one_to_one(same)
    decided = [set(same["left_id"]), set(same["right_id"])]
    is_open = (decision == "") & ~(
        table["left_id"].isin(decided[0]) | table["right_id"].isin(decided[1])
    )
    if is_open.any():
        n_sure = int((is_open & (table["proposal"] != REVIEW)).sum())
        raise TableError(
            f"{int(is_open.sum())} of {len(table)} pairs are undecided ({n_sure} of them proposed "
            f"for acceptance). Write {DECISIONS[0]} or {DECISIONS[1]} in `decision`."
        )
    return same.reset_index(drop=True)


def _read_file(path: Path) -> pd.DataFrame:
    """The review file as text; people may have saved it as a workbook."""
    path = Path(path)
    if is_workbook(path) and path.is_file():
        tables, _ = chosen_tables(path, "the review file", wanted=_FILE)
        cells = [row for _, row in tables[0].rows()]
        return pd.DataFrame(cells, columns=tables[0].header, dtype=str)
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise TableError(
            f"the review file cannot be read ({type(error).__name__}). Save it as `CSV UTF-8`, "
            "with the columns it was written with."
        ) from error


def _require_one_to_one(same: pd.DataFrame) -> None:
    """Refuse an organization that is the same as two others."""
    twice = int(same["left_id"].duplicated().sum() + same["right_id"].duplicated().sum())
    if twice:
        raise TableError(
            f"{twice} decisions make one organization the same as two of the other roster. Decide "
            "for one, or make the two rows of that roster one first."
        )


def apply_matches(
    roster: pd.DataFrame,
    matches: pd.DataFrame,
    *,
    organization_id: str = "organization_id",
    ledger: RowLedger | None = None,
    table: str = "organization",
) -> pd.DataFrame:
    """A right roster under the ids of the left one, where the two are the same organization.

    Parameters
    ----------
    roster : pd.DataFrame
        The roster `matches` calls right.
    matches : pd.DataFrame
        From `read_match_review`.
    organization_id : str
    ledger : RowLedger, optional
        Gets how many rows were matched and how many are organizations of their own.
    table : str
        Name in the ledger.

    Returns
    -------
    pd.DataFrame
        `roster` with new ids and ``roster_id``, its own; unmatched rows keep their id.

    Raises
    ------
    TableError
        A match names an id the roster does not have; an unmatched row has the id of an
        organization of the left roster: the two would be mixed.
    """
    own = as_text(roster[organization_id])
    matches = matches.assign(**{side: as_text(matches[side]) for side in ("left_id", "right_id")})
    lost = int((~matches["right_id"].isin(set(own))).sum())
    if lost:
        raise TableError(
            f"{lost} of {len(matches)} matches name an id the roster does not have. A spreadsheet "
            "drops leading zeros and rewrites long numbers: import the id columns of the review "
            "file as text."
        )
    new = own.map(matches.set_index("right_id")["left_id"])
    is_matched = new.notna()
    clash = int((~is_matched & own.isin(set(matches["left_id"]))).sum())
    if clash:
        raise TableError(
            f"{clash} unmatched rows have an id that the other roster uses for another "
            "organization. Put a prefix before the ids of one roster."
        )
    if ledger is not None:
        n_same, n_own = int(is_matched.sum()), int((~is_matched).sum())
        ledger.add(table, "same organization in both rosters", n_same, stage="linked")
        ledger.add(table, "in this roster only", n_own, stage="linked")
    return roster.assign(
        roster_id=own.to_numpy(), **{organization_id: np.where(is_matched, new, own)}
    )
