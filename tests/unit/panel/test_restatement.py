"""What a later extract changed, and how complete a month of service is by its age."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import MemberMonths, PanelRules, build_member_months
from calaim_eval.panel.restatement import completeness_factors, restate
from calaim_eval.panel.summary import PanelSummary, summarize_panel
from calaim_eval.tables import Tables

MONTHS = pd.date_range("2024-01-01", periods=3, freq="MS")


def panel(rows, **options):
    """Panel from (member, month number, plan, ED visits)."""
    columns = ["member_id", "month", "plan", "ed_visits"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["month"] = [MONTHS[number - 1] for number in frame["month"]]
    return MemberMonths.from_frames(frame.assign(covered_days=28), **options)


EARLIER = [
    ("a", 1, "Alpha", 1),
    ("a", 2, "Alpha", 0),
    ("a", 3, "Alpha", 2),
    ("b", 1, "Beta", 1),
    ("b", 2, "Beta", 1),
    ("c", 1, None, 0),
]
LATER = [
    ("a", 1, "Alpha", 1),
    ("a", 2, "Beta", 1),  # another plan, a visit more
    ("a", 3, "Beta", 5),
    ("b", 2, "Beta", 1),  # January was taken away
    ("c", 1, None, 0),
    ("c", 2, None, 0),  # retroactive
    ("d", 2, "Alpha", 3),  # new member
]


def of(told, measure):
    rows = told.totals[told.totals["measure"] == measure]
    return rows.drop(columns=["measure", "months_since_service"]).to_numpy().tolist()


def test_totals_and_member_months_by_month():
    told = restate(panel(EARLIER), panel(LATER))
    jan, feb, mar = MONTHS
    assert of(told, "member_months") == [
        [jan, 3.0, 2.0, -1.0, 2 / 3, 0.0, 1.0],
        [feb, 2.0, 4.0, 2.0, 2.0, 2.0, 0.0],
        [mar, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0],
    ]
    visits = told.totals[told.totals["measure"] == "ed_visits"]
    assert visits["earlier"].tolist() == [2.0, 1.0, 2.0]
    assert visits["later"].tolist() == [1.0, 5.0, 5.0]
    assert visits["ratio"].tolist() == [0.5, 5.0, 2.5]
    assert visits["added"].isna().all()
    assert (told.n_members_added, told.n_members_removed) == (1, 0)
    balance = told.totals.query("measure == 'member_months'")
    assert (balance["earlier"] + balance["added"] - balance["removed"] == balance["later"]).all()


def test_a_month_that_changed_plan_leaves_one_and_joins_the_other():
    told = restate(panel(EARLIER), panel(LATER), by=("month", "plan"))
    rows = told.totals.query("measure == 'member_months'").set_index(["month", "plan"])
    changes = {
        key: (row.added, row.removed) for key, row in rows.iterrows() if row.added or row.removed
    }
    jan, feb, mar = MONTHS
    assert changes == {
        (jan, "Beta"): (0, 1),
        (feb, "Alpha"): (1, 1),  # a left, d is new
        (feb, "Beta"): (1, 0),
        (feb, ""): (1, 0),
        (mar, "Alpha"): (0, 1),
        (mar, "Beta"): (1, 0),
    }
    # A plan without a month in the earlier extract had nobody there.
    assert rows.loc[(mar, "Beta"), "earlier"] == 0
    assert np.isnan(rows.loc[(mar, "Beta"), "ratio"])


def test_a_measure_that_cannot_be_known_stays_unknown():
    told = restate(panel(EARLIER), panel(LATER)).totals
    assert (
        told.loc[told["measure"] == "paid_usd", ["earlier", "later", "ratio"]]
        .isna()
        .to_numpy()
        .all()
    )


def test_other_rules_or_another_window_are_refused():
    first = panel(EARLIER)
    other = panel(LATER, rules=PanelRules(month_rule="first_day", exclude_duals=False))
    with pytest.raises(TableError, match=r"different rules: `month_rule`, `exclude_duals`\."):
        restate(first, other)
    assert restate(first, panel(LATER, rules=PanelRules(run_out_months=3))).by == ("month",)
    shorter = panel([row for row in LATER if row[1] < 3])
    with pytest.raises(TableError, match=r"2024-01 to 2024-03 and 2024-01 to 2024-02"):
        restate(first, shorter)
    common = restate(first, shorter, window="common").totals
    assert common["month"].max() == MONTHS[1]
    apart = panel([("a", 3, "Alpha", 0)])
    with pytest.raises(TableError, match="Build both over the same months"):
        restate(shorter, apart, window="common")
    with pytest.raises(TableError, match="`member_id` is none of them"):
        restate(first, first, by=("month", "member_id"))
    for by in (("plan",), "plan"):
        with pytest.raises(TableError, match="`month` is not among them"):
            restate(first, first, by=by)
    assert restate(first, first, by="month").by == ("month",)
    with pytest.raises(TableError, match="'shared' is not one of 'same', 'common'"):
        restate(first, first, window="shared")


def test_other_definitions_are_refused_as_other_rules_are():
    first, second = summarize_panel(panel(EARLIER)), summarize_panel(panel(LATER))
    restate(first, second)
    first = dataclasses.replace(first, definitions_sha256="one")
    restate(first, second)
    second = dataclasses.replace(second, definitions_sha256="two")
    with pytest.raises(TableError, match="different definitions of measures or code lists"):
        restate(first, second)


def test_a_kept_summary_is_compared_as_the_panel_was(tmp_path):
    first, second = panel(EARLIER), panel(LATER)
    summarize_panel(first, data_end_month="2024-06").save(tmp_path / "q1.json")
    assert "member_id" not in (tmp_path / "q1.json").read_text(encoding="utf-8")
    kept = PanelSummary.load(tmp_path / "q1.json")
    told = restate(kept, summarize_panel(second, data_end_month="2024-09"))
    whole = restate(first, second).totals
    same = ["month", "measure", "earlier", "later", "difference", "ratio"]
    pd.testing.assert_frame_equal(told.totals[same], whole[same])
    assert told.totals["added"].isna().all()
    assert told.months_between == 3
    assert told.totals.loc[0, "months_since_service"] == 5
    with pytest.raises(TableError, match="cannot be compared by `plan`"):
        restate(kept, second, by=("month", "plan"))
    with pytest.raises(TableError, match="end in 2024-03, before those of the earlier"):
        restate(kept, summarize_panel(second, data_end_month="2024-03"))


def test_a_file_that_is_no_summary_is_refused(tmp_path):
    for text in ("{}", "no json", '{"format_version": 9}'):
        (tmp_path / "q1.json").write_text(text, encoding="utf-8")
        with pytest.raises(TableError, match="not a panel summary"):
            PanelSummary.load(tmp_path / "q1.json")


SPANS = pd.DataFrame(
    {
        "member_id": ["old", "new", *[f"m{i}" for i in range(40)]],
        "enrollment_start_date": "2024-01-01",
        "enrollment_end_date": "2024-03-31",
    }
)
CLAIMS = pd.DataFrame(
    {
        "claim_id": ["1", "2"],
        "claim_line_number": 1,
        "claim_type": "professional",
        "member_id": ["old", "new"],
        "hcpcs_code": "99213",
        "claim_start_date": ["2024-01-05", "2024-02-05"],
        "rendering_npi": "1",
    }
)


@pytest.mark.parametrize("n_buckets", [(1, 1), (3, 3), (1, 3)])
def test_merged_members_and_retroactive_months_between_two_extracts(n_buckets, tmp_path):
    merges = pd.DataFrame({"member_id": ["old"], "current_member_id": ["new"]})
    late = SPANS[2:3].assign(member_id="late")
    extracts = (
        {"eligibility": SPANS, "medical_claim": CLAIMS},
        {
            "eligibility": pd.concat([SPANS, late]),
            "medical_claim": CLAIMS,
            "member_xref": merges,
        },
    )
    panels = [
        build_member_months(
            Tables.from_frames(extract, n_buckets=n),
            first_month="2024-01",
            last_month="2024-03",
            out_dir=tmp_path / str(place),
        )
        for place, (extract, n) in enumerate(zip(extracts, n_buckets, strict=True))
    ]
    told = restate(*panels)
    assert (told.n_members_added, told.n_members_removed) == (1, 1)
    months = told.totals.query("measure == 'member_months'")
    assert months["added"].tolist() == months["removed"].tolist() == [1.0, 1.0, 1.0]
    # The claims of the old identifier are those of the new one now: no visit is lost.
    visits = told.totals.query("measure == 'outpatient_visits'")
    assert visits["earlier"].tolist() == visits["later"].tolist() == [1.0, 1.0, 0.0]
    assert told.months_between == 0


# Incremental data of Taylor and Ashe (1983), cumulated: accident year by development year.
TAYLOR_ASHE = [
    [357848, 1124788, 1735330, 2218270, 2745596, 3319994, 3466336, 3606286, 3833515, 3901463],
    [352118, 1236139, 2170033, 3353322, 3799067, 4120063, 4647867, 4914039, 5339085],
    [290507, 1292306, 2218525, 3235179, 3985995, 4132918, 4628910, 4909315],
    [310608, 1418858, 2195047, 3757447, 4029929, 4381982, 4588268],
    [443160, 1136350, 2128333, 2897821, 3402672, 3873311],
    [396132, 1333217, 2180715, 2985752, 3691712],
    [440832, 1288463, 2419861, 3483130],
    [359480, 1421128, 2864498],
    [376686, 1363294],
    [344014],
]
# Mack (1993), table of the development factors of these data.
MACK_FACTORS = [3.491, 1.747, 1.457, 1.174, 1.104, 1.086, 1.054, 1.077, 1.018]


def extract_after(n_years):
    """The diagonal known after so many years: one service month an accident year."""
    known = [row[: n_years - year] for year, row in enumerate(TAYLOR_ASHE) if year < n_years]
    months = pd.period_range("2024-01", periods=len(known), freq="M")
    totals = pd.DataFrame(
        {
            "month": months.to_timestamp().astype("datetime64[s]"),
            "measure": "paid_usd",
            "total": [float(row[-1]) for row in known],
        }
    )
    return PanelSummary(totals, ("month",), months[0], months[-1], {}, months[-1])


def test_completeness_is_the_chain_ladder_of_the_published_triangle():
    steps = [
        restate(extract_after(year), extract_after(year + 1), window="common")
        for year in range(1, 10)
    ]
    told = completeness_factors(*steps)
    assert told["months_since_service"].tolist() == list(range(9))
    assert told["n_service_months"].tolist() == list(range(9, 0, -1))
    np.testing.assert_allclose(told["link_ratio"], MACK_FACTORS, atol=5e-4, rtol=0)
    # Later ages are in every product: a factor of the last age holds for all.
    ultimate = np.cumprod(told["link_ratio"].to_numpy()[::-1])[::-1]
    np.testing.assert_allclose(told["completeness"], 1 / ultimate, rtol=1e-12)
    # Mack's reserve of the youngest year: 4,626 thousand, so 344,014 of 4,969.8 thousand are known.
    assert 344014 / told["completeness"][0] - 344014 == pytest.approx(4_626_000, abs=1_000)


def test_a_missing_link_leaves_younger_ages_unknown():
    steps = [
        restate(extract_after(year), extract_after(year + 1), window="common") for year in (2, 4)
    ]
    # Extracts after 2 and 4 years: ages 0, 1 and 0 to 3 are seen.
    assert completeness_factors(*steps)["completeness"].notna().all()
    gappy = steps[1]
    rows = gappy.totals[gappy.totals["months_since_service"] != 2]
    broken = type(gappy)(rows, gappy.by, None, None, gappy.months_between)
    told = completeness_factors(broken).set_index("months_since_service")["completeness"]
    assert told.isna().to_dict() == {0: True, 1: True, 3: False}


def test_completeness_needs_extracts_one_step_apart():
    one = restate(extract_after(3), extract_after(4), window="common")
    two = restate(extract_after(3), extract_after(5), window="common")
    for given in ((), (one, two), (restate(extract_after(3), extract_after(3)),)):
        with pytest.raises(TableError, match="completeness needs one number, 1 or more"):
            completeness_factors(*given)
