"""Principal components against R; the Social Vulnerability Index as a composite of themes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.integration.composite.composite_index import IndexRule, composite_index, spearman
from calaim_eval.integration.composite.index_components import IndexComponents
from calaim_eval.integration.composite.principal_components import principal_components

pytestmark = pytest.mark.shared

THEMES = ("RPL_THEME1", "RPL_THEME2", "RPL_THEME3", "RPL_THEME4")


@pytest.fixture(scope="module")
def folder(shared) -> Path:
    return shared / "reference" / "integration"


@pytest.fixture(scope="module")
def rows(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "reference_values.csv").set_index(["dataset", "measure"])


@pytest.fixture(scope="module")
def arrests(folder) -> np.ndarray:
    frame = pd.read_csv(folder / "data" / "r_usarrests" / "usarrests.csv")
    return frame[["Murder", "Assault", "UrbanPop", "Rape"]].to_numpy(dtype=float)


@pytest.fixture(scope="module")
def counties(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "data" / "svi2018_ca" / "svi2018_ca_counties.csv")


def test_principal_components_equal_prcomp(rows, arrests):
    found = principal_components(arrests)
    for i in range(4):
        row = rows.loc[("r_usarrests", f"PCA standardized PVE PC{i + 1}")]
        assert found.explained[i] == pytest.approx(float(row["value"]), abs=float(row["tol"]))
    row = rows.loc[("r_usarrests", "PC1 |loadings| Murder;Assault;UrbanPop;Rape")]
    expected = [float(value) for value in str(row["value"]).split(";")]
    np.testing.assert_allclose(np.abs(found.loadings[:, 0]), expected, atol=float(row["tol"]))


def test_sampling_adequacy_equals_psych(rows, arrests):
    row = rows.loc[("r_usarrests", "KMO overall")]
    found = principal_components(arrests).sampling_adequacy
    assert found == pytest.approx(float(row["value"]), abs=float(row["tol"]))


def test_counties_of_the_vulnerability_index_are_those_expected(rows, counties):
    people = counties.set_index("COUNTY")["E_TOTPOP"]
    found = {
        "CA counties": len(counties),
        "total population 58 counties": people.sum(),
        "Kings+Tulare population": people[["Kings", "Tulare"]].sum(),
        "RPL_THEMES Kings": counties.set_index("COUNTY").loc["Kings", "RPL_THEMES"],
        "RPL_THEMES Tulare": counties.set_index("COUNTY").loc["Tulare", "RPL_THEMES"],
    }
    for measure, value in found.items():
        row = rows.loc[("svi2018_ca", measure)]
        assert float(value) == pytest.approx(float(row["value"]), abs=float(row["tol"])), measure


def test_an_index_of_the_four_themes_is_nearer_to_the_published_one_than_any_theme(counties):
    """The published ranking sums percentiles of 15 variables, ours of four themes.

    Themes are percentiles of all counties of the country, so they are summed as they are
    (min-max), not ranked again among 58.
    """
    k = len(THEMES)
    components = IndexComponents(
        unit_name="county",
        units=counties["COUNTY"].to_numpy(dtype=object),
        names=np.array(THEMES, dtype=object),
        values=counties[list(THEMES)].to_numpy(dtype=float),
        std_errors=np.zeros((len(counties), k)),
        support=counties[["E_TOTPOP"] * k].to_numpy(dtype=float),
    )
    found = composite_index(
        components,
        rule=IndexRule(weights=dict.fromkeys(THEMES, 1 / k), normalization="min_max"),
        rng=np.random.default_rng(1),
    )
    published = counties.set_index("COUNTY")["RPL_THEMES"]
    ours = found.to_frame().set_index("county")
    of_index = spearman(-published.loc[ours.index], ours["rank"])
    of_themes = [spearman(published, counties.set_index("COUNTY")[theme]) for theme in THEMES]
    assert of_index > max(of_themes)
    # The published place of Kings and of Tulare among the 58 lies in our range of ranks.
    place = published.rank(ascending=False)[["Kings", "Tulare"]]
    ours = ours.loc[["Kings", "Tulare"]]
    assert (ours["rank_low_weights"] <= place).all()
    assert (place <= ours["rank_high_weights"]).all()
