"""Payment timeliness: how soon plans pay the organizations, and how often they deny."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.time_to_event.incidence_table import incidence_table
from calaim_eval.integration.clustered_shares import clustered_shares
from calaim_eval.integration.contracts import organization_trait, trait_values
from calaim_eval.integration.inputs import (
    UNKNOWN,
    Day,
    as_day,
    check_unique,
    check_values,
    quarter_days,
    set_aside,
    take_columns,
)
from calaim_eval.integration.referrals import CLUSTERED_WILSON
from calaim_eval.results import ALL, EffectTable, Estimand, Method, RateTable
from calaim_eval.tables.ledger import RowLedger

_FEW_PLANS = 10


def payment_timeliness(
    payment: pd.DataFrame,
    *,
    as_of: Day,
    within_days: Sequence[int] = (30, 45),
    quarter: str | None = None,
    by: str | None = None,
    organization: pd.DataFrame | None = None,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Invoices paid within so many days of receipt, denials apart.

    Parameters
    ----------
    payment : pd.DataFrame
        Columns of the table `payment`.
    as_of : day
        The day the books are looked at; an invoice enters a row once it is that many days old.
    within_days : sequence of int
        Days from receipt to payment, both ends included.
    quarter : str, optional
        Keep invoices received in it.
    by : {"organization_type", "leadership", "ownership", "population_served", "plan"}, optional
        Traits need `organization`.
    organization : pd.DataFrame, optional
        Columns of the table `organization`.
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Keys `by` (with an ``"all"`` margin) and ``within_days``; numerator: paid in time;
        denominator: invoices not denied that had so many days. Interval: Wilson on the effective
        number of invoices, clustered by plan, t with plans - 1 degrees of freedom; missing where
        there is one plan. ``about="organizations"``.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or payment ids repeat.
    EstimationError
        No invoice has had so many days.

    Notes
    -----
    An invoice without `payment_status` is paid where it has a `paid_date`, else pending. What was
    decided after `as_of` is still pending.
    """
    invoices = _invoices(payment, as_of=as_of, quarter=quarter, ledger=ledger)
    day = as_day(as_of, name="as_of")
    open_or_paid = invoices[~invoices["is_denied"]]
    tables = []
    for limit in _limits(within_days):
        matured = open_or_paid[open_or_paid["invoice_received_date"] <= day - limit]
        if matured.empty:
            raise EstimationError(
                f"table `payment`: none of {len(invoices):,} invoices is {limit.days} days old by "
                "`as_of` and not denied.\n  Use a later `as_of` or fewer `within_days`."
            )
        is_paid = matured["paid_date"] - matured["invoice_received_date"] <= limit
        shares = _by_plan(matured, is_paid, by=by, organization=organization, within=invoices)
        tables.append(shares.assign(within_days=limit.days))
    return _payment_table(
        tables,
        by=by,
        keys=["within_days"],
        measure="Invoices paid in time",
        names=("invoices_paid_in_time", "matured_invoices_not_denied"),
        unit="share of invoices not denied",
        options={"as_of": str(day.date()), "quarter": quarter, "cluster": "plan"},
        n_plans=invoices["plan"].nunique(),
    )


