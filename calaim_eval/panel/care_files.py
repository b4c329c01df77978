"""Care counted before a panel: the files of `count_care`, and what they were made from.

They follow from the extract, the definitions of the measures and the rules of visits and stays: not
from the window, nor from the rules of coverage. They lie beside the parts of the tables, by bucket;
who reads a table's folder does not see them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine import atomic_file
from calaim_eval.panel.claim_lines import ToldLines
from calaim_eval.panel.claim_stage import CLAIM_TABLES, ClaimStage
from calaim_eval.panel.measures import EXPOSURES, MEASURES
from calaim_eval.panel.member_months import FORMAT_VERSION as PANEL_VERSION
from calaim_eval.panel.resume import content_stamps, read_share
from calaim_eval.panel.rules import PanelRules
from calaim_eval.tables.tables import DERIVED_FOLDER

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.measure import Measure
    from calaim_eval.tables import Tables

FORMAT_VERSION = 1
"""Raised when the files change: those of another are made again."""

PIECES = ("events", "stays", "episodes", "observation_stays", "populations")
"""Pieces of `Care`, each a file; events are those of all measures that need no window."""

CONTACTS, UNCLASSIFIED, LINES = "contacts", "unclassified", "lines"
EXPOSURE = "member_exposure"
"""The panel's table `member_exposure`, which needs no window: copied as it is."""
COVERAGE_RULES = frozenset(
    {
        "month_rule",
        "max_gap_months",
        "payer_types",
        "benefit_scope",
        "exclude_duals",
        "custody_months",
        "plan_rule",
        "run_out_months",
        "paid_claims",
    }
)
"""Rules that the files do not follow from."""


@dataclass(frozen=True)
class CountedCare:
    """What a bucket's files hold; the same for every bucket of an extract.

    Attributes
    ----------
    schemas : tuple of (str, tuple of (str, str))
        Columns and types of every file, by its name.
    events : tuple of str
        Measures that are in `events`, in the order of their numbers.
    kinds : tuple of (str, int)
        Kinds of claim line that are in `lines`, with the number of each.
    """

    schemas: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    events: tuple[str, ...]
    kinds: tuple[tuple[str, int], ...]


def every_measure() -> tuple[Measure, ...]:
    """Measures that are counted before a panel: all that the package has."""
    return (*MEASURES.values(), *EXPOSURES.values())


def sums_name(table: str) -> str:
    """File with the sums of a claim table."""
    return f"{table}_sums"


def alone_name(table: str) -> str:
    """File with the number of its voids and replacements that name no other claim."""
    return f"{table}_alone"


def file_names(given: Sequence[str]) -> list[str]:
    """Files of a bucket whose extract has some tables."""
    claims = [name for name in CLAIM_TABLES if name in given]
    of_claims = [each for name in claims for each in (sums_name(name), alone_name(name))]
    return [*PIECES, EXPOSURE, CONTACTS, UNCLASSIFIED, LINES, *of_claims]


def source_name(file: str) -> str:
    """Name under which the engine reads a file."""
    return f"counted_{file}"


def care_folder(tables: Tables) -> Path:
    """Folder of the files: of an extract's care by one set of rules."""
    return tables.folder / DERIVED_FOLDER


def care_file(tables: Tables, name: str, number: int) -> Path:
    """One file of a bucket."""
    return care_folder(tables) / name / f"part-{number:04d}.parquet"


def counts_file(tables: Tables, number: int) -> Path:
    """What a bucket's files were made from and hold; written last."""
    return care_folder(tables) / f"bucket-{number:04d}.json"


def care_stamps(tables: Tables, rules: PanelRules) -> list[str]:
    """Stamp of each bucket: its input's content, and the rules and definitions that matter."""
    mattering = {k: v for k, v in rules.to_dict().items() if k not in COVERAGE_RULES}
    return content_stamps(
        tables,
        every_measure(),
        {"care_format": FORMAT_VERSION, "format": PANEL_VERSION, "rules": mattering},
    )


def held_care(tables: Tables, number: int, stamp: str) -> dict[str, Any] | None:
    """What is told of a bucket's files, if they are all there and made from the same; else None."""
    held = read_share(counts_file(tables, number))
    if held.get("stamp") != stamp:
        return None
    files = (care_file(tables, name, number) for name in file_names(tables.names))
    return held if all(file.is_file() for file in files) else None


def counted_care(
    tables: Tables, rules: PanelRules, measures: Sequence[Measure]
) -> list[CountedCare | None]:
    """What the files of each bucket hold; None where they cannot be used for some measures.

    They hold the measures of the package; a measure of one's own is counted from the claims.
    """
    own = [each for each in measures if each not in every_measure()]
    if own or not care_folder(tables).is_dir():
        return [None] * tables.n_buckets
    held = [held_care(tables, n, stamp) for n, stamp in enumerate(care_stamps(tables, rules))]
    return [None if told is None else _described(tables, n, told) for n, told in enumerate(held)]


def _described(tables: Tables, number: int, told: Mapping[str, Any]) -> CountedCare:
    """What the files of a bucket hold."""
    import ibis
    import pyarrow.parquet as pq

    schemas = []
    for name in file_names(tables.names):
        schema = ibis.Schema.from_pyarrow(pq.read_schema(care_file(tables, name, number)))
        types = tuple((column, str(dtype.copy(nullable=True))) for column, dtype in schema.items())
        schemas.append((name, types))
    kinds = tuple((name, int(place)) for name, place in told["kinds"].items())
    return CountedCare(tuple(schemas), tuple(told["events"]), kinds)


def care_sources(tables: Tables, number: int) -> dict[str, list[Path]]:
    """Files that a recipe reads for a bucket."""
    return {
        source_name(name): [care_file(tables, name, number)] for name in file_names(tables.names)
    }


def copy_exposure(tables: Tables, number: int, part: Path) -> None:
    """Make the part of `member_exposure` of a bucket."""
    with atomic_file(part) as temporary:
        shutil.copyfile(care_file(tables, EXPOSURE, number), temporary)


def counted_stage(bucket: Bucket, counted: CountedCare) -> ClaimStage:
    """What the files of a bucket say, as expressions."""
    files: dict[str, Table] = {
        name: bucket.recipe.source(source_name(name), dict(types))
        for name, types in counted.schemas
    }
    given = [name for name in CLAIM_TABLES if sums_name(name) in files]
    return ClaimStage(
        ToldLines(files[LINES], dict(counted.kinds), is_part=True),
        files[CONTACTS],
        {name: files[sums_name(name)] for name in given},
        {name: files[alone_name(name)] for name in given},
        files[UNCLASSIFIED],
        pieces={name: files[name] for name in PIECES},
        numbers={name: number for number, name in enumerate(counted.events)},
    )
