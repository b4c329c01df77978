from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from calaim_eval.disclosure import release
from calaim_eval.errors import EstimationError
from calaim_eval.integration.partner_survey.aggregation_check import (
    AggregationRule,
    aggregation_check,
)
from calaim_eval.integration.partner_survey.group_agreement import (
    intraclass_correlation,
    r_wg,
    uniform_variance,
)
from calaim_eval.integration.partner_survey.survey_answers import score_survey
from calaim_eval.integration.partner_survey.survey_response_rates import (
    survey_agreement,
    survey_respondents,
    survey_response_rate,
)
from calaim_eval.integration.partner_survey.survey_scores import survey_scores

from .survey_frames import codebook, survey


def _roster(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "organization_id": [f"o{i}" for i in range(n)],
            "organization_type": ["cbo" if i % 2 else "clinic" for i in range(n)],
            "leadership": ["black_led" if i % 3 == 0 else "white_led" for i in range(n)],
        }
    )


def _scored(seed: int = 1, n: int = 60, **options: float):
    answers = survey(np.random.default_rng(seed), n_organizations=n, per_organization=4, **options)
    return score_survey(answers, codebook())


def test_scores_at_the_same_role_mix_equal_a_regression():
    scored = _scored(role_shift=1.0)
    roster = _roster(60)
    table = survey_scores(scored, by="organization_type", organization=roster)
    frame = scored.answers.merge(roster, on="organization_id")
    frame["score"] = scored.scores("use").to_numpy()
    fit = smf.ols("score ~ organization_type + respondent_role", frame).fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(frame["organization_id"])[0]}
    )
    grid = {g: frame.assign(organization_type=g) for g in ("cbo", "clinic")}
    expected = [frame["score"].mean(), *(fit.predict(g).mean() for g in grid.values())]
    assert table.keys["organization_type"].tolist() == ["all", "cbo", "clinic"]
    np.testing.assert_allclose(table.estimate, expected, atol=1e-10)
    gap = table.combine(np.array([[0, -1, 1]]), keys=pd.DataFrame({"gap": ["clinic - cbo"]}))
    name = "organization_type[T.clinic]"
    assert gap.estimate[0] == pytest.approx(fit.params[name], abs=1e-10)
    assert gap.std_error[0] == pytest.approx(fit.bse[name], abs=1e-10)


def test_who_answered_does_not_move_a_score_at_the_same_role_mix():
    rng = np.random.default_rng(3)
    n = 4000
    group = rng.integers(0, 2, n)
    is_frontline = rng.random(n) < np.where(group == 1, 0.8, 0.2)
    answers = pd.DataFrame(
        {
            "respondent_id": [f"s{i}" for i in range(n)],
            "organization_id": [f"o{2 * (i % 150) + g}" for i, g in enumerate(group)],
            "respondent_role": np.where(is_frontline, "frontline", "executive"),
            "item": "q0",
            "response": 3 + 0.5 * is_frontline + rng.normal(0, 0.3, n),
        }
    )
    scored = score_survey(answers, codebook(1))
    roster = _roster(300)
    adjusted = survey_scores(scored, by="organization_type", organization=roster)
    crude = survey_scores(
        scored, by="organization_type", organization=roster, adjust_for_role=False
    )
    assert abs(adjusted.estimate[1] - adjusted.estimate[2]) < 0.05
    assert crude.estimate[1] - crude.estimate[2] == pytest.approx(0.3, abs=0.05)


def test_without_breakdown_the_score_is_the_mean_and_its_error_that_of_organizations():
    scored = _scored()
    table = survey_scores(scored)
    by_organization = scored.scores("use").groupby(scored.answers["organization_id"]).mean()
    assert table.estimate[0] == pytest.approx(by_organization.mean(), abs=1e-12)
    expected = by_organization.std() / np.sqrt(len(by_organization))
    assert table.std_error[0] == pytest.approx(expected, rel=0.01)
    assert table.degrees.tolist() == [59.0]


def test_organizations_that_agree_may_be_scored():
    answers = survey(
        np.random.default_rng(2),
        n_organizations=30,
        per_organization=12,
        between=1.0,
        within=0.05,
        error=0.3,
    )
    book = codebook().assign(lowest_response=-1, highest_response=7)
    scored = score_survey(answers, book)
    check = aggregation_check(scored, "use")
    assert check.is_supported, check.reasons
    table = survey_scores(scored, by="organization_id", adjust_for_role=False)
    expected = scored.scores("use").groupby(scored.answers["organization_id"]).agg(["mean", "std"])
    order = table.keys["organization_id"]
    np.testing.assert_allclose(table.estimate, expected.loc[order, "mean"], atol=1e-10)
    assert "all" not in set(order)
    assert np.isfinite(table.std_error).all()


