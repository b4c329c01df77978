"""Disparity measures against WHO's healthequal, R's ineq and a published table.

Expected values come from the shared reference file. The tolerance is the row's own digits: half a
unit of the last one given, and 1e-9 relative where fifteen are.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import disparity_measures, ordered_disparity
from calaim_eval.equity.ordered_formulas import absolute_concentration
from calaim_eval.errors import EstimationError

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "reference" / "equity"


@pytest.fixture(scope="module")
def rows(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "reference_values.csv", dtype={"value": str, "se": str})


def like(text: str, *, scale: float = 1.0):
    """What a number printed with these digits may be."""
    digits = len(text.partition(".")[2])
    value = float(text) * scale
    return pytest.approx(value, rel=1e-9, abs=0.5000001 * scale * 10.0**-digits)


def row(rows: pd.DataFrame, dataset: str, measure: str, options: str = "") -> pd.Series:
    chosen = rows[
        (rows["dataset"] == dataset)
        & (rows["measure"] == measure)
        & rows["options"].fillna("").str.contains(options, regex=False)
    ]
    assert len(chosen) == 1, (dataset, measure, options, len(chosen))
    return chosen.iloc[0]


@pytest.fixture(scope="module")
def regions(folder) -> pd.DataFrame:
    data = pd.read_csv(folder / "data" / "healthequal" / "NonorderedSample.csv")
    return data.rename(columns={"estimate": "rate", "se": "std_error"})


@pytest.fixture(scope="module")
def quintiles(folder) -> pd.DataFrame:
    data = pd.read_csv(folder / "data" / "healthequal" / "OrderedSample.csv")
    return data.rename(columns={"estimate": "rate", "se": "std_error"})


def measured(frame, *, reference="mean", weights="population", **options):
    return disparity_measures(
        frame,
        reference=reference,
        favourable=True,
        weights=weights,
        stratum="subgroup",
        unit="percent",
        **{"selection": "ignored", **options},
    )


def one(found, measure: str, group: str = "all") -> pd.Series:
    frame = found.to_frame()
    return frame[(frame["measure"] == measure) & (frame["subgroup"] == group)].iloc[0]


REGIONS = [
    ("NonorderedSample SBA", "bgv", "between_group_variance", "mean", "population", 1),
    ("NonorderedSample SBA", "ti", "theil", "mean", "population", 1e-3),
    ("NonorderedSample SBA", "mld", "mean_log_deviation", "mean", "population", 1e-3),
    ("NonorderedSample SBA", "bgsd", "between_group_sd", "mean", "population", 1),
    ("NonorderedSample SBA", "covar", "coefficient_of_variation", "mean", "population", 1),
    ("NonorderedSample SBA", "idisu", "index_of_disparity", "mean", "equal", 1),
    ("NonorderedSample SBA", "idisw", "index_of_disparity", "mean", "population", 1),
    ("NonorderedSample SBA", "mdmu", "mean_difference", "mean", "equal", 1),
    ("NonorderedSample SBA", "mdmw", "mean_difference", "mean", "population", 1),
    ("NonorderedSample SBA", "par", "population_attributable_risk", "best", "population", 1),
    ("NonorderedSample SBA", "paf", "population_attributable_fraction", "best", "population", 1),
    ("NonorderedSample", "mdbu", "mean_difference", "best", "equal", 1),
    ("NonorderedSample", "mdbw", "mean_difference", "best", "population", 1),
    ("NonorderedSample", "mdru", "mean_difference", "aceh", "equal", 1),
    ("NonorderedSample", "mdrw", "mean_difference", "aceh", "population", 1),
]


@pytest.mark.parametrize(("dataset", "name", "measure", "reference", "weights", "scale"), REGIONS)
def test_measures_over_regions(rows, regions, dataset, name, measure, reference, weights, scale):
    expected = row(rows, dataset, name)
    found = one(measured(regions, reference=reference, weights=weights), measure)
    assert found["estimate"] == like(expected["value"], scale=scale)
    if name in ("bgv", "ti", "mld"):
        assert found["std_error"] == like(expected["se"], scale=scale)
        assert found["conf_high"] == pytest.approx(scale * expected["ci_high"], rel=1e-9)


def test_differences_and_ratios_between_regions(rows, regions):
    lowest = "papua"
    found = measured(regions, reference=lowest)
    plain = measured(regions)
    for options, difference, ratio in (
        (
            "nonordered, ref subgroup",
            one(found, "rate_difference", "aceh"),
            one(found, "rate_ratio", "aceh"),
        ),
        ("nonordered, no ref", one(plain, "range_difference"), one(plain, "range_ratio")),
    ):
        expected = row(rows, "NonorderedSample SBA", "d", options)
        assert difference["estimate"] == like(expected["value"])
        assert difference["std_error"] == like(expected["se"])
        assert difference["conf_low"] == pytest.approx(expected["ci_low"], rel=1e-9)
        expected = row(rows, "NonorderedSample SBA", "r", options)
        assert ratio["estimate"] == like(expected["value"])
        assert ratio["std_error"] / ratio["estimate"] == like(expected["se"])
        assert ratio["conf_high"] == pytest.approx(expected["ci_high"], rel=1e-9)


@pytest.mark.parametrize("sample", ["regions", "quintiles"])
def test_attributable_risk_of_a_simple_random_sample(rows, sample, request):
    """healthequal takes the population for a simple random sample; its PAF error is then right.

    Its PAR error is the PAF's times the mean, which forgets that the mean varies too: not matched.
    """
    frame = request.getfixturevalue(sample)
    share = frame["rate"] / 100
    srs = frame.assign(std_error=100 * np.sqrt(share * (1 - share) / frame["population"]))
    best = "best" if sample == "regions" else "Quintile 5 (richest)"
    found = measured(srs, reference=best, shares="sampled")
    dataset = "NonorderedSample SBA" if sample == "regions" else "OrderedSample SBA"
    expected = row(rows, dataset, "paf")
    fraction = one(found, "population_attributable_fraction")
    assert fraction["estimate"] == like(expected["value"])
    assert fraction["std_error"] == like(expected["se"])
    assert fraction["conf_low"] == pytest.approx(expected["ci_low"], rel=1e-9)
    expected = row(rows, dataset, "par")
    risk = one(found, "population_attributable_risk")
    assert risk["estimate"] == like(expected["value"])
    mean = np.average(frame["rate"], weights=frame["population"])
    assert fraction["std_error"] * mean / 100 == like(expected["se"])
    assert risk["std_error"] < 0.99 * float(expected["se"])


def test_published_rows_of_25_groups(rows, folder):
    data = pd.read_csv(folder / "data" / "healthequal" / "testthat_nonordered25.csv")
    frame = pd.DataFrame(
        {
            "subgroup": [f"g{i}" for i in data.index],
            "rate": data["est"],
            "std_error": data["se"],
            "population": data["pop"],
        }
    )
    found = {w: measured(frame, weights=w) for w in ("population", "equal")}
    for name, measure, weights in (
        ("bgv", "between_group_variance", "population"),
        ("bgsd", "between_group_sd", "population"),
        ("idisu", "index_of_disparity", "equal"),
        ("idisw", "index_of_disparity", "population"),
    ):
        expected = row(rows, "testthat_nonordered25", name)
        value = one(found[weights], measure)
        # The printed digits are off by up to 2e-8 (the error by 1.3e-7), as the row's own
        # recomputation in ten digits says; that is met in full.
        again = re.findall(r"recomputation = ([0-9.]+)", expected["how_verified"])
        assert value["estimate"] == like(again[0])
        assert value["estimate"] == pytest.approx(float(expected["value"]), rel=2e-8)
        if name == "bgv":
            assert value["std_error"] == like(again[1])
            assert value["std_error"] == pytest.approx(float(expected["se"]), rel=1.4e-7)


def test_differences_of_ordered_groups(rows, quintiles):
    found = measured(quintiles, reference="Quintile 1 (poorest)")
    for name, measure in (("d", "rate_difference"), ("r", "rate_ratio")):
        expected = row(rows, "OrderedSample SBA", name)
        value = one(found, measure, "Quintile 5 (richest)")
        assert value["estimate"] == like(expected["value"])
        error = value["std_error"] / (value["estimate"] if name == "r" else 1)
        assert error == like(expected["se"])


def ordered(frame, *, model="linear", **options):
    return ordered_disparity(
        frame,
        order=frame["subgroup"].tolist(),
        stratum="subgroup",
        favourable=True,
        unit="percent",
        model=model,
        limits=(0, 100),
        **options,
    )


def test_concentration_indices_of_quintiles(rows, quintiles):
    found = ordered(quintiles)
    for name, measure in (
        ("aci", "absolute_concentration"),
        ("rci", "relative_concentration"),
        ("rci_wagstaff", "wagstaff_concentration"),
        ("rci_erreygers", "erreygers_concentration"),
    ):
        assert found.value(measure) == like(row(rows, "OrderedSample SBA", name)["value"])
    # The error from the groups' own errors, worked out beside the row.
    error = one(found, "absolute_concentration")["std_error"]
    note = row(rows, "OrderedSample SBA", "aci")["how_verified"]
    assert f"{error:.5f}" == "0.28236"
    assert "0.28236" in note


def whole(frame: pd.DataFrame) -> pd.DataFrame:
    """healthequal's counts: populations rounded up, events to the nearest."""
    members = np.ceil(frame["population"])
    return pd.DataFrame(
        {
            "subgroup": frame["subgroup"],
            "count": np.round(frame["rate"] / 100 * members),
            "members": members,
        }
    )


