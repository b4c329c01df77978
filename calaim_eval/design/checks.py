"""What a design refuses before it looks at a single member."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.errors import DesignError
from calaim_eval.schema.codes import load_codes

if TYPE_CHECKING:
    from calaim_eval.panel import MemberMonths

ANY_SUPPORT = "any_community_support"
MIN_BASELINE_MONTHS = 2


def check_option(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise DesignError unless `value` is one of the literal options."""
    if value not in allowed:
        listed = ", ".join(f"'{each}'" for each in allowed)
        raise DesignError(f"`{name}` is '{value}', not one of {listed}.")


_CONTACT_MONTHS = ("identified_month", "outreach_month", "service_month")


def services() -> tuple[str, ...]:
    """Services a design can be about: ECM, each Community Support, any Community Support."""
    return ("ecm", *load_codes("community_support")["service"], ANY_SUPPORT)


def service_exposures(panel: MemberMonths, service: str) -> pd.DataFrame:
    """Exposure rows of a service, one per member; DesignError if it is unknown or has none."""
    if service not in services():
        listed = ", ".join(f"'{each}'" for each in services())
        raise DesignError(f"`service` is '{service}', not one of {listed}.")
    rows = panel.exposure_frame(service)
    # Authorized is not identified, reached or served: an authorization alone is no record here.
    rows = rows[rows[list(_CONTACT_MONTHS)].notna().any(axis=1)]
    if rows.empty:
        raise DesignError(
            f"the panel has no record of service `{service}` among {panel.n_members:,} members.\n"
            "  Check `program` and `service` in table `program_service`, and the claim codes of "
            "the code list `service_codes`."
        )
    return rows.reset_index(drop=True)


def analysis_months(panel: MemberMonths, window: tuple[str, str] | None) -> pd.PeriodIndex:
    """Months of the window, default all of the panel; DesignError outside the panel."""
    first, last = panel.first_month, panel.last_month
    if window is not None:
        first, last = (to_month(each, name="window") for each in window)
    if first < panel.first_month or last > panel.last_month or first > last:
        raise DesignError(
            f"`window` is {first} to {last}; the panel holds {panel.first_month} to "
            f"{panel.last_month}.\n"
            "  Choose months inside the panel, the first before the last, or build a longer panel."
        )
    return pd.period_range(first, last, freq="M")


def to_month(value: str | pd.Period, *, name: str) -> pd.Period:
    """A calendar month from text such as ``"2022-01"``; DesignError if it is none."""
    try:
        return pd.Period(value, freq="M")
    except (ValueError, TypeError) as error:
        raise DesignError(f"`{name}`: '{value}' is not a month such as '2022-01'.") from error


def check_windows(
    months: pd.PeriodIndex,
    *,
    lookback_months: int,
    follow_up_months: int,
    anticipation_months: int,
) -> None:
    """Raise DesignError unless the window holds a baseline and a follow-up."""
    for name, value, least in (
        ("anticipation_months", anticipation_months, 0),
        ("follow_up_months", follow_up_months, 1),
    ):
        if value < least:
            raise DesignError(f"`{name}` is {value}; it must be {least} or more.")
    if lookback_months - anticipation_months < MIN_BASELINE_MONTHS:
        raise DesignError(
            f"`lookback_months` is {lookback_months} and `anticipation_months` "
            f"{anticipation_months}, which leaves {max(lookback_months - anticipation_months, 0)} "
            f"clean baseline months.\n  {MIN_BASELINE_MONTHS} are the least that show whether both "
            "sides moved together before: lengthen the look-back."
        )
    needed = lookback_months + follow_up_months
    if len(months) < needed:
        raise DesignError(
            f"the window {months[0]} to {months[-1]} has {len(months)} months; a look-back of "
            f"{lookback_months} and a follow-up of {follow_up_months} need {needed}.\n"
            "  Shorten them or widen the window. Two time points alone are a before-after "
            "comparison, not an evaluation design."
        )
