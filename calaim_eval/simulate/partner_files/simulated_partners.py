"""The files partners of a simulated study would hold, and what they were written from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.engine import atomic_folder
from calaim_eval.errors import StudyFileError
from calaim_eval.simulate.partner_files.directory_files import write_hsds, write_icarol
from calaim_eval.simulate.partner_files.exchange_files import write_plan_exchange
from calaim_eval.simulate.partner_files.fhir_files import write_fhir_sdoh
from calaim_eval.simulate.partner_files.hmis_files import write_hmis
from calaim_eval.simulate.partner_files.homeless_services import homeless_services
from calaim_eval.simulate.partner_files.resources import directory_of_contracts
from calaim_eval.simulate.partner_files.survey_files import write_survey_export
from calaim_eval.simulate.people import HOMELESS_CODES

Tables = Mapping[str, pd.DataFrame]
Writer = Callable[[Tables, Path], object]
_FORMATS: Mapping[str, tuple[str, Writer]] = MappingProxyType(
    {
        "hmis_fy2024": ("hmis", lambda tables, to: write_hmis(tables, to, version="FY2024")),
        "hmis_fy2026": ("hmis", lambda tables, to: write_hmis(tables, to, version="FY2026")),
        "fhir_sdoh": ("fhir_sdoh", write_fhir_sdoh),
        "plan_exchange": ("plan_exchange", write_plan_exchange),
        "hsds_2x": ("hsds", lambda tables, to: write_hsds(tables, to, version="2.x")),
        "hsds_30": ("hsds", lambda tables, to: write_hsds(tables, to, version="3.0")),
        "hsds_31": ("hsds", lambda tables, to: write_hsds(tables, to, version="3.1")),
        "icarol": ("icarol", write_icarol),
        "survey_qualtrics": ("survey", write_survey_export),
        "survey_redcap": (
            "survey",
            lambda tables, to: write_survey_export(tables, to, tool="redcap"),
        ),
    }
)
PARTNER_FILES = tuple(_FORMATS)
"""Names of the folders that can be written."""
_AGAIN = {
    "fhir_sdoh": "  # in place of raw/referral",
    "plan_exchange": "  # in place of raw/referral and raw/program_service, for two plans",
    "survey": "  # in place of raw/survey_response",
    "icarol": "  # in place of hsds",
}
"""What a format holds again, said behind its line."""
_EXCHANGED = ("identified", "outreach", "service")
_EXCHANGING_PLANS = 2
_RAW = ("organization", "contract", "referral", "program_service", "person", "survey_response")


@dataclass(frozen=True, eq=False)
class SimulatedPartners:
    """Where the files are, of which format, and the declared tables they were written from.

    Attributes
    ----------
    folders : mapping of str to Path
        Folder by name, such as ``"hmis_fy2026"``.
    sources : mapping of str to str
        Format that `read_partner_files` takes, by the same names.
    tables : mapping of str to mapping
        Declared tables by name of the folder.
    """

    folders: Mapping[str, Path]
    sources: Mapping[str, str]
    tables: Mapping[str, Tables]

    def __repr__(self) -> str:
        """Names and counts only."""
        counts = ", ".join(
            f"{name} {sum(len(rows) for rows in tables.values()):,} rows"
            for name, tables in self.tables.items()
        )
        return f"SimulatedPartners({counts})"


def simulate_partner_files(
    folder: Path | str, *, formats: Sequence[str] = PARTNER_FILES, seed: int = 1
) -> SimulatedPartners:
    """Write the files that partners of a simulated study would hold, in their own formats.

    Use it to try readers, links and study files before a partner sends anything, and as files to
    show a partner what is meant.

    Parameters
    ----------
    folder : Path or str
        Folder of a simulation in Parquet: `raw/` is read, and ``partners/<name>/`` written.
        Folders of these names are replaced.
    formats : sequence of str
        Names of `PARTNER_FILES`; all by default.
    seed : int
        Chance of the homeless-services system, which the simulation itself does not have.

    Returns
    -------
    SimulatedPartners
        Folders, formats, and the tables that were written: what reading them should give, but for
        what a format cannot carry.

    Raises
    ------
    StudyFileError
        There is no simulation in Parquet there, or a format is not known.
    OutputError
        A folder of that name holds files that this function did not write.

    Notes
    -----
    Referrals go into FHIR bundles, records of the program and root referrals of the two plans with
    most of them into exchange files, contracts into resource directories, answers into survey
    exports, and members who are homeless, with others who are no members, into HMIS exports.

    Examples
    --------
    >>> import tempfile
    >>> from calaim_eval.simulate import simulate_medi_cal, simulate_partner_files
    >>> study = simulate_medi_cal(Path(tempfile.mkdtemp()) / "demo", members=300, seed=1)
    >>> simulate_partner_files(study.folder, formats=["icarol"]).sources["icarol"]
    'icarol'
    """
    unknown = [name for name in formats if name not in _FORMATS]
    if unknown:
        raise StudyFileError(
            f"no partner files are named '{unknown[0]}'.\n"
            f"  Allowed: {', '.join(f'`{name}`' for name in _FORMATS)}."
        )
    raw = _raw_tables(Path(folder))
    made: dict[str, Tables] = {}
    folders: dict[str, Path] = {}
    for name in formats:
        made[name] = _tables(name, raw, np.random.default_rng(seed))
        folders[name] = Path(folder) / "partners" / name
        with atomic_folder(folders[name]) as filling:
            _FORMATS[name][1](made[name], filling)
    return SimulatedPartners(folders, {name: _FORMATS[name][0] for name in formats}, made)


def _raw_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Tables of the simulation that partners' files are made from."""
    lacking = [name for name in _RAW if not (folder / "raw" / f"{name}.parquet").is_file()]
    if lacking or not (folder / "truth" / "simulation.json").is_file():
        raise StudyFileError(
            f"`{folder}` holds no simulation in Parquet.\n"
            "  Make one there: calaim-eval simulate, or simulate_medi_cal()."
        )
    return {name: pd.read_parquet(folder / "raw" / f"{name}.parquet") for name in _RAW}


