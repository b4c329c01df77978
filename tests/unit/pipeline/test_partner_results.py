"""Places against those eligible: from the study's file to the result, or the reason why not."""

from types import SimpleNamespace

import pandas as pd
import pytest

from calaim_eval.errors import StudyFileError
from calaim_eval.pipeline.partners import measure_partners
from calaim_eval.tables.ledger import RowLedger
from tests.unit.pipeline.test_success import Given

CONTRACT = pd.DataFrame(
    {
        "contract_id": ["c1", "c2"],
        "plan": "P",
        "organization_id": ["o1", "o2"],
        "county": ["Kings", "Tulare"],
        "service": "ecm",
        "contract_start_date": "2024-01-01",
        "capacity_members": [40, 20],
    }
)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of contracts only; nothing else of it is looked at here."""
    from calaim_eval.integration import PartnerMeasures

    made = PartnerMeasures()
    assert isinstance(made.ledger, RowLedger)
    monkeypatch.setattr("calaim_eval.pipeline.partners.partner_measures", lambda *_, **__: made)
    integration = SimpleNamespace(maturation_days=90, index_rule=None, eligible="eligible.csv")
    window = SimpleNamespace(extract_date="2024-12-31")
    return SimpleNamespace(
        folder=tmp_path,
        file=SimpleNamespace(window=window, integration=integration),
        disclosure_policy="calhhs_ddg_2",
        check_quarter=lambda _: None,
    )


def write(study, rows):
    columns = ["county", "service", "eligible_low", "eligible_high"]
    pd.DataFrame(rows, columns=columns).to_csv(study.folder / "eligible.csv", index=False)


def test_places_over_those_eligible_are_about_organizations(study):
    write(study, [("Kings", "ecm", 100, 200), ("Tulare", "ecm", 5, 50)])
    table = measure_partners(study, Given(contract=CONTRACT), "2024Q4")["capacity_adequacy"]
    assert table.about == "organizations"
    # An estimate of five is none, and leaves with its other end.
    assert table.to_frame()["county"].unique().tolist() == ["Kings"]
    assert table.numerator.tolist() == [40, 40]
    assert table.denominator.tolist() == [100, 200]
    assert "Cells with an estimate below 11 members are left out: 1." in table.notes


def test_the_reason_is_kept_where_nothing_can_be_made(study):
    write(study, [("Kings", "ecm", 5, 50)])
    made = measure_partners(study, Given(contract=CONTRACT), "2024Q4")
    assert "below 11 members" in made.skipped["capacity_adequacy"]
    made = measure_partners(study, Given(), "2024Q4")
    assert "`contract` was not provided" in made.skipped["capacity_adequacy"]


def test_an_absent_file_stops_the_study(study):
    with pytest.raises(StudyFileError, match=r"`integration\.eligible` names `eligible\.csv`"):
        measure_partners(study, Given(contract=CONTRACT), "2024Q4")
