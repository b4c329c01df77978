"""The made-up quarter, as results, as a release, and as a report sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calaim_eval.results import Result
from tests.unit.report.made_up_quarter import PROVENANCE, make_results

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released


@pytest.fixture(scope="session")
def quarter_results() -> dict[str, Result]:
    """Unreleased results of the made-up quarter."""
    return make_results()


@pytest.fixture(scope="session")
def release_folder(quarter_results, tmp_path_factory):
    """The made-up quarter, released to a folder."""
    from calaim_eval.disclosure import release

    folder = tmp_path_factory.mktemp("release")
    release(quarter_results, quarter="2024Q4", to=folder, provenance=PROVENANCE)
    return folder / "2024Q4"


@pytest.fixture(scope="session")
def released(release_folder) -> Released:
    """The made-up quarter as a report sees it."""
    from calaim_eval.report import open_release

    return open_release(release_folder)
