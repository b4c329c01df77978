"""What is written in a partner's format is read back: every row, every day, every identifier.

What a format cannot carry is named in the tests of this file, in
`tests/unit/simulate/test_partner_files.py`, and in `docs/formats/simulated_partners.md`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partner_worlds import (
    directory_world,
    exchange_world,
    fhir_world,
    hmis_world,
    rows_in_files,
    same_rows,
)

from calaim_eval.simulate.partner_files import (
    write_fhir_sdoh,
    write_hmis,
    write_hsds,
    write_icarol,
    write_plan_exchange,
)
from calaim_eval.tables import read_partner_files

randoms = st.randoms(use_true_random=False)
worlds = settings(max_examples=8, deadline=None)


def round_trip(tables, source, write, *, lost=()):
    """Write, read, and compare every table; every row of every file is in the ledger."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(tables, folder)
        n_rows = rows_in_files(folder)
        read = read_partner_files(folder, source=source)
    ledger = read.ledger.to_frame()
    is_source = ledger["stage"] == "source"
    assert ledger.loc[is_source, "n_rows"].sum() == n_rows
    assert set(ledger.loc[is_source, "reason"]) == {"used"}
    written = {name: rows for name, rows in tables.items() if len(rows)}
    assert set(read.names) == set(written)
    for name, rows in written.items():
        same_rows(read.frame(name), rows, without=lost)
    return read


@pytest.mark.parametrize("version", ["R4", "R5"])
@worlds
@given(randoms)
def test_fhir_bundles(version, random):
    """Lost: plan, county, days of authorization, acceptance and reaching (not in these worlds)."""
    tables = fhir_world(random)
    read = round_trip(
        tables, "fhir_sdoh", lambda given, to: write_fhir_sdoh(given, to, version=version)
    )
    told = pd.concat([tables["referral"], tables["social_referral"]])["status_reason"]
    if told.notna().any():
        assert read.version == f"FHIR {version}" or "R4, FHIR R5" in read.version


@worlds
@given(randoms)
def test_exchange_files(random):
    """Lost: the number of a referral, and which organizations the study knows."""
    tables = exchange_world(random)
    organizations = tables.pop("organization")
    lost = ("referral_id", "root_referral_id")

    def write(given, to):
        write_plan_exchange({**given, "organization": organizations}, to)

    round_trip(tables, "plan_exchange", write, lost=lost)


@pytest.mark.parametrize("version", ["2.x", "3.0", "3.1"])
@worlds
@given(randoms)
def test_hsds_packages(version, random):
    """Lost before 3.1: units; in 2.x: the day of the last change."""
    lost = {"2.x": ("last_updated_date",)}.get(version, ())
    if version != "3.1":
        lost = (*lost, "units_available", "units_in_all", "unit_name")
    read = round_trip(
        directory_world(random, "hsds"),
        "hsds",
        lambda given, to: write_hsds(given, to, version=version),
        lost=lost,
    )
    assert read.version == version


@worlds
@given(randoms)
def test_icarol_exports(random):
    """Lost: units."""
    lost = ("units_available", "units_in_all", "unit_name")
    round_trip(directory_world(random, "icarol"), "icarol", write_icarol, lost=lost)


@pytest.mark.parametrize("version", ["FY2024", "FY2026"])
@worlds
@given(randoms)
def test_hmis_exports(version, random):
    """Lost: nothing in these worlds; FY2024 has no sex, so they have none either."""
    mark = "hmis:S7:"
    read = round_trip(
        hmis_world(random, version, mark),
        "hmis",
        lambda given, to: write_hmis(given, to, version=version, scope="S7"),
    )
    assert read.version == version
