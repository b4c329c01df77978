"""Members with a record of the service or a month of eligibility: who may enter a design."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.design.eligibility import EligibilityRule
from calaim_eval.design.member_month_parts import month_numbers
from calaim_eval.errors import DesignError
from calaim_eval.schema.codes import load_codes

Anchor = Literal["first_service", "first_outreach"]


def check_population(population_of_focus: str | None, eligibility: EligibilityRule) -> None:
    """Raise DesignError unless the population of focus is a code and the list names it."""
    if population_of_focus is None:
        return
    codes = tuple(dict.fromkeys(load_codes("population_of_focus")["code"]))
    check_option("population_of_focus", population_of_focus, codes)
    if eligibility != "listed":
        raise DesignError(
            '`population_of_focus` needs eligibility="listed": a member found by ED use alone '
            "has no recorded population of focus."
        )


def candidate_members(
    exposures: pd.DataFrame, eligible: pd.Series, *, anchor: Anchor
) -> pd.DataFrame:
    """Members with a record of the service or a month of eligibility, one row each."""
    service = month_numbers(exposures["service_month"])
    outreach = month_numbers(exposures["outreach_month"])
    exposed = service if anchor == "first_service" else np.fmin(outreach, service)
    recorded = pd.DataFrame(
        {
            "exposed": exposed,
            "is_served_unreached": ~np.isnan(service) & ~(outreach <= service),
            "population_of_focus": exposures["population_of_focus"].to_numpy(),
        },
        index=pd.Index(exposures["member_id"], name="member_id"),
    )
    everyone = recorded.index.union(eligible.index)
    frame = recorded.reindex(everyone)
    return frame.assign(
        eligible=eligible.reindex(everyone),
        is_served_unreached=frame["is_served_unreached"].eq(True),  # noqa: FBT003
    )
