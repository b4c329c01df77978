"""The score of a release's tables is read off their columns; sums worked by hand."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from disclosure_tables import rate_table, two_way

from calaim_eval.disclosure import Released, load_policy, release
from calaim_eval.disclosure.layout_score import score_layouts
from calaim_eval.disclosure.released import TableContent
from calaim_eval.errors import DisclosureError


def scores(table, **options):
    (found,) = release({"t": table}, **options).scores
    return found


def part(found, variable):
    (one,) = [p for p in found["parts"] if p["variable"] == variable]
    return one["characteristic"], one["score"]


def by_race(counts, **options):
    return rate_table(
        pd.DataFrame({"race_ethnicity": list(counts)}), list(counts.values()), **options
    )


def test_state_by_quarter_and_race_is_the_worked_sum():
    """Worked by hand: state and quarter, race in seven groups, smallest cell 150: 6."""
    found = scores(by_race({"white": 900, "nhpi": 150}), quarter="2024Q4")
    assert (found["total"], found["limit"], found["is_within_limit"]) == (6, 12, True)
    assert part(found, "events") == ("100-999", 3)
    assert part(found, "time") == ("quarter", 4)
    assert part(found, "residence_geography") == ("state or >2,000,000", -5)
    assert part(found, "race_ethnicity_combined") == ("adds AI/AN, NHPI, mixed", 3)
    assert part(found, "variable_interactions") == ("plus 1 variable", 1)


def test_a_county_of_300000_and_a_quarter_is_above_the_limit_with_every_cell_at_11():
    _, table = two_way([[50, 60], [70, 80]], columns=("Merced", "Sonoma"))
    found = scores(table, quarter="2024Q4", residents={"Merced": 300_000, "Sonoma": 480_000})
    assert (found["total"], found["is_within_limit"]) == (13, False)
    assert found["assumed"] == ["time: the quarter of the release"]


def test_a_county_without_a_population_scores_as_the_smallest_and_is_told():
    _, table = two_way([[50, 60], [70, 80]], columns=("Merced", "Sonoma"))
    found = scores(table, quarter="2024Q4", residents={"Merced": 300_000})
    assert part(found, "residence_geography") == ("<=4,000", 7)
    assert "geography: 1 counties without a population, as the smallest" in found["assumed"]


def test_the_area_of_a_plan_counts_where_there_is_no_county():
    found = scores(by_race({"white": 900, "nhpi": 150}), residents={"all": 150_000})
    assert part(found, "residence_geography") == ("100,001-250,000", 1)
    assert part(found, "time") == ("1 year", 0)


def test_hidden_rows_do_not_count():
    found = scores(by_race({"white": 900, "nhpi": 5}))
    assert part(found, "events") == ("100-999", 3)
    assert part(found, "race_ethnicity_combined")[1] == 2


def test_columns_that_say_what_is_counted_are_no_variables():
    keys = pd.DataFrame({"outcome": ["ed", "stays"], "unit": "visits"})
    found = scores(rate_table(keys, [40, 50]))
    assert part(found, "variable_interactions") == ("only events>=5, time, geography", -5)


def test_age_sex_and_any_other_column():
    keys = pd.DataFrame(
        [
            {"sex": s, "age_band": a, "population_of_focus": f"p{i}"}
            for s in ("female", "male")
            for a in ("0-17", "18-20", "65+")
            for i in range(6)
        ]
    )
    found = scores(rate_table(keys, [100] * len(keys)))
    assert part(found, "sex") == ("male/female", 1)
    assert part(found, "age_range") == ("3-5 years", 5)
    assert part(found, "other_variable") == ("5-9 groups", 5)
    assert part(found, "variable_interactions") == ("plus 3 variables", 4)


@pytest.mark.parametrize(("edition", "limit"), [("calhhs_ddg_1", 20_000), ("calhhs_ddg_2", 20_001)])
def test_denominators_below_the_limit_of_the_edition_are_told(edition, limit):
    for people, is_small in ((limit - 1, True), (limit, False)):
        table = rate_table(
            pd.DataFrame({"race_ethnicity": ["white"]}), [5000], [people], kind="proportion"
        )
        assert scores(table, policy=edition)["has_small_denominator"] is is_small


def test_policies_without_a_score_and_tables_of_organizations_have_none():
    assert release({"t": by_race({"white": 900})}, policy="cms_11").scores == []
    assert release({"t": by_race({"white": 900}, about="organizations")}).scores == []


def test_a_policy_may_refuse_what_scores_above_the_limit(tmp_path):
    path = tmp_path / "strict.toml"
    path.write_text(
        'based_on = "calhhs_ddg_2"\nname = "strict"\nversion = "1"\ntitle = "Strict"\n'
        'source = "us"\nscore_gate = "refuse"\n'
    )
    _, table = two_way([[50, 60], [70, 80]], columns=("Merced", "Sonoma"))
    people = {"Merced": 300_000, "Sonoma": 480_000}
    to = tmp_path / "release"
    with pytest.raises(DisclosureError, match=r"1 tables score above 12.*`t` \(13\)"):
        release({"t": table}, policy=path, to=to, quarter="2024Q4", residents=people)
    assert not to.exists()
    made = release({"t": by_race({"white": 900})}, policy=path, to=to, quarter="2024Q4")
    assert Released.load(to / "2024Q4").scores == made.scores


def test_every_variable_of_every_edition_is_known():
    """No column can end in a characteristic that an edition does not have."""
    columns = {
        "race_ethnicity": [["white", "asian"], ["white", "nhpi"]],
        "language": [["english", "spanish"], ["english", "spanish", "hmong", "thai"]],
        "sex": [["female", "male"]],
        "age_band": [["0-17", "18+"], ["children", "adults"], ["1-2", "3-9"]],
        "service": [["a", "b"], [f"s{i}" for i in range(7)], [f"s{i}" for i in range(12)]],
    }
    for name in ("calhhs_ddg_1", "calhhs_ddg_2"):
        policy = load_policy(name)
        for column, labels in columns.items():
            for each in labels:
                frame = pd.DataFrame({column: each, "numerator": 50.0, "is_suppressed": False})
                meta = {"keys": [column], "about": "members", "rate_kind": "count"}
                tables = {"t": TableContent("rate", frame, meta)}
                (found,) = score_layouts(tables, policy=policy, quarter="2024Q4")
                assert found.score.total == found.score.parts["score"].sum()
    assert score_layouts({}, policy=replace(policy, score_edition=""), quarter="") == []


@pytest.mark.parametrize("column", ["county", "age_group", "language", "other"])
def test_a_row_without_a_key_value_is_scored(column):
    keys = pd.DataFrame({column: ["18-64", None]}, dtype=object)
    assert isinstance(scores(rate_table(keys, [40, 50]))["total"], int)


def test_an_agency_is_no_age():
    found = scores(rate_table(pd.DataFrame({"agency": ["unit 1-2", "b"]}), [40, 50]))
    assert part(found, "other_variable")[0] == "<5 groups"
    assert not [p for p in found["parts"] if p["variable"] == "age_range"]
