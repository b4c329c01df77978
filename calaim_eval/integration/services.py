"""Services received in a quarter, from the program records."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.integration.inputs import check_values, quarter_days, set_aside, take_columns
from calaim_eval.tables.ledger import RowLedger

Program = Literal["any", "ecm", "community_support"]


def services_in_quarter(
    program_service: pd.DataFrame,
    *,
    quarter: str,
    program: Program = "any",
    ledger: RowLedger | None = None,
    stage: str = "services received",
) -> pd.DataFrame:
    """Service records of the quarter: received, not merely listed, offered or authorized.

    Parameters
    ----------
    program_service : pd.DataFrame
        Columns of the table `program_service`.
    quarter : str
        e.g. ``"2024Q4"``.
    program : {"any", "ecm", "community_support"}
    ledger : RowLedger, optional
        Gets the rows set aside and the reason of each.
    stage : str
        Stage name in the ledger.

    Returns
    -------
    pd.DataFrame
        member_id, service, organization_id (missing where not recorded), plan, county.

    Raises
    ------
    TableError
        Columns are absent or cannot be read.
    EstimationError
        No service was received in the quarter.
    """
    require_choice("`program`", program, ("any", "ecm", "community_support"))
    first, last = quarter_days(quarter)
    rows = take_columns(
        program_service,
        table="program_service",
        required=("member_id", "service", "record_type", "record_date"),
        optional=("program", "organization_id", "plan", "county"),
    )
    check_values(rows, table="program_service", column="record_type")
    is_ecm = rows["service"] == "ecm"
    wanted = {"any": is_ecm | True, "ecm": is_ecm, "community_support": ~is_ecm}[program]
    is_kept = set_aside(
        {
            "member, service or date missing": rows[["member_id", "service", "record_date"]]
            .isna()
            .any(axis=1),
            "not a service received (listed, outreach, authorized, denied)": rows["record_type"]
            != "service",
            "outside the quarter": ~rows["record_date"].between(first, last),
            "other program": ~wanted,
        },
        table="program_service",
        stage=stage,
        ledger=ledger,
    )
    if not is_kept.any():
        raise EstimationError(
            f"table `program_service`: none of {len(rows):,} rows is a service received in "
            f"{quarter} (program `{program}`).\n"
            "  Check `quarter`, and that services received carry record_type `service`: "
            "authorized or outreached is not received."
        )
    kept = rows.loc[is_kept, ["member_id", "service", "organization_id", "plan", "county"]]
    return kept.reset_index(drop=True)