def test_organizations_that_do_not_agree_are_not_scored():
    answers = survey(
        np.random.default_rng(2), n_organizations=40, per_organization=3, between=0.0, within=1.0
    )
    book = codebook().assign(lowest_response=-3, highest_response=9)
    scored = score_survey(answers, book)
    check = aggregation_check(scored, "use")
    assert not check.is_supported
    with pytest.raises(EstimationError, match=r"may not be averaged by organization.*ICC"):
        survey_scores(scored, by="organization_id")
    lenient = AggregationRule(min_mean_r_wg=0.0, min_icc_2=-9.0, max_p_value=1.0)
    assert len(survey_scores(scored, by="organization_id", rule=lenient)) == 40


def test_variance_components_are_recovered():
    answers = survey(
        np.random.default_rng(4),
        n_organizations=1500,
        per_organization=4,
        n_items=1,
        between=0.4,
        within=0.5,
        error=np.sqrt(0.1),
    )
    scored = score_survey(answers, codebook(1))
    check = aggregation_check(scored, "use")
    assert check.variance.icc_1 == pytest.approx(0.4, abs=0.04)
    assert check.variance.icc_2 == pytest.approx(4 * 0.4 / (1 + 3 * 0.4), abs=0.04)
    effects = check.to_effects()
    assert effects.estimate[0] == check.variance.icc_1
    assert (effects.support["n_members"] == 6000).all()


def test_p_values_are_uniform_where_organizations_do_not_differ():
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(15), 4)
    p = [intraclass_correlation(rng.normal(size=60), groups).p_value for _ in range(400)]
    assert abs(np.mean(np.array(p) < 0.1) - 0.1) < 4 * np.sqrt(0.09 / 400)
    assert abs(np.mean(p) - 0.5) < 4 * np.sqrt(1 / 12 / 400)


def test_agreement_by_hand():
    # Two colleagues answer 4 and 5 to both items: variance 0.5 against (25 - 1) / 12 = 2.
    items = np.array([[4.0, 4.0], [5.0, 5.0], [1.0, 1.0], [5.0, 5.0], [3.0, 3.0]])
    found = r_wg(items, np.array(["a", "a", "b", "b", "c"]), null_variance=uniform_variance(5))
    assert found[0] == pytest.approx(2 * 0.75 / (2 * 0.75 + 0.25))
    assert found[1] == 0.0  # variance 8: less agreement than chance
    assert np.isnan(found[2])
    assert r_wg(items[:2], np.array(["a", "a"]), null_variance=2.0) == found[0]
    with pytest.raises(EstimationError, match="null_variance"):
        r_wg(items, np.array(list("aabbc")), null_variance=0.0)


def test_agreement_of_a_few_colleagues_does_not_leave_because_many_answered_alone():
    alone = survey(np.random.default_rng(3), n_organizations=30, per_organization=1)
    for n_pairs, is_hidden in ((2, True), (12, False)):
        answers = alone.copy()
        for k in range(n_pairs):  # respondents 2k and 2k + 1 become colleagues
            answers.loc[answers["respondent_id"] == f"s{2 * k + 1}", "organization_id"] = (
                f"o{2 * k}"
            )
        check = aggregation_check(score_survey(answers, codebook()), "use")
        assert check.n_with_colleagues == 2 * n_pairs
        frame = (
            release({"survey_aggregation": check.to_effects()}).tables["survey_aggregation"].frame
        )
        assert (frame["is_suppressed"] == is_hidden).all()


def test_agreement_needs_colleagues():
    with pytest.raises(EstimationError, match="3 respondents in 3 organizations"):
        intraclass_correlation(np.array([1.0, 2, 3]), np.array(["a", "b", "c"]))


def test_breakdowns_that_cannot_be_made():
    scored = _scored(n=12)
    with pytest.raises(EstimationError, match="`organization` was not given"):
        survey_scores(scored, by="leadership")
    with pytest.raises(EstimationError, match="`by`: `mood` cannot break down"):
        survey_scores(scored, by="mood")
    with pytest.raises(EstimationError, match="few respondents are not made"):
        survey_agreement(scored, agree_from=3, by="organization_id")
    with pytest.raises(EstimationError, match="Use a trait"):
        survey_respondents(scored, by="respondent_role")
    with pytest.raises(EstimationError, match="everybody, would agree"):
        survey_agreement(scored, agree_from=99)


