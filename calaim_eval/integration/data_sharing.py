"""How far data are shared for the members served: from nothing to systems that read and write."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError, require_choice
from calaim_eval.integration.code_lists import race_ethnicity_groups
from calaim_eval.integration.contracts import organization_trait, trait_values
from calaim_eval.integration.inputs import (
    UNKNOWN,
    check_unique,
    quarter_days,
    set_aside,
    take_columns,
)
from calaim_eval.integration.referral_groups import group_referrals
from calaim_eval.integration.services import Program, services_in_quarter
from calaim_eval.integration.settings_in_force import not_in_force
from calaim_eval.integration.share_table import by_wilson, share_table
from calaim_eval.results import ALL, RateTable
from calaim_eval.tables.ledger import RowLedger

LEVELS = ("0", "1", "2", "3", "4")
NOT_RECORDED = "not_recorded"
OfSeveral: TypeAlias = Literal["highest", "lowest"]
_SERVED = {  # as `delivery_members` names them: one number, one name
    "any": "members_served",
    "ecm": "members_served_by_ecm",
    "community_support": "members_served_by_community_supports",
}
_MEMBER = "race_ethnicity"
_PLACES = ("plan", "county", "service")
_TRAITS = ("organization_type", "leadership", "population_served")


def data_sharing_level(
    data_sharing: pd.DataFrame,
    program_service: pd.DataFrame,
    *,
    quarter: str,
    by: str | None = None,
    person: pd.DataFrame | None = None,
    organization: pd.DataFrame | None = None,
    of_several: OfSeveral = "highest",
    program: Program = "any",
    ledger: RowLedger | None = None,
) -> RateTable:
    """Share of the members served whose plan and organization share data at each level.

    The level of a pair counts for as many members as it serves: a file exchange with an
    organization of three members does little.

    Parameters
    ----------
    data_sharing, program_service : pd.DataFrame
        Columns of the tables of these names. The level in force on the last day of the quarter.
    quarter : str
        Services received in it count.
    by : str, optional
        ``"race_ethnicity"`` (members; needs `person`), ``"plan"``, ``"county"``, ``"service"``,
        or a trait of the organization: ``"organization_type"``, ``"leadership"``,
        ``"population_served"`` (needs `organization`). A member counts once in each group that
        served him or her, so only race and ethnicity groups add up.
    person, organization : pd.DataFrame, optional
    of_several : {"highest", "lowest"}
        Level of a member served through several pairs.
    program : {"any", "ecm", "community_support"}
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Keys `by` and ``data_sharing_level`` (``"0"`` to ``"4"``, ``"not_recorded"``, margin
        ``"all"``); numerator: members at the level; denominator: members served. A pair without
        a recorded level is not level 0.

    Raises
    ------
    TableError
        Columns are absent, a level is not 0 to 4, or a member's group is not in the code list.
    EstimationError
        No service in the quarter, or `by` cannot be made.
    """
    require_choice("`of_several`", of_several, ("highest", "lowest"))
    level = _levels_on_last_day(data_sharing, quarter=quarter, ledger=ledger)
    rows = services_in_quarter(
        program_service, quarter=quarter, program=program, ledger=ledger, stage="data_sharing_level"
    )
    pairs = pd.MultiIndex.from_frame(rows[["plan", "organization_id"]])
    rows["level"] = level.reindex(pairs).to_numpy(dtype=float)
    group, order = _groups(rows, by=by, person=person, organization=organization)
    members = rows.assign(group=group).groupby(["group", "member_id"])["level"]
    of_members = (members.max() if of_several == "highest" else members.min()).rename("level")
    everyone = rows.groupby("member_id")["level"]
    of_all = everyone.max() if of_several == "highest" else everyone.min()
    counts = [_count(of_all)]
    by_group = of_members.reset_index("group")
    counts += [_count(by_group.loc[by_group["group"] == value, "level"]) for value in order]
    numerator = np.concatenate(counts)
    denominator = np.repeat([block[0] for block in counts], len(LEVELS) + 2)
    keys = pd.MultiIndex.from_product(
        [[ALL, *order], [ALL, *LEVELS, NOT_RECORDED]], names=[by or "group", "data_sharing_level"]
    ).to_frame(index=False)
    return share_table(
        "Members served by level of data sharing",
        keys if by else keys[["data_sharing_level"]],
        numerator,
        denominator,
        names=(
            f"members_served_by_{of_several}_data_sharing_level_in_{quarter}",
            f"{_SERVED[program]}_in_{quarter}_all_types",
        ),
        unit="share of members served",
        method=by_wilson({"quarter": quarter, "of_several": of_several, "program": program}),
        margins=("data_sharing_level", *((by,) if by == _MEMBER else ())),
        denominator_keys=(by,) if by else (),
    )


def _levels_on_last_day(
    data_sharing: pd.DataFrame, *, quarter: str, ledger: RowLedger | None
) -> pd.Series:
    """Level of each pair of plan and organization, indexed by both."""
    _, last = quarter_days(quarter)
    rows = take_columns(
        data_sharing,
        table="data_sharing",
        required=("plan", "organization_id", "data_sharing_level"),
        optional=("effective_date",),
    )
    outside = rows["data_sharing_level"].notna() & ~rows["data_sharing_level"].isin(range(5))
    if outside.any():
        raise TableError(
            f"table `data_sharing`: {int(outside.sum()):,} of {len(rows):,} levels are not whole "
            "numbers from 0 to 4.\n  Recode them; the data dictionary says what each means."
        )
    pair = ["plan", "organization_id"]
    is_kept = set_aside(
        not_in_force(rows, key=pair, value="data_sharing_level", day=last),
        table="data_sharing",
        stage="data_sharing_level",
        ledger=ledger,
    )
    kept = rows[is_kept]
    check_unique(kept, table="data_sharing", key=pair)
    return kept.set_index(pair)["data_sharing_level"]


def _groups(
    rows: pd.DataFrame,
    *,
    by: str | None,
    person: pd.DataFrame | None,
    organization: pd.DataFrame | None,
) -> tuple[pd.Series, list[str]]:
    """Group of each service, and the groups in order."""
    if by is None:
        return pd.Series(ALL, index=rows.index), []
    if by in _PLACES:
        group = rows[by].fillna(UNKNOWN).astype(object)
        return group, sorted(set(group), key=lambda v: (v == UNKNOWN, v))
    if by in _TRAITS and organization is not None:
        group = organization_trait(rows["organization_id"], organization, trait=by).astype(object)
        return group, trait_values(by, group)
    if by == _MEMBER and person is not None:
        group, _ = group_referrals(rows, _MEMBER, person=person, organization=None)
        return group.astype(object), race_ethnicity_groups()  # type: ignore[union-attr]
    known_names = ", ".join(f"`{name}`" for name in (_MEMBER, *_PLACES, *_TRAITS))
    raise EstimationError(
        f"`by`: `{by}` cannot be made: it is not one of {known_names}, or its table was not "
        "given.\n  `race_ethnicity` needs `person`; traits of organizations need `organization`."
    )


def _count(levels: pd.Series) -> np.ndarray:
    """Members in all, at each level, and without a recorded one."""
    known = levels.dropna().astype(int)
    at = np.bincount(known, minlength=len(LEVELS)).astype(float)
    return np.concatenate([[len(levels)], at, [float(levels.isna().sum())]])