def _tables(name: str, raw: Tables, rng: np.random.Generator) -> Tables:
    """Declared tables that go into one folder."""
    if name.startswith("hmis"):
        records = raw["program_service"]
        is_homeless = records["population_of_focus"].isin(HOMELESS_CODES)
        homeless = records.loc[is_homeless, "member_id"].drop_duplicates()
        item = "HispanicLatinaeo" if name.endswith("2024") else "HispanicLatinao"
        return homeless_services(
            raw["person"], homeless, raw["organization"], rng=rng, hispanic_item=item
        )
    if name == "fhir_sdoh":
        return {"referral": raw["referral"]}
    if name == "plan_exchange":
        return _exchanged(raw)
    if name.startswith("survey"):
        return {"survey_response": raw["survey_response"]}
    return directory_of_contracts(raw["contract"], raw["organization"])


def _exchanged(raw: Tables) -> Tables:
    """Records and referrals of the plans that have most referrals; who is served is enrolled."""
    counts = raw["referral"]["plan"].value_counts()
    plans = sorted(counts.index, key=lambda plan: (-counts[plan], plan))[:_EXCHANGING_PLANS]
    records = raw["program_service"]
    records = records[records["record_type"].isin(_EXCHANGED) & records["plan"].isin(plans)]
    served = records[(records["record_type"] == "service") & (records["service"] == "ecm")]
    first = served.sort_values(["record_date", "record_id"], kind="stable").drop_duplicates(
        ["member_id", "plan", "organization_id"]
    )
    enrolled = pd.DataFrame(
        {
            "member_id": first["member_id"],
            "plan": first["plan"],
            "organization_id": first["organization_id"],
            "population_of_focus": first["population_of_focus"],
            "program_status": "Enrolled",
            "program_start_date": pd.to_datetime(first["record_date"]),
            "reported_date": pd.to_datetime(first["record_date"]) + pd.offsets.MonthEnd(0),
        }
    )
    return {
        "program_service": records.reset_index(drop=True),
        "program_enrollment": enrolled.reset_index(drop=True),
        "referral": raw["referral"][raw["referral"]["plan"].isin(plans)].reset_index(drop=True),
        "organization": raw["organization"],
    }


def partner_lines(partners: SimulatedPartners) -> str:
    """Lines of a study file that name the folders, the newest version of each format.

    Formats that hold again what `raw/` or another folder has are commented out: counted twice, a
    referral would be two.
    """
    first = {source: name for name, source in partners.sources.items()}
    lines = [
        f"{'# ' if source in _AGAIN else ''}{source} = {json.dumps(f'partners/{name}')}"
        f"{_AGAIN.get(source, '')}"
        for source, name in sorted(first.items())
    ]
    return "\n".join(["[input.partners]", *lines])