def test_a_role_only_one_group_has_cannot_be_told_from_it():
    scored = _scored(n=12)
    people = scored.answers
    people["respondent_role"] = np.where(
        people["organization_id"].isin([f"o{i}" for i in range(0, 12, 2)]), "manager", "frontline"
    )
    with pytest.raises(EstimationError, match="cannot be told apart"):
        survey_scores(scored, by="organization_type", organization=_roster(12))


def test_response_rate_counts_organizations_asked():
    scored = _scored(n=12)
    table = survey_response_rate(scored, _roster(20))
    frame = table.to_frame().set_index("organization_type")
    assert frame.loc["all", ["numerator", "denominator"]].tolist() == [12, 20]
    assert frame.loc["cbo", ["numerator", "denominator"]].tolist() == [6, 10]
    assert frame.loc["hospital", "denominator"] == 0
    assert table.about == "organizations"
    others = survey_response_rate(scored, _roster(5))
    assert others.notes == ("7 organizations answered without having been asked.",)
    assert others.numerator[0] == 5


def test_respondents_and_agreement_add_up():
    scored = _scored(n=40)
    roster = _roster(40)
    table = survey_respondents(scored, by="leadership", organization=roster).to_frame()
    assert table["numerator"].iloc[0] == 160
    inner = table[(table["leadership"] != "all") & (table["respondent_role"] != "all")]
    assert inner["numerator"].sum() == 160
    shares = survey_agreement(scored, agree_from=3, by="respondent_role").to_frame()
    for _, rows in shares.groupby("item"):
        for column in ("numerator", "denominator"):
            assert rows[column].iloc[1:].sum() == rows[column].iloc[0]
    expected = (scored.items("use")["q0"] >= 3).mean()
    assert shares["rate"].iloc[0] == pytest.approx(expected)


def test_groups_of_few_respondents_are_hidden_in_a_release():
    """Respondents are persons: a score of 8 of them does not leave, and neither do their counts."""
    scored = _scored(n=40)
    roster = _roster(40)
    roster.loc[[0, 3], "leadership"] = "nhpi_led"  # 8 respondents
    roster.loc[[6, 9, 12], "leadership"] = "asian_led"  # 12 respondents
    results = {
        "survey_scores": survey_scores(scored, by="leadership", organization=roster),
        "survey_respondents": survey_respondents(scored, by="leadership", organization=roster),
        "survey_agreement": survey_agreement(
            scored, agree_from=3, by="leadership", organization=roster
        ),
    }
    released = release(results)
    for name in results:
        frame = released.tables[name].frame
        few = frame[frame["leadership"] == "nhpi_led"]
        if name == "survey_respondents":
            few = few[few["numerator"].ne(0)]
        assert few["is_suppressed"].all(), name
        shown = frame[frame["leadership"] == "all"]
        assert (~shown["is_suppressed"]).any(), name


def test_a_group_of_one_organization_does_not_leave_however_many_answered():
    answers = survey(np.random.default_rng(3), n_organizations=30, per_organization=15)
    scored = score_survey(answers, codebook())
    roster = _roster(30).assign(
        organization_type=[
            "hospital" if i == 0 else "cbo" if i % 2 else "clinic" for i in range(30)
        ]
    )
    table = survey_scores(scored, by="organization_type", organization=roster)
    assert table.support.loc[table.keys["organization_type"] == "hospital", "n_members"].max() == 0
    assert any("all of one organization" in note for note in table.notes)
    shown = release({"scores": table}).tables["scores"].frame.set_index("organization_type")
    # The average of all and the two other groups would give it: one of them goes as well.
    assert shown.loc["hospital", "is_suppressed"]
    assert shown["is_suppressed"].sum() >= 2
    assert repr(scored).startswith("<SurveyAnswers: about 450 respondents")


def test_a_role_few_people_have_is_hidden_everywhere():
    scored = _scored(n=40)
    scored.answers.loc[[0, 1, 2], "respondent_role"] = "other"
    released = release(
        {
            "survey_respondents": survey_respondents(scored),
            "survey_scores": survey_scores(scored, by="respondent_role"),
        }
    )
    for table in released.tables.values():
        frame = table.frame
        assert frame.loc[frame["respondent_role"] == "other", "is_suppressed"].all()
