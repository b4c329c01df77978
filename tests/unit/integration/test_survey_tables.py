"""Networks of a survey leave in numbers over all organizations, with bounds, and no name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.errors import EstimationError
from calaim_eval.integration import (
    integration_measures,
    network_bounds,
    survey_network,
    survey_network_tables,
)

IDS = [f"o{k}" for k in range(12)]


def _tie(seed: int = 1) -> pd.DataFrame:
    """Two waves, two kinds of tie; the last three organizations never answer."""
    rng = np.random.default_rng(seed)
    rows = [
        (wave, a, b, kind)
        for wave in ("2023-07-01", "2024-07-01")
        for kind in ("referral", "data")
        for a in IDS[:9]
        for b in IDS
        if a != b and rng.random() < 0.3
    ]
    columns = ["wave_date", "from_organization_id", "to_organization_id", "tie_type"]
    return pd.DataFrame(rows, columns=columns)


def test_numbers_are_those_of_the_networks():
    tables = survey_network_tables(_tie(), as_of="2024-12-31")
    assert set(tables) == {
        "partner_network",
        "partner_network_multiplexity",
        "partner_network_stability",
    }
    network = survey_network(_tie(), wave="2024-07-01", tie_type="data")
    bounds = network_bounds(network).to_frame().set_index(["measure", "rule"])
    frame = tables["partner_network"].to_frame()
    rates = frame.set_index(["tie_type", "measure", "rule", "value"])["rate"]
    assert rates[("data", "response", "reported", "reported")] == 9 / 12
    for measure, rule in bounds.index:
        row = bounds.loc[(measure, rule)]
        assert rates[("data", measure, rule, "lowest")] == pytest.approx(row["low"])
        assert rates[("data", measure, rule, "highest")] == pytest.approx(row["high"])
        assert rates[("data", measure, rule, "reported")] == pytest.approx(row["reported"])


def test_centralization_is_a_range_only_where_too_few_answered():
    few = _tie()[lambda f: f["from_organization_id"].isin(IDS[:7])]
    frame = survey_network_tables(few, as_of="2024-12-31")["partner_network"].to_frame()
    central = frame[frame["measure"].str.contains("centralization")]
    assert set(central["value"]) == {"lowest", "highest"}


def test_who_answered_is_read_from_the_survey_of_the_wave():
    said = pd.DataFrame({"organization_id": IDS[:11], "wave_date": "2024-07-01"})
    frame = survey_network_tables(_tie(), as_of="2024-12-31", survey_response=said)
    response = frame["partner_network"].to_frame().query("measure == 'response'")
    assert set(response["rate"]) == {11 / 12}


def test_the_wave_of_the_quarter_is_taken():
    one = survey_network_tables(_tie(), as_of="2023-12-31")
    assert "partner_network_stability" not in one
    assert "2023-07-01" in one["partner_network"].notes[-1]
    with pytest.raises(EstimationError, match="no survey wave had begun"):
        survey_network_tables(_tie(), as_of="2022-12-31")


def test_tables_pass_the_door_and_name_no_organization():
    made = integration_measures({"tie": _tie()}, quarter="2024Q4")
    released = release({n: t for n, t in made.items() if n.startswith("partner_network")})
    assert released.certificate["n_suppressed_rows"] == 0
    assert len(released.tables) == 3
    for table in released.tables.values():
        assert not set(IDS) & set(map(str, table.frame.to_numpy().ravel()))


def test_many_unseen_ties_are_bounded_in_time():
    rng = np.random.default_rng(4)
    ids = [f"o{k:03d}" for k in range(200)]
    rows = [
        ("2024-07-01", a, b, "referral")
        for a in ids[:150]
        for b in ids
        if a != b and rng.random() < 0.05
    ]
    columns = ["wave_date", "from_organization_id", "to_organization_id", "tie_type"]
    frame = survey_network_tables(pd.DataFrame(rows, columns=columns), as_of="2024-12-31")
    rates = frame["partner_network"].to_frame().set_index(["rule", "measure", "value"])["rate"]
    low, seen, high = (
        rates[("either", "degree_centralization", v)] for v in ("lowest", "reported", "highest")
    )
    assert 0 <= low <= seen <= high <= 1