def test_linear_slope_of_quintiles(rows, quintiles):
    found = ordered(quintiles.assign(population=np.ceil(quintiles["population"])))
    for name, measure in (("sii_linear", "slope_index"), ("rii_linear", "relative_index")):
        assert found.value(measure) == like(row(rows, "OrderedSample SBA", name)["value"])


@pytest.mark.parametrize("dataset", ["OrderedSample SBA", "testthat_ordered5"])
def test_logistic_slopes_match_the_corrected_rows_and_not_the_defective(
    rows, folder, quintiles, dataset
):
    frame = quintiles
    if dataset == "testthat_ordered5":
        data = pd.read_csv(folder / "data" / "healthequal" / "testthat_ordered5.csv")
        frame = data.rename(columns={"est": "rate", "pop": "population"})
        frame = frame.assign(subgroup=frame["order"].astype(str))
    found = ordered(whole(frame), model="logit", per=100)
    for name, measure in (("sii_logit", "slope_index"), ("rii_logit", "relative_index")):
        assert found.value(measure) == like(row(rows, dataset, name, "CORRECT")["value"])
        defective = rows[
            (rows["dataset"] == dataset)
            & (rows["measure"] == name)
            & rows["options"].fillna("").str.contains("defective")
        ]
        for value in defective["value"].astype(float):
            assert abs(found.value(measure) / value - 1) > 1e-4


