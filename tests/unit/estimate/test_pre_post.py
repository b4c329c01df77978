"""Change from before to after exposure, beside the same change without exposure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from weighted_members import awkward_panel, clustered, influence, mean

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import pre_post
from calaim_eval.moments import reduce_panel

MEMBERS = 70


def plain_changes(frame: pd.DataFrame, weight: np.ndarray, *, before: int, after: int) -> list:
    """Exposed and comparison change of cohorts 3 and 5, written out over cohorts and cells."""
    w = weight[frame["member_id"]]
    sides = {"exposed": [], "comparison": []}
    for first, last in ((-before, -1), (0, after - 1)):
        visits = months = standard = 0.0
        for cohort in (3, 5):
            window = frame["month"].between(cohort + first, cohort + last)
            for cell in ("a", "b"):
                own = window & (frame["cohort"] == cohort) & (frame["risk"] == cell)
                later = frame["cohort"].isna() | (frame["cohort"] > cohort + after - 1)
                other = window & later & (frame["risk"] == cell)
                visits += (w[own] * frame.loc[own, "visits"]).sum()
                months += w[own].sum()
                standard += w[own].sum() * mean(frame, weight, other, "visits")
        sides["exposed"].append(visits / months)
        sides["comparison"].append(standard / months)
    exposed, comparison = (rates[1] - rates[0] for rates in sides.values())
    return [exposed, comparison, exposed - comparison]


@pytest.mark.parametrize("after", [1, 2])
def test_changes_and_covariance_are_brute_force(after: int) -> None:
    frame = awkward_panel(seed=17, members=MEMBERS)
    moments = reduce_panel(
        frame,
        outcomes=["visits"],
        covariate_cells="risk",
        cluster="county",
        unbalanced="cell_means",
    )
    psi = influence(
        lambda w: np.array(plain_changes(frame, w, before=2, after=after)), members=MEMBERS
    )
    county = frame.groupby("member_id")["county"].first().reindex(range(MEMBERS)).to_numpy()
    for cluster, groups in (("member", None), ("county", county)):
        table = pre_post(
            moments, outcome="visits", months_before=2, months_after=after, cluster=cluster
        )
        assert table.keys["side"].tolist() == ["exposed", "comparison", "difference"]
        np.testing.assert_allclose(
            table.estimate,
            plain_changes(frame, np.ones(MEMBERS), before=2, after=after),
            atol=1e-12,
        )
        expected = clustered(psi, groups)
        # 1e-6 is the error of the numerical derivative.
        np.testing.assert_allclose(
            table.covariance, expected, rtol=1e-6, atol=1e-6 * expected.max()
        )


def test_is_labelled_not_causal() -> None:
    moments = reduce_panel(awkward_panel(seed=1), outcomes=["visits"], unbalanced="cell_means")
    table = pre_post(moments, outcome="visits", months_before=2, months_after=2)
    assert table.estimand.is_causal is False
    assert any("not causal" in note for note in table.notes)


def test_regression_to_the_mean_shows_in_both_rows() -> None:
    # Members qualify by a spike in month 2 and fall back by themselves; exposure does nothing.
    rng = np.random.default_rng(7)
    members = 4_000
    visits = rng.poisson(0.2, (members, 6))
    visits[:, 2] += 3
    cohort = np.where(rng.random(members) < 0.5, 3.0, np.nan)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(members), 6),
            "month": np.tile(np.arange(6), members),
            "cohort": np.repeat(cohort, 6),
            "visits": visits.ravel(),
        }
    )
    table = pre_post(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        months_before=1,
        months_after=3,
    )
    exposed, comparison, difference = table.estimate
    assert exposed == pytest.approx(-3, abs=0.1)
    assert comparison == pytest.approx(-3, abs=0.1)
    assert abs(difference) < 3 * table.std_error[2]


def test_stratum_without_comparison_has_its_exposed_row_only() -> None:
    frame = awkward_panel(seed=5)
    frame = frame[(frame["group"] == "x") | (frame["cohort"] == 3)]
    moments = reduce_panel(frame, outcomes=["visits"], stratum="group", unbalanced="cell_means")
    table = pre_post(
        moments, outcome="visits", months_before=2, months_after=2, comparison="never_exposed"
    )
    assert table.keys.to_dict("list") == {
        "group": ["x", "x", "x", "y"],
        "side": ["exposed", "comparison", "difference", "exposed"],
    }
    assert any(
        note.startswith("No comparison members") and note.endswith(": y.") for note in table.notes
    )


def test_windows_outside_the_panel_are_counted_or_refused() -> None:
    moments = reduce_panel(awkward_panel(seed=1), outcomes=["visits"], unbalanced="cell_means")
    table = pre_post(moments, outcome="visits", months_before=4, months_after=2)
    assert any("windows reach outside the panel: (" in note for note in table.notes)
    with pytest.raises(DesignError, match="no exposed cohort has 12 months before and 12"):
        pre_post(moments, outcome="visits")
    with pytest.raises(EstimationError, match="each window needs at least one month"):
        pre_post(moments, outcome="visits", months_before=0)


@pytest.mark.shared
def test_german_reform_change_is_the_ols_coefficient(shared: Path) -> None:
    # Visits before and after the 1997 reform (SOEP); every row its own member, everyone exposed.
    import statsmodels.formula.api as smf

    data = pd.read_csv(shared / "reference" / "counts" / "mdvis.csv")
    frame = data.assign(member_id=range(len(data)), cohort=1)
    moments = reduce_panel(
        frame, outcomes=["numvisit"], month="reform", stratum="agegrp", unbalanced="cell_means"
    )
    table = pre_post(moments.pooled(), outcome="numvisit", months_before=1, months_after=1)
    fit = smf.ols("numvisit ~ reform", data).fit(cov_type="HC0")
    assert table.keys["side"].tolist() == ["exposed"]
    assert table.estimate[0] == pytest.approx(fit.params["reform"], abs=1e-12)
    assert table.std_error[0] == pytest.approx(fit.bse["reform"], abs=1e-12)
    by_age = pre_post(moments, outcome="numvisit", months_before=1, months_after=1)
    for row, age in enumerate(by_age.keys["agegrp"]):
        fit = smf.ols("numvisit ~ reform", data[data["agegrp"] == age]).fit(cov_type="HC0")
        assert by_age.estimate[row] == pytest.approx(fit.params["reform"], abs=1e-12)
        assert by_age.std_error[row] == pytest.approx(fit.bse["reform"], abs=1e-12)


@pytest.mark.shared
def test_weight_after_quitting_smoking_is_the_ols_interaction(shared: Path) -> None:
    # NHEFS: weight in 1971 and 1982 of quitters and others; members clustered.
    import statsmodels.formula.api as smf

    data = pd.read_csv(shared / "reference" / "counts" / "nhefs.csv").dropna(subset=["wt82"])
    both = pd.DataFrame(
        {
            "member_id": np.tile(data["seqn"], 2),
            "month": np.repeat([0, 1], len(data)),
            "cohort": np.tile(np.where(data["qsmk"] == 1, 1.0, np.nan), 2),
            "weight_kg": np.concatenate([data["wt71"], data["wt82"]]),
        }
    )
    table = pre_post(
        reduce_panel(both, outcomes=["weight_kg"], unbalanced="cell_means"),
        outcome="weight_kg",
        months_before=1,
        months_after=1,
    )
    both["quit"] = both["cohort"].notna().astype(int)
    fit = smf.ols("weight_kg ~ quit * month", both).fit(
        cov_type="cluster", cov_kwds={"groups": both["member_id"], "use_correction": False}
    )
    assert table.estimate[2] == pytest.approx(fit.params["quit:month"], abs=1e-10)
    assert table.std_error[2] == pytest.approx(fit.bse["quit:month"], abs=1e-10)
