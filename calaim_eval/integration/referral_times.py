"""How soon services start after referral, and what else ended the wait: counts to release."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.time_to_event.endings_by_time import endings_by_time
from calaim_eval.integration.clustered_shares import clustered_shares
from calaim_eval.integration.inputs import Day, as_day
from calaim_eval.integration.referral_groups import group_referrals
from calaim_eval.integration.referral_roots import Chain, root_referrals
from calaim_eval.integration.referrals import CLUSTERED_WILSON
from calaim_eval.integration.time_to_service import OUTCOMES, spells_of_roots
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.tables.ledger import RowLedger

NO_USABLE_DAY = "no_usable_day"
"""Ended, or began, on a day that was not recorded or lies before the referral."""


def referral_times(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    days: Sequence[int] = (30, 60, 90),
    by: str,
    person: pd.DataFrame | None = None,
    organization: pd.DataFrame | None = None,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    chain: Chain = "root_record",
    ledger: RowLedger | None = None,
) -> RateTable:
    """Matured root referrals by what became of them within some days, and how soon.

    The cumulative incidence of `time_to_service` as counts: of referrals that are all followed
    over the last of `days`, nobody is censored before it, and the Aalen-Johansen estimate is a
    share of counts. Counts can be protected together with the other referral tables of a release;
    a curve could not.

    Parameters
    ----------
    referral, as_of, by, person, organization, referred_from, referred_to, chain, ledger
        As in `referral_closure`; all services.
    days : sequence of int
        Rising days since referral to report; referrals that are younger than the last of them are
        not followed over it and are set aside.

    Returns
    -------
    RateTable
        Keys `by` (``"all"`` first), ``state`` (``"service_started"``,
        ``"ended_without_service"``, ``"waiting"``, ``"no_usable_day"``, their margin ``"all"``)
        and ``days`` (of ``"service_started"``: in which, such as ``"31-60"``; else ``"all"``);
        denominator: matured root referrals of the group. Wilson interval on the effective number
        of referrals.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or referral ids repeat.
    EstimationError
        No root referral has matured, `days` do not rise from above 0, or `by` cannot be used.
    """
    horizons = list(days)
    if not horizons or horizons[0] <= 0 or sorted(set(horizons)) != horizons:
        raise EstimationError(
            "`days` are not rising days above 0.\n  Give days since referral, e.g. (30, 60, 90)."
        )
    day = as_day(as_of, name="as_of")
    roots = root_referrals(
        referral,
        as_of=day,
        referred_from=referred_from,
        referred_to=referred_to,
        maturation_days=horizons[-1],
        chain=chain,
        ledger=ledger,
        stage="referral_times",
    )
    spells = spells_of_roots(roots, day=day)
    group, groups = group_referrals(spells, by, person=person, organization=organization)
    shares = pd.concat(
        [
            clustered_shares(
                pd.Series(is_in), group=group, cluster=spells["member_id"], groups=groups
            ).assign(state=state, days=when)
            for (state, when), is_in in _marks(spells, horizons).items()
        ]
    )
    order = [ALL, *groups]
    shares = pd.concat([shares.loc[[each]] for each in order])
    is_whole = (shares["state"] == ALL).to_numpy()
    low, high = (shares[c].to_numpy(dtype=float) for c in ("conf_low", "conf_high"))
    return RateTable(
        measure="Time from referral to service",
        keys=shares[["state", "days"]]
        .reset_index(drop=True)
        .assign(**{by: shares.index.to_numpy(dtype=object)})[[by, "state", "days"]],
        numerator=shares["numerator"].to_numpy(dtype=float),
        denominator=shares["denominator"].to_numpy(dtype=float),
        conf_low=np.where(is_whole, np.nan, low),
        conf_high=np.where(is_whole, np.nan, high),
        n_members=shares["n_clusters_with_success"].to_numpy(dtype=float),
        numerator_name="matured_root_referrals_any_service",
        denominator_name="matured_root_referrals_any_service",
        unit="share of matured root referrals",
        kind="proportion",
        method=Method(
            "Share with Wilson 95 % interval on effective trials, clustered by member",
            {"as_of": str(day.date()), "maturation_days": horizons[-1], "chain": chain},
            CLUSTERED_WILSON,
        ),
        margins=(by, "state", "days"),
        denominator_keys=(by,),
        notes=(
            "A referral that ended without service can no longer start one: endings compete.",
            "A referral is not a person: root referrals are counted.",
        ),
    )


def _marks(spells: pd.DataFrame, days: Sequence[int]) -> dict[tuple[str, str], np.ndarray]:
    """Who is in each state; those without a usable day have one of their own."""
    no_day = (spells["ends_undated"] | spells["starts_early"]).to_numpy(dtype=bool)
    marks = endings_by_time(
        spells["duration_days"].to_numpy(dtype=float),
        spells["cause"].to_numpy(),
        times=days,
        outcomes=OUTCOMES,
    )
    marks = {k: is_in & (~no_day | (k == (ALL, ALL))) for k, is_in in marks.items()}
    marks[NO_USABLE_DAY, ALL] = no_day
    return marks
