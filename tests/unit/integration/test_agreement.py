from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration import coder_agreement


def _coded(first: list[str | None], second: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"coder_1_organization_type": first, "coder_2_organization_type": second})


def _random(seed: int, n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    types = np.array(["cbo", "clinic", "for_profit", "tribal"])
    first = rng.choice(types, n, p=[0.4, 0.3, 0.2, 0.1])
    second = np.where(rng.random(n) < 0.7, first, rng.choice(types, n))
    return _coded(list(first), list(second))


@pytest.mark.parametrize("seed", [1, 2])
def test_kappa_and_its_standard_error_equal_statsmodels(seed):
    frame = _random(seed)
    table = coder_agreement(frame)
    counts = pd.crosstab(*[frame[c] for c in frame.columns])
    expected = cohens_kappa(counts.to_numpy())
    assert table.estimate[0] == pytest.approx(expected.kappa, abs=1e-12)
    assert table.std_error[0] == pytest.approx(expected.std_kappa, abs=1e-12)


def test_each_type_against_the_rest_equals_statsmodels():
    frame = _random(5)
    table = coder_agreement(frame)
    row = table.keys["organization_type"].tolist().index("for_profit")
    one_type = frame == "for_profit"
    expected = cohens_kappa(pd.crosstab(*[one_type[c] for c in frame.columns]).to_numpy())
    assert table.estimate[row] == pytest.approx(expected.kappa, abs=1e-12)
    assert table.std_error[row] == pytest.approx(expected.std_kappa, abs=1e-12)


def test_two_categories_agree_alike():
    frame = _coded(["cbo"] * 25 + ["clinic"] * 25, ["cbo"] * 20 + ["clinic"] * 20 + ["cbo"] * 10)
    np.testing.assert_allclose(coder_agreement(frame).estimate, 0.4)


def test_full_agreement_has_no_standard_error():
    table = coder_agreement(_coded(["cbo", "clinic"] * 7, ["cbo", "clinic"] * 7))
    assert table.estimate.tolist() == [1, 1, 1]
    assert np.isnan(table.std_error).all()
    assert "no standard error" in table.notes[1]


def test_organizations_coded_once_do_not_enter():
    frame = pd.concat([_random(1), _coded(["cbo"] * 9, [None] * 9)], ignore_index=True)
    table = coder_agreement(frame)
    assert table.support["n_members"].tolist() == [300.0] * len(table)
    assert table.notes == ("300 of 309 organizations were classified by both coders.",)


def test_one_type_for_all_leaves_kappa_undefined():
    table = coder_agreement(_coded(["cbo"] * 5, ["cbo"] * 5))
    assert np.isnan(table.estimate).all()
    assert np.isnan(table.std_error).all()
    assert "undefined" in table.notes[1]


def test_nobody_coded_twice():
    with pytest.raises(EstimationError, match="none of 2 organizations"):
        coder_agreement(_coded(["cbo", None], [None, "cbo"]))


def test_a_code_outside_the_list():
    with pytest.raises(TableError, match="`coder_2_organization_type`: 1 of 1 rows"):
        coder_agreement(_coded(["cbo"], ["club"]))