def test_child_deaths_in_india(rows):
    expected = rows[rows["measure"] == "concentration index (grouped)"].iloc[0]
    frame = pd.DataFrame(
        {
            "wealth": [f"q{i}" for i in range(1, 6)],
            "rate": [154.7, 152.9, 119.5, 86.9, 54.3],
            "std_error": 1.0,
            "population": [29939, 28776, 26528, 24689, 19739],
        }
    )
    found = ordered_disparity(
        frame,
        order=frame["wealth"].tolist(),
        stratum="wealth",
        favourable=False,
        model="linear",
        unit="deaths per 1,000",
    )
    assert found.value("relative_concentration") == like(expected["value"])


def test_ten_incomes(rows):
    """Each person a group: Theil, MLD and variation; Gini is the concentration by own rank."""
    chosen = rows[rows["dataset"] == "ineq example vector (10 incomes)"].set_index("measure")
    inline = chosen["data_file"].iloc[0].removeprefix("inline ")
    incomes = sorted(float(x) for x in inline.split(","))
    frame = pd.DataFrame(
        {
            "subgroup": [f"p{i}" for i in range(10)],
            "rate": incomes,
            "std_error": 1.0,
            "population": 1.0,
        }
    )
    found = measured(frame, weights="equal")
    assert found.value("theil") == like(chosen.loc["Theil", "value"])
    assert found.value("mean_log_deviation") == like(chosen.loc["MLD", "value"])
    # The Ricci-Schutz index is half the mean deviation.
    assert found.value("coefficient_of_variation") / 100 == like(chosen.loc["CV", "value"])
    assert found.value("index_of_disparity") / 200 == like(chosen.loc["RS", "value"])
    ranked = ordered_disparity(
        frame,
        order=frame["subgroup"].tolist(),
        stratum="subgroup",
        favourable=True,
        model="linear",
        unit="income",
    )
    assert ranked.value("relative_concentration") == like(chosen.loc["Gini", "value"])