def payment_denials(
    payment: pd.DataFrame,
    *,
    as_of: Day,
    quarter: str | None = None,
    by: str | None = None,
    organization: pd.DataFrame | None = None,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Invoices denied among those decided.

    Parameters
    ----------
    payment, as_of, quarter, by, organization, ledger
        As in `payment_timeliness`.

    Returns
    -------
    RateTable
        Key `by` (with an ``"all"`` margin), or ``population`` = ``"all"``; numerator: denied;
        denominator: paid or denied.
    """
    invoices = _invoices(
        payment, as_of=as_of, quarter=quarter, ledger=ledger, stage="payment_denials"
    )
    decided = invoices[invoices["is_denied"] | invoices["paid_date"].notna()]
    if decided.empty:
        raise EstimationError(
            f"table `payment`: none of {len(invoices):,} invoices has been paid or denied.\n"
            "  Check `payment_status` and `paid_date`, or use a later `as_of`."
        )
    shares = _by_plan(
        decided, decided["is_denied"], by=by, organization=organization, within=invoices
    )
    return _payment_table(
        [shares],
        by=by,
        keys=[],
        measure="Invoices denied",
        names=("invoices_denied", "invoices_decided"),
        unit="share of invoices decided",
        options={
            "as_of": str(as_day(as_of, name="as_of").date()),
            "quarter": quarter,
            "cluster": "plan",
        },
        n_plans=invoices["plan"].nunique(),
    )


def time_to_payment(
    payment: pd.DataFrame,
    *,
    as_of: Day,
    horizon_days: Sequence[int] = (30, 45, 90),
    quarter: str | None = None,
    ledger: RowLedger | None = None,
) -> EffectTable:
    """Share of invoices paid by each day since receipt, denial as a competing exit.

    Unlike `payment_timeliness` it uses invoices of every age. ``paid_date`` of a denied invoice is
    the day it was decided; without one it leaves at the day looked at, the latest it can have
    been denied.

    Parameters
    ----------
    payment, as_of, quarter, ledger
        As in `payment_timeliness`.
    horizon_days : sequence of int
        Days since receipt.

    Returns
    -------
    EffectTable
        Keys ``outcome`` (``"paid"``, ``"denied"``) and ``days``; Aalen-Johansen, covariance
        clustered by plan. ``support["n_members"]`` holds plans: no member is counted.
    """
    invoices = _invoices(
        payment, as_of=as_of, quarter=quarter, ledger=ledger, stage="time_to_payment"
    )
    day = as_day(as_of, name="as_of")
    end = invoices["decided_date"].fillna(day)
    spells = invoices.assign(
        duration_days=(end - invoices["invoice_received_date"]).dt.days.astype(float),
        cause=np.select([invoices["is_denied"], invoices["paid_date"].notna()], [2, 1], default=0),
    )
    return incidence_table(
        spells,
        cluster=spells["plan"],
        group=None,
        groups=(),
        by=None,
        times=np.array([limit.days for limit in _limits(horizon_days)], dtype=float),
        outcomes=("paid", "denied"),
        estimand=Estimand(
            name="Cumulative incidence of payment",
            contrast="invoices paid by each day since receipt, denial competing",
            unit="share of invoices",
            is_causal=False,
        ),
        options={"as_of": str(day.date()), "quarter": quarter, "cluster": "plan"},
    )


def _invoices(
    payment: pd.DataFrame,
    *,
    as_of: Day,
    quarter: str | None,
    ledger: RowLedger | None,
    stage: str = "payment_timeliness",
) -> pd.DataFrame:
    """Invoices received by the day looked at, later payments not yet made."""
    day = as_day(as_of, name="as_of")
    rows = take_columns(
        payment,
        table="payment",
        required=("payment_id", "plan", "organization_id", "invoice_received_date"),
        optional=("paid_date", "payment_status"),
    )
    check_unique(rows[rows["payment_id"].notna()], table="payment", key=["payment_id"])
    check_values(rows, table="payment", column="payment_status")
    first, last = (None, day) if quarter is None else quarter_days(quarter)
    received = rows["invoice_received_date"]
    is_kept = set_aside(
        {
            "payment, plan, organization or date of receipt missing": rows[
                ["payment_id", "plan", "organization_id", "invoice_received_date"]
            ]
            .isna()
            .any(axis=1),
            "paid before it was received": rows["paid_date"] < received,
            "received outside the window": (received > min(last, day))
            | (received < (first if first is not None else received)),
            "status paid without a date": (rows["payment_status"] == "paid")
            & rows["paid_date"].isna(),
        },
        table="payment",
        stage=stage,
        ledger=ledger,
    )
    if not is_kept.any():
        raise EstimationError(
            f"table `payment`: none of {len(rows):,} rows is an invoice received in the window.\n"
            "  Check `as_of` and `quarter`."
        )
    invoices = rows[is_kept].reset_index(drop=True)
    decided = invoices["paid_date"].where(invoices["paid_date"] <= day)
    is_later = invoices["paid_date"].notna() & decided.isna()
    is_denied = (invoices["payment_status"] == "denied") & ~is_later
    return invoices.assign(
        decided_date=decided, paid_date=decided.where(~is_denied), is_denied=is_denied
    )


def _by_plan(
    invoices: pd.DataFrame,
    is_success: pd.Series,
    *,
    by: str | None,
    organization: pd.DataFrame | None,
    within: pd.DataFrame,
) -> pd.DataFrame:
    """Shares by group with intervals clustered by plan."""
    if by is None:
        return clustered_shares(is_success, group=None, cluster=invoices["plan"], reference="t")
    if by == "plan":
        group, groups = invoices["plan"], sorted(within["plan"].unique())
    elif by in ("organization_type", "leadership", "ownership", "population_served"):
        if organization is None:
            raise EstimationError(
                f"`by={by!r}` needs the table `organization`.\n"
                "  Pass it: organization=tables.frame('organization')."
            )
        group = organization_trait(invoices["organization_id"], organization, trait=by)
        everyone = organization_trait(within["organization_id"], organization, trait=by)
        groups = [g for g in trait_values(by, everyone) if g != UNKNOWN or g in set(everyone)]
    else:
        raise EstimationError(
            f"`by`: {by!r} cannot group invoices.\n  Choose among `plan`, `organization_type`, "
            "`leadership`, `ownership`, `population_served`."
        )
    return clustered_shares(
        is_success, group=group, cluster=invoices["plan"], groups=groups, reference="t"
    )


def _payment_table(
    tables: list[pd.DataFrame],
    *,
    by: str | None,
    keys: list[str],
    measure: str,
    names: tuple[str, str],
    unit: str,
    options: dict[str, object],
    n_plans: int,
) -> RateTable:
    """Rate table about organizations from shares clustered by plan."""
    shares = pd.concat(tables)
    frame = shares[keys].reset_index(drop=True)
    if by is not None:
        frame.insert(0, by, shares.index.to_numpy(dtype=object))
    elif not keys:
        frame = pd.DataFrame({"population": [ALL]})
    few = (f"{n_plans} plans: intervals rest on few clusters and are rough.",)
    return RateTable(
        measure=measure,
        keys=frame,
        numerator=shares["numerator"].to_numpy(dtype=float),
        denominator=shares["denominator"].to_numpy(dtype=float),
        conf_low=shares["conf_low"].to_numpy(dtype=float),
        conf_high=shares["conf_high"].to_numpy(dtype=float),
        n_members=np.full(len(shares), np.nan),
        numerator_name=names[0],
        denominator_name=names[1],
        unit=unit,
        kind="proportion",
        method=Method(
            "Share with Wilson 95 % interval on effective trials, clustered by plan",
            options,
            CLUSTERED_WILSON,
        ),
        about="organizations",
        margins=() if by is None else (by,),
        notes=few if n_plans < _FEW_PLANS else (),
    )


def _limits(days: Sequence[int]) -> list[pd.Timedelta]:
    """Limits in days, checked and in order."""
    values = sorted({int(d) for d in days})
    if not values or values[0] <= 0:
        raise EstimationError(
            "The days to pay within are empty or not positive.\n  Give days, e.g. (30, 45)."
        )
    return [pd.Timedelta(days=value) for value in values]
