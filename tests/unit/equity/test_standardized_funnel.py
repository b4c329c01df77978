"""The access funnel standardized to one population, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hand_panel import hand_panel

from calaim_eval.disclosure import release
from calaim_eval.equity import (
    access_funnel,
    direct_standardized_rate,
    effect_gap,
    standardized_funnel,
)
from calaim_eval.errors import EstimationError

HEAD = "member | race | age | covered | listed | outreach | service\n-+-\n"
# Group, age: identified, reached, served.
COUNTS = {
    ("black", 30): (40, 30, 12),
    ("black", 60): (60, 24, 6),
    ("white", 30): (150, 120, 60),
    ("white", 60): (50, 25, 10),
}


def people(counts: dict[tuple[str, int], tuple[int, int, int]]) -> str:
    rows = []
    for (race, age), (identified, reached, served) in counts.items():
        for i in range(identified):
            outreach = "2022-03" if i < reached else ""
            service = "2022-04" if i < served else ""
            who = f"{race}{age}{i} | {race} | {age} | 2022-01..2022-12"
            rows.append(f"{who} | 2022-02 | {outreach} | {service}")
    return HEAD + "\n".join(rows)


def shares(table) -> pd.Series:
    frame = table.to_frame()
    return frame.set_index(["race_ethnicity", "component", "share_of"])["estimate"]


def funnel(counts=COUNTS, **options):
    options = {"bands": ("age_band",), "first_ages": (45,), "stages": STAGES, **options}
    return standardized_funnel(hand_panel(people(counts)), **options)


STAGES = ("identified", "outreached", "served")


def test_shares_in_the_ages_of_all_members():
    found = shares(funnel())
    # Of 300 identified, 190 are under 45.
    young, old = 190 / 300, 110 / 300
    assert found["black", "outreached", "identified"] == pytest.approx(
        young * 30 / 40 + old * 24 / 60
    )
    assert found["white", "served", "identified"] == pytest.approx(young * 60 / 150 + old * 10 / 50)
    # Of 199 reached, 150 are under 45.
    assert found["black", "served", "stage_before"] == pytest.approx(
        150 / 199 * 12 / 30 + 49 / 199 * 6 / 24
    )


def test_it_is_the_direct_standardization_of_the_cells():
    cells = pd.DataFrame(
        [(race, age, n[1], n[0], n[1] * (1 - n[1] / n[0])) for (race, age), n in COUNTS.items()],
        columns=["race", "age_band", "events", "member_months", "variance"],
    )
    weights = pd.Series({30: 190, 60: 110})
    other = direct_standardized_rate(cells, by="race", weights=weights, per=1).set_index("race")
    mine = funnel().to_frame().query("component == 'outreached'").set_index("race_ethnicity")
    for race in ("black", "white"):
        assert mine.loc[race, "estimate"] == pytest.approx(other.loc[race, "rate"])
        assert mine.loc[race, "std_error"] == pytest.approx(other.loc[race, "std_error"])


def test_standardizing_to_itself_or_by_nothing_changes_nothing():
    alike = {key: n for (_, age), n in COUNTS.items() for key in [("black", age)]}
    panel = hand_panel(people(alike))
    crude = access_funnel(panel).to_frame().query("race_ethnicity == 'black'").set_index("stage")
    for bands in (("age_band",), ()):
        table = standardized_funnel(panel, bands=bands, first_ages=(45,), stages=STAGES)
        found = table.to_frame().set_index(["component", "share_of"])
        for stage in STAGES[1:]:
            share = crude.loc[stage, "rate"]
            assert found.loc[(stage, "identified"), "estimate"] == pytest.approx(share)
        n = crude["numerator"]
        assert found.loc[("served", "stage_before"), "estimate"] == pytest.approx(
            n["served"] / n["outreached"]
        )
    share = crude.loc["served", "rate"]
    plain = found.loc[("served", "identified"), "std_error"]
    assert plain == pytest.approx(np.sqrt(share * (1 - share) / crude.loc["served", "denominator"]))


def test_stages_of_a_group_vary_together():
    """Reached and served of one group: the covariance of two means of the same members."""
    table = funnel(bands=())
    keys = table.keys
    mine = np.flatnonzero((keys["race_ethnicity"] == "white") & (keys["share_of"] == "identified"))
    reached, served = np.repeat([1, 0], [145, 55]), np.repeat([1, 0], [70, 130])
    expected = np.cov(reached, served, bias=True) / 200
    np.testing.assert_allclose(table.covariance[np.ix_(mine, mine)], expected)
    gap = effect_gap(table, reference="white").to_frame()
    row = gap[(gap["component"] == "served") & (gap["share_of"] == "identified")].iloc[0]
    assert row["estimate"] == pytest.approx(18 / 100 - 70 / 200)
    assert row["std_error"] == pytest.approx(np.sqrt(0.18 * 0.82 / 100 + 0.35 * 0.65 / 200))


def test_a_gap_of_composition_alone_goes_away():
    counts = {
        ("black", 30): (20, 16, 8), ("black", 60): (80, 32, 16),
        ("white", 30): (100, 80, 40), ("white", 60): (50, 20, 10),
    }  # fmt: skip
    gap = effect_gap(funnel(counts), reference="white").to_frame()
    np.testing.assert_allclose(gap["estimate"], 0, atol=1e-12)


def test_risk_and_a_standard_of_ones_own():
    panel = hand_panel(people(COUNTS))
    ids = panel.exposure_frame()["member_id"]
    risk = pd.Series(np.where(ids.str.match("(black|white)30"), "high", "low"), index=ids)
    standard = pd.Series([3.0, 1.0], index=["high", "low"])
    table = standardized_funnel(
        panel,
        bands=(),
        risk=risk,
        stages=STAGES,
        weights={"identified": standard, "outreached": standard},
    )
    assert shares(table)["black", "outreached", "identified"] == pytest.approx(
        0.75 * 30 / 40 + 0.25 * 24 / 60
    )
    with pytest.raises(EstimationError, match="no standard for 'outreached'"):
        standardized_funnel(
            panel, bands=(), risk=risk, stages=STAGES, weights={"identified": standard}
        )


def test_a_group_absent_from_a_band_has_no_share_and_that_is_said():
    table = funnel({**COUNTS, ("asian", 30): (30, 20, 15)})
    assert np.isnan(shares(table)["asian"]).all()
    assert any("3 of 9 shares are missing" in note for note in table.notes)


def test_what_a_released_share_rests_on_could_be_released_itself():
    """Seven reached among the old of a group whose totals are all large: not shown."""
    counts = {**COUNTS, ("asian", 30): (60, 50, 30),
              ("asian", 60): (60, 7, 0)}  # fmt: skip
    panel = hand_panel(people(counts))
    table = standardized_funnel(panel, bands=("age_band",), first_ages=(45,), stages=STAGES)
    tables = release({"access_funnel": access_funnel(panel), "standardized": table}).tables
    frame = tables["standardized"].frame.set_index(["race_ethnicity", "component", "share_of"])
    assert frame.loc[("asian", "outreached", "identified"), "is_suppressed"]
    crude = tables["access_funnel"].frame.set_index(["race_ethnicity", "stage"])
    assert not crude.loc[("asian", "outreached"), "is_suppressed"]
    assert not frame.loc[("white", "outreached", "identified"), "is_suppressed"]
    # Ten young members of this group were not reached.
    assert frame.loc[("black", "outreached", "identified"), "is_suppressed"]


def test_where_a_crude_share_is_hidden_so_are_the_standardized_ones_of_the_group():
    counts = {**COUNTS, ("asian", 30): (60, 50, 5), ("asian", 60): (60, 40, 2)}
    panel = hand_panel(people(counts))
    table = standardized_funnel(panel, bands=("age_band",), first_ages=(45,), stages=STAGES)
    frame = (
        release({"access_funnel": access_funnel(panel), "standardized": table})
        .tables["standardized"]
        .frame
    )
    assert frame.loc[frame["race_ethnicity"] == "asian", "is_suppressed"].all()


def test_coverage_of_intervals():
    """600 draws of two groups in two bands: 95 % intervals hold the truth in 92 to 98 %."""
    rng = np.random.default_rng(11)
    chance = {("a", 0): (0.7, 0.5), ("a", 1): (0.4, 0.3)}
    size, weight = {("a", 0): 80, ("a", 1): 120}, np.array([0.5, 0.5])
    truth = sum(w * chance["a", b][0] * chance["a", b][1] for b, w in enumerate(weight))
    from calaim_eval.equity.standardized_funnel import _group

    held = []
    for _ in range(600):
        rows = []
        for b in (0, 1):
            reached = rng.binomial(size["a", b], chance["a", b][0])
            rows.append([size["a", b], reached, rng.binomial(reached, chance["a", b][1])])
        counts = pd.DataFrame(rows, columns=list(STAGES), dtype=float)
        estimate, covariance, _ = _group(counts, list(STAGES), {("served", "identified"): weight})
        half = 1.96 * np.sqrt(covariance[0, 0])
        held.append(abs(estimate[0] - truth) <= half)
    assert 0.92 <= np.mean(held) <= 0.98


def test_no_share_of_those_at_a_stage_that_nobody_reached():
    table = funnel({cell: (n, 0, 0) for cell, (n, _, _) in COUNTS.items()})
    found = shares(table)
    assert found["black", "served", "identified"] == 0
    assert np.isnan(found["black", "served", "stage_before"])
    assert np.isnan(found["white", "served", "stage_before"])
    assert any("2 of 6 shares are missing" in note for note in table.notes)


def test_a_standard_with_a_band_that_nobody_is_in_is_refused():
    standard = pd.Series({"0-17": 0.4, "18-44": 0.3, "45+": 0.3})
    given = {"identified": standard, "outreached": standard}
    with pytest.raises(EstimationError, match="no member identified is in 1 of the 3 bands"):
        funnel(first_ages=(18, 45), weights=given)
    # Without weight it takes no part.
    standard["0-17"] = 0.0
    assert np.isfinite(funnel(first_ages=(18, 45), weights=given).estimate).all()


def test_risk_is_found_by_ids_that_are_numbers_and_given_once():
    rows = [
        f"{i} | {'black' if i < 40 else 'white'} | 30 | 2022-01..2022-12 | 2022-02 | "
        f"{'2022-03' if i % 2 else ''} | "
        for i in range(100)
    ]
    panel = hand_panel(HEAD + "\n".join(rows))
    risk = pd.Series(["high", "low"] * 50, index=range(100))
    found = shares(standardized_funnel(panel, bands=(), risk=risk, stages=STAGES[:2]))
    assert found["black", "outreached", "identified"] == pytest.approx(0.5)
    with pytest.raises(EstimationError, match="`risk` has a member twice"):
        standardized_funnel(panel, bands=(), risk=pd.concat([risk, risk]), stages=STAGES[:2])


@pytest.mark.parametrize(
    "stages", [("identified", "served", "outreached"), ("identified", "served", "served")]
)
def test_stages_out_of_order_are_refused(stages):
    """Served before reached would have shares above 1."""
    with pytest.raises(EstimationError, match=r"not nested in this order.*\n.*'identified'"):
        funnel(stages=stages)
