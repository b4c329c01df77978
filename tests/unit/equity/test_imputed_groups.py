from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from statsmodels.discrete.discrete_model import MNLogit

from calaim_eval.equity import impute_groups, rubin_pool
from calaim_eval.equity.group_model import fit_group_model, model_columns, probabilities
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import reduce_panel


def people(n: int = 600, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    county = rng.choice(["alameda", "kern", "modoc"], n)
    chance = pd.Series({"alameda": 0.6, "kern": 0.3, "modoc": 0.1})[county].to_numpy()
    group = np.where(
        rng.random(n) < chance, "black", np.where(rng.random(n) < 0.3, "aian", "white")
    )
    visits = rng.poisson(np.where(group == "black", 2.0, 1.0))
    return pd.DataFrame(
        {
            "member_id": [f"m{i}" for i in range(n)],
            "county": county,
            "visits": visits,
            "race_ethnicity": np.where(rng.random(n) < 0.3, "unknown", group),
        }
    )


def impute(frame: pd.DataFrame, **options):
    given = {
        "missing": "unknown",
        "outcomes": ["visits"],
        "covariates": ["county"],
        "rng": np.random.default_rng(0),
        "n_imputations": 5,
    }
    return impute_groups(frame, **(given | options))


def test_maximum_likelihood_is_statsmodels_own():
    frame = people()
    known = (frame["race_ethnicity"] != "unknown").to_numpy()
    x = model_columns(frame, ["visits", "county"], [], recorded=known)[known]
    groups = frame.loc[known, "race_ethnicity"]
    model = fit_group_model(groups, x, prior_sd=None)
    codes = groups.map({g: i for i, g in enumerate(model.groups)}).to_numpy()
    other = MNLogit(codes, x).fit(disp=0)
    ours = model.coefficients.reshape(2, -1).T
    assert ours == pytest.approx(np.asarray(other.params), abs=1e-6)
    assert model.covariance == pytest.approx(np.asarray(other.cov_params()), abs=1e-6)
    assert probabilities(model.log_odds(x, model.coefficients)).mean(axis=0) == pytest.approx(
        np.bincount(codes) / len(codes)
    )


def test_prior_is_that_of_a_penalty_with_free_intercepts():
    frame = people(300)
    known = (frame["race_ethnicity"] != "unknown").to_numpy()
    x = model_columns(frame, ["visits"], [], recorded=known)[known]
    groups = frame.loc[known, "race_ethnicity"]
    tight = fit_group_model(groups, x, prior_sd=1e-4)
    shares = groups.value_counts()
    beta = tight.coefficients.reshape(2, 2)
    assert beta[:, 1] == pytest.approx(0, abs=1e-4)
    assert beta[:, 0] == pytest.approx(
        np.log(shares.iloc[1:] / shares.iloc[0]).to_numpy(), abs=1e-4
    )


def test_perfect_prediction_is_refused_without_a_prior_and_settles_with_one():
    frame = people()
    frame.loc[frame["county"] == "modoc", "race_ethnicity"] = "white"
    with pytest.raises(EstimationError, match="prior_sd"):
        impute(frame, prior_sd=None)
    assert len(impute(frame)) == 5


def test_recorded_groups_stay_and_a_seed_repeats():
    frame = people()
    imputed, again = impute(frame), impute(frame)
    assert imputed.values.equals(again.values)
    known = frame["race_ethnicity"] != "unknown"
    for filled in imputed.frames(frame):
        assert filled.loc[known, "race_ethnicity"].equals(frame.loc[known, "race_ethnicity"])
        assert set(filled["race_ethnicity"]) == {"aian", "black", "white"}
    assert (frame["race_ethnicity"] == "unknown").any()
    assert "m1" not in repr(imputed)
    summary = imputed.to_frame()
    assert summary["n_imputed"].sum() == (~known).sum()
    assert summary["n_recorded"].sum() == known.sum()


def test_an_empty_group_is_unknown():
    frame = people()
    empty = frame.assign(
        race_ethnicity=frame["race_ethnicity"].where(frame["race_ethnicity"] != "unknown", None)
    )
    assert impute(empty).values.equals(impute(frame).values)


def test_every_row_of_a_member_has_the_same_group():
    frame = people()
    imputed = impute(frame)
    long = pd.concat([frame] * 3).sample(frac=1, random_state=1)
    filled = next(imputed.frames(long))
    pairs = filled[["member_id", "race_ethnicity"]].drop_duplicates()
    assert len(pairs) == len(frame)


def test_shift_moves_members_with_more_visits_into_the_group():
    frame = people(3000)

    def visits(shift):
        filled = list(impute(frame, log_odds_shift=shift, shift_with="visits").frames(frame))
        lost = frame["race_ethnicity"] == "unknown"
        return np.mean(
            [f.loc[lost & (f["race_ethnicity"] == "black"), "visits"].mean() for f in filled]
        )

    low, none, high = (visits({"black": d}) for d in (-1.0, 0.0, 1.0))
    assert low + 0.2 < none < high - 0.2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"outcomes": []}, EstimationError, "towards 0"),
        ({"missing": "blank"}, EstimationError, "`missing` names"),
        ({"n_imputations": 1}, EstimationError, "2 or more"),
        ({"covariates": ["zip"]}, TableError, "zip"),
        ({"interactions": [("visits", "zip")]}, EstimationError, "zip"),
        ({"log_odds_shift": {"asian": 1.0}, "shift_with": "visits"}, EstimationError, "asian"),
        ({"log_odds_shift": {"black": 1.0}}, EstimationError, "go together"),
    ],
)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        impute(people(), **options)


