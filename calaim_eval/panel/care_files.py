"""Care counted before a panel: the files of `count_care`, and what they were made from.

They follow from the extract, the definitions of the measures and the rules of visits and stays: not
from the window, nor from the rules of coverage. They lie beside the parts of the tables, by bucket;
who reads a table's folder does not see them. What they were made from is in their names, so that
two that count by other rules at a time never write, nor read, each other's.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine import atomic_file
from calaim_eval.engine.failures import output_error
from calaim_eval.panel.claim_lines import ToldLines
from calaim_eval.panel.claim_stage import CLAIM_TABLES, ClaimStage
from calaim_eval.panel.measures import EXPOSURES, MEASURES
from calaim_eval.panel.member_months import FORMAT_VERSION as PANEL_VERSION
from calaim_eval.panel.resume import content_stamps, read_share, spill_folder
from calaim_eval.panel.rules import PanelRules
from calaim_eval.tables.tables import DERIVED_FOLDER

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.measure import Measure
    from calaim_eval.tables import Tables

FORMAT_VERSION = 2
"""Raised when the files change: those of another are made again."""
_LEFT_BEHIND_S = 24 * 3600
"""Seconds after which an unfinished file is one that a killed run left."""

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
    """What a bucket's files hold; but for the stamp the same for every bucket of an extract.

    Attributes
    ----------
    schemas : tuple of (str, tuple of (str, str))
        Columns and types of every file, by its name.
    events : tuple of str
        Measures that are in `events`, in the order of their numbers.
    kinds : tuple of (str, int)
        Kinds of claim line that are in `lines`, with the number of each.
    stamp : str
        What the files were made from.
    """

    schemas: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    events: tuple[str, ...]
    kinds: tuple[tuple[str, int], ...]
    stamp: str = field(compare=False)


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


def care_file(tables: Tables, name: str, number: int, stamp: str) -> Path:
    """One file of a bucket, made from what the stamp says."""
    return care_folder(tables) / name / f"part-{number:04d}-{stamp[:16]}.parquet"


def counts_file(tables: Tables, number: int) -> Path:
    """What a bucket's files were made from and hold; written last."""
    return care_folder(tables) / f"bucket-{number:04d}.json"


def care_stamps(tables: Tables, rules: PanelRules) -> list[str]:
    """Stamp of each bucket: its input's content, and what matters of rules and definitions."""
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
    files = (care_file(tables, name, number, stamp) for name in file_names(tables.names))
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
        file = care_file(tables, name, number, told["stamp"])
        schema = ibis.Schema.from_pyarrow(pq.read_schema(file))
        types = tuple((column, str(dtype.copy(nullable=True))) for column, dtype in schema.items())
        schemas.append((name, types))
    kinds = tuple((name, int(place)) for name, place in told["kinds"].items())
    return CountedCare(tuple(schemas), tuple(told["events"]), kinds, told["stamp"])


def drop_replaced(tables: Tables, number: int, stamp: str) -> None:
    """Remove a bucket's files that were made from something else than the stamp says."""
    kept = {care_file(tables, name, number, stamp) for name in file_names(tables.names)}
    for file in care_folder(tables).glob(f"*/part-{number:04d}-*.parquet"):
        if file not in kept:
            with suppress(OSError):
                file.unlink(missing_ok=True)


@contextmanager
def counting_spill(tables: Tables) -> Iterator[Path]:
    """Folder for the engine's member rows while it counts, of this run alone; gone after it."""
    folder = spill_folder(care_folder(tables))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mine = Path(tempfile.mkdtemp(dir=folder))
    except OSError as problem:
        raise output_error(problem, f"writing `{folder}`") from None
    try:
        _drop_left_behind(folder)
        yield mine
    finally:
        shutil.rmtree(mine, ignore_errors=True)


def _drop_left_behind(spill: Path) -> None:
    """Remove what killed runs left: unfinished files and rows in between, a day old."""
    for path in (*spill.iterdir(), *spill.parent.glob("*/.part-*.tmp")):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime < _LEFT_BEHIND_S:
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def care_sources(tables: Tables, number: int, counted: CountedCare) -> dict[str, list[Path]]:
    """Files that a recipe reads for a bucket."""
    return {
        source_name(name): [care_file(tables, name, number, counted.stamp)]
        for name in file_names(tables.names)
    }


def copy_exposure(tables: Tables, number: int, counted: CountedCare, part: Path) -> None:
    """Make the part of `member_exposure` of a bucket."""
    with atomic_file(part) as temporary:
        shutil.copyfile(care_file(tables, EXPOSURE, number, counted.stamp), temporary)


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
