"""Counties, plans and supports as units: how their referrals fared, and what may go with it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from calaim_eval.errors import EstimationError, TableError, quoted
from calaim_eval.integration.inputs import Day, as_day, take_columns
from calaim_eval.integration.referral_roots import Chain, root_referrals
from calaim_eval.integration.referrals import EXEMPT_SERVICES
from calaim_eval.schema.codes import load_codes
from calaim_eval.tables.ledger import USED, RowLedger

UNIT_KEYS = ("county", "plan", "service")
OF_COUNTY = ("wpc_pilot", "hhp", "plan_model_2022", "plan_model_2024", "region")
"""Facts of counties from the code list; the first two say who had a pilot before CalAIM."""
FEWEST_MEMBERS = 11
_STAGE = "success_units"


def success_units(
    referral: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    as_of: Day,
    by: Sequence[str] = UNIT_KEYS,
    county_factors: pd.DataFrame | None = None,
    maturation_days: int = 90,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    exempt_services: Sequence[str] = EXEMPT_SERVICES,
    chain: Chain = "root_record",
    at_least: int = FEWEST_MEMBERS,
    ledger: RowLedger | None = None,
) -> pd.DataFrame:
    """One row per unit: share of matured referrals closed with services received, and factors.

    Parameters
    ----------
    referral, organization : pd.DataFrame
        Columns of the tables of these names.
    as_of, maturation_days, referred_from, referred_to, exempt_services, chain, ledger
        As in `referral_closure`.
    by : sequence of str
        Of ``"county"``, ``"plan"`` and ``"service"``.
    county_factors : pd.DataFrame, optional
        ``county`` and any further columns, one row per county: coordinator, PATH or IPP dollars,
        rurality.
    at_least : int
        Units of fewer members with a matured referral are left out: the share of a few is mostly
        chance, and whatever side of a factor a unit is on then has that many different members,
        though members of several units are counted in each.

    Returns
    -------
    pd.DataFrame
        `by`; ``n_referrals``, ``n_members``, ``closure``; ``cbo_share`` (of the unit's referrals,
        to community-based organizations); with county among `by`, the facts of `OF_COUNTY` and
        `county_factors`. Restricted: it goes to `integration_factors`, not out. Units left out are
        counted in ``attrs["left_out"]``.

    Raises
    ------
    TableError
        Columns are absent, or `county_factors` repeats or does not know a county.
    EstimationError
        No referral has matured, or no unit has enough; `by` is empty or has other names.
    """
    if not by or not set(by) <= set(UNIT_KEYS):
        raise EstimationError(f"`by` is {list(by)}; units are made of {quoted(UNIT_KEYS)}.")
    own = RowLedger()
    rows = root_referrals(
        referral,
        as_of=as_day(as_of, name="as_of"),
        referred_from=referred_from,
        referred_to=referred_to,
        maturation_days=maturation_days,
        exempt_services=exempt_services,
        chain=chain,
        ledger=own,
        stage=_STAGE,
    )
    types = take_columns(
        organization, table="organization", required=("organization_id", "organization_type")
    ).drop_duplicates("organization_id")
    is_cbo = types.set_index("organization_id")["organization_type"].eq("cbo")
    rows = rows.assign(to_cbo=rows["to_organization_id"].map(is_cbo).astype("boolean"))
    units = rows.groupby(list(by), as_index=False, dropna=True, sort=True).agg(
        n_referrals=("referral_id", "size"),
        n_members=("member_id", "nunique"),
        closure=("is_closed_by_services", "mean"),
        cbo_share=("to_cbo", "mean"),
    )
    enough = units["n_members"] >= at_least
    if ledger is not None:
        n_placed = int(units["n_referrals"].sum())
        n_few = int(units["n_referrals"][~enough].sum())
        _count(ledger, own, by=by, n_unplaced=len(rows) - n_placed, n_few=n_few)
    if not enough.any():
        raise EstimationError(
            f"none of {len(units)} units has {at_least} members with a matured referral. Take "
            "larger units (`by`), or a longer time."
        )
    kept = units[enough].reset_index(drop=True).astype({"closure": float, "cbo_share": float})
    if "county" in by:
        kept = _with_county_facts(kept, county_factors)
    kept.attrs["left_out"] = int((~enough).sum())
    return kept


def _count(
    ledger: RowLedger, own: RowLedger, *, by: Sequence[str], n_unplaced: int, n_few: int
) -> None:
    """Add the rows to the caller's ledger; those in no unit that is used have reasons of theirs."""
    for row in own.to_frame().itertuples(index=False):
        n_rows = row.n_rows - (n_unplaced + n_few if row.reason == USED else 0)
        ledger.add(row.table, row.reason, n_rows, stage=_STAGE)
    ledger.add("referral", f"{' or '.join(by)} missing", n_unplaced, stage=_STAGE)
    ledger.add("referral", "in a unit of too few members", n_few, stage=_STAGE)


def _with_county_facts(units: pd.DataFrame, county_factors: pd.DataFrame | None) -> pd.DataFrame:
    """Facts of the code list and of the study beside each unit."""
    codes = load_codes("county")[["county", *OF_COUNTY]]
    codes = codes.assign(
        **{name: pd.to_numeric(codes[name], errors="coerce") for name in ("wpc_pilot", "hhp")}
    )
    units = units.merge(codes, on="county", how="left", validate="many_to_one")
    if county_factors is None:
        return units
    if "county" not in county_factors.columns:
        raise TableError("`county_factors` lacks `county`.")
    repeated = int(county_factors["county"].duplicated().sum())
    unknown = int((~county_factors["county"].isin(codes["county"])).sum())
    if repeated or unknown:
        raise TableError(
            f"`county_factors` repeats {repeated} counties and has {unknown} that are not among "
            "the 58. Give one row per county, spelled as in the code list `county`."
        )
    clash = [c for c in county_factors.columns if c != "county" and c in units.columns]
    if clash:
        raise TableError(f"`county_factors` has {quoted(clash)}, which the units have. Rename it.")
    return units.merge(county_factors, on="county", how="left", validate="many_to_one")