def test_missing_covariates_and_repeated_members_are_refused():
    frame = people()
    with pytest.raises(TableError, match="missing for 1 of 600"):
        impute(frame.assign(visits=frame["visits"].astype(float).where(frame.index > 0)))
    with pytest.raises(TableError, match="repeat"):
        impute(pd.concat([frame, frame.head(2)]))
    with pytest.raises(TableError, match="were not imputed"):
        next(impute(frame).frames(frame.assign(member_id="x" + frame["member_id"])))


def panel_with_lost_groups(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Effect -2 in county a, 0 in county b; black members mostly in a, where records are lost."""
    rng = np.random.default_rng(seed)
    n = 4000
    county = rng.choice(["a", "b"], n)
    group = np.where(rng.random(n) < np.where(county == "a", 0.8, 0.2), "black", "white")
    is_exposed = rng.random(n) < 0.5
    lost = rng.random(n) < np.where(county == "a", 0.7, 0.0)
    members = pd.DataFrame(
        {
            "member_id": range(n),
            "county": county,
            "is_exposed": is_exposed,
            "true_group": group,
            "race_ethnicity": np.where(lost, "unknown", group),
            "cohort": np.where(is_exposed, 3.0, np.nan),
        }
    )
    panel = members.loc[members.index.repeat(4)].assign(month=np.tile([1, 2, 3, 4], n))
    base = np.repeat(rng.normal(5, 1, n), 4)
    effect = -2.0 * ((panel["county"] == "a") & panel["is_exposed"] & (panel["month"] >= 3))
    panel["visits"] = base + effect + rng.normal(0, 1, len(panel))
    after = panel[panel["month"] >= 3].groupby("member_id")["visits"].mean()
    before = panel[panel["month"] < 3].groupby("member_id")["visits"].mean()
    return panel, members.assign(change=(after - before).to_numpy())


def effect_by(frame: pd.DataFrame, stratum: str):
    moments = reduce_panel(frame, outcomes=["visits"], stratum=stratum)
    att = group_time_att(moments, outcome="visits", comparison="never_exposed")
    return aggregate(att, by="overall")


def test_effects_by_imputed_group_recover_the_truth_where_reported_only_does_not():
    panel, members = panel_with_lost_groups(11)
    truth = panel.loc[panel["is_exposed"] & (panel["month"] == 3)]
    truth = (
        truth.assign(effect=-2.0 * (truth["county"] == "a")).groupby("true_group")["effect"].mean()
    )
    imputed = impute_groups(
        members,
        missing="unknown",
        outcomes=["change", "is_exposed"],
        covariates=["county"],
        interactions=[("change", "is_exposed")],
        rng=np.random.default_rng(5),
        n_imputations=10,
    )
    pooled = rubin_pool([effect_by(f, "race_ethnicity") for f in imputed.frames(panel)])
    reported = effect_by(panel, "race_ethnicity").to_frame().set_index("race_ethnicity")
    found = pooled.to_frame().set_index("race_ethnicity")
    for group in ("black", "white"):
        error = found.loc[group, "std_error"]
        assert abs(found.loc[group, "estimate"] - truth[group]) < 3 * error
        off = abs(reported.loc[group, "estimate"] - truth[group])
        assert off > (4 * reported.loc[group, "std_error"] if group == "black" else 0)
    full = effect_by(panel, "true_group")
    # What is missing costs precision: never less than everybody's own record would give.
    assert (pooled.std_error > 0.95 * full.std_error).all()


def test_a_design_gets_the_imputed_group_of_its_members():
    @dataclass(frozen=True)
    class SomeDesign:
        members: pd.DataFrame
        kind: str

    frame = people()
    imputed = impute(frame)
    for kind in ("exposure", "matched"):
        # In a matched design `member_id` names a part, `panel_member_id` the member.
        parts = frame.assign(
            panel_member_id=frame["member_id"],
            member_id=frame["member_id"] if kind == "exposure" else "set1_" + frame["member_id"],
        )
        designs = list(imputed.designs(SomeDesign(parts, kind)))
        assert len(designs) == 5
        for design, filled in zip(designs, imputed.frames(frame), strict=True):
            assert design.members["race_ethnicity"].equals(filled["race_ethnicity"])
