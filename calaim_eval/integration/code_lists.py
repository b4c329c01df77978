"""Counties, services and race groups in the order reports show them."""

from __future__ import annotations

import pandas as pd

from calaim_eval.integration.inputs import quarter_days
from calaim_eval.schema.codes import load_codes

ECM = "ecm"


def known_counties() -> list[str]:
    """The 58 counties, in the order of the code list."""
    return list(load_codes("county")["county"])


def services_offered(quarter: str) -> list[str]:
    """ECM and the Community Supports in effect by the last day of the quarter."""
    _, last = quarter_days(quarter)
    codes = load_codes("community_support")
    is_in_effect = pd.to_datetime(codes["effective_from"]) <= last
    return [ECM, *codes.loc[is_in_effect, "service"]]


def known_services() -> list[str]:
    """ECM and every Community Support of the code list."""
    return [ECM, *load_codes("community_support")["service"]]


def race_ethnicity_groups() -> list[str]:
    """Race and ethnicity groups in display order; unknown and declined are rows."""
    codes = load_codes("race_ethnicity_group")
    order = pd.to_numeric(codes["sort_order"]).sort_values().index
    return list(codes.loc[order, "race_ethnicity"])