def test_the_scale_is_never_guessed(quintiles):
    with pytest.raises(EstimationError, match="not guessed from the numbers"):
        ordered_disparity(
            quintiles,
            order=quintiles["subgroup"].tolist(),
            stratum="subgroup",
            favourable=True,
            unit="percent",
            model="logit",
        )


@pytest.fixture(scope="module")
def survey(folder) -> pd.DataFrame:
    """17,848 births by wealth quintile, weighted: shares and sums of weights."""
    data = pd.read_csv(folder / "data" / "healthequal" / "IndividualSample.csv")
    known = data[data["sba"].notna()]
    assert len(known) == 17_848
    known = known.assign(y=known["weight"] * known["sba"])
    sums = known.groupby("subgroup_order")[["y", "weight"]].sum()
    share = sums["y"] / sums["weight"]
    return pd.DataFrame(
        {
            "subgroup": [f"q{i}" for i in sums.index],
            "rate": share.to_numpy(),
            "std_error": 0.01,
            "population": sums["weight"].to_numpy(),
        }
    )


@pytest.mark.parametrize(
    ("name", "measure", "model"),
    [
        ("aci", "absolute_concentration", "linear"),
        ("rci", "relative_concentration", "linear"),
        ("sii_logit", "slope_index", "logit"),
        ("rii_logit", "relative_index", "logit"),
    ],
)
def test_indices_of_a_survey_of_members(rows, survey, name, measure, model):
    """Members of a quintile share a rank: their weighted share says all. Errors need the design."""
    found = ordered_disparity(
        survey,
        order=survey["subgroup"].tolist(),
        stratum="subgroup",
        favourable=True,
        unit="share",
        model=model,
        limits=(0, 1),
    )
    expected = row(rows, "IndividualSample[sba] n=17848", name)
    # healthequal's logistic fit stops at R's default tolerance of 1e-8 on the deviance.
    rel = 1e-6 if model == "logit" else 1e-9
    assert found.value(measure) == pytest.approx(float(expected["value"]), rel=rel)


def test_concentration_of_body_mass_by_income(rows, folder):
    """10,000 people, each a group of one."""
    data = pd.read_csv(folder / "data" / "rineq" / "housing.csv").sort_values("income")
    assert not data["income"].duplicated().any()
    bmi = data["bmi"].to_numpy()
    share = np.full(len(bmi), 1 / len(bmi))
    absolute = float(absolute_concentration(bmi, share))
    chosen = rows[rows["dataset"].str.startswith("rineq::housing")].set_index("measure")["value"]
    assert absolute / bmi.mean() == pytest.approx(float(chosen["ci type CI"]), rel=1e-9)
    assert absolute == pytest.approx(float(chosen["ci type CIg"]), rel=1e-9)
    erreygers = 4 * absolute / (bmi.max() - bmi.min())
    assert erreygers == pytest.approx(float(chosen["ci type CIc"]), rel=1e-9)
