"""Second pass, one member bucket at a time: what rows of different tables say about each other.

Repeats are dropped, rows of members without eligibility are set aside, persons get their race and
ethnicity group, and the bucket's parts are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.engine import write_parquet
from calaim_eval.engine.paths import exactly
from calaim_eval.schema.race_ethnicity import CODE_COLUMNS, UNLISTED_RACE
from calaim_eval.schema.race_rule import RaceRule
from calaim_eval.schema.rules import REASON
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.repeats import EXACT, Resolved, key_reason, resolve_repeats
from calaim_eval.tables.stage import READ
from calaim_eval.tables.tables import column_names

if TYPE_CHECKING:
    import ibis

AFTER_DEATH = "span starts after the member's death (kept; the panel ends coverage at death)"
NO_MEMBER = "member not in `eligibility`"
NO_SPAN = "member not in `eligibility` (kept)"
_FIRST = ("person", "eligibility")
_RACE_LOOKUP = "race_ethnicity_of_codes"


def settle_bucket(
    staged: Mapping[str, ibis.Table],
    *,
    part_path: Callable[[str], Path],
    backend: ibis.BaseBackend,
    race: RaceRule | None = None,
) -> RowLedger:
    """Write the parts of one bucket.

    Parameters
    ----------
    staged : mapping of str to ibis.Table
        Marked rows of the bucket by table, as `stage.mark_rows` gives them.
    part_path : callable
        Table name to the part to write.
    backend : ibis.BaseBackend
    race : RaceRule, optional
        The one group of race and ethnicity of each person.

    Returns
    -------
    RowLedger
        Rows used and rows set aside in this pass; remarks under the stage ``"notice"``.
    """
    ledger = RowLedger()
    order = [name for name in _FIRST if name in staged]
    order += [name for name in staged if name not in _FIRST]
    written: dict[str, ibis.Table] = {}
    for name in order:
        kept = staged[name].filter(staged[name][REASON].isnull()).select(*TABLES[name].fields)
        resolved = resolve_repeats(kept, TABLES[name], backend=backend, scratch=f"repeats_{name}")
        _count_repeats(resolved, name, ledger)
        rows = _set_aside_strangers(resolved.rows, name, written, backend, ledger)
        if name == "person":
            rows = _add_race_ethnicity(rows, backend, ledger, race or RaceRule())
        write_parquet(_sorted(rows, name), part_path(name), backend=backend)
        written[name] = backend.read_parquet(exactly(part_path(name)))
        ledger.add(name, USED, _n_rows(part_path(name)), stage=READ)
        for held in (*resolved.scratch, *([_RACE_LOOKUP] if name == "person" else [])):
            backend.drop_table(held)
    _remark_on_members(written, backend, ledger)
    return ledger


def _count_repeats(resolved: Resolved, name: str, ledger: RowLedger) -> None:
    """Count rows that are there more than once."""
    ledger.add(name, EXACT, resolved.n_exact, stage=READ)
    if resolved.n_key:
        ledger.add(name, key_reason(TABLES[name]), resolved.n_key, stage=READ)


def _set_aside_strangers(
    rows: ibis.Table,
    name: str,
    written: Mapping[str, ibis.Table],
    backend: ibis.BaseBackend,
    ledger: RowLedger,
) -> ibis.Table:
    """Set aside rows of members who have no eligibility."""
    has_members = "member_id" in rows.columns and name not in _FIRST
    if not has_members or "eligibility" not in written:
        return rows
    members = written["eligibility"].select("member_id").distinct()
    n_rows = int(backend.execute(rows.anti_join(members, "member_id").count()))
    ledger.add(name, NO_MEMBER, n_rows, stage=READ)
    return rows.semi_join(members, "member_id") if n_rows else rows


def _add_race_ethnicity(
    persons: ibis.Table, backend: ibis.BaseBackend, ledger: RowLedger, race: RaceRule
) -> ibis.Table:
    """Persons with their derived group: derived once per combination of codes, then joined."""
    import ibis

    codes = {column: persons[column].fill_null("") for column in CODE_COLUMNS}
    keyed = persons.mutate(codes_key=ibis.literal("|").join(list(codes.values())))
    combinations = keyed.group_by("codes_key").agg(
        **{column: codes[column].min() for column in CODE_COLUMNS}, n_rows=keyed.count()
    )
    frame = backend.execute(combinations)
    derived = race.derive(frame)
    unlisted = derived["has_unlisted_code"].astype(bool)
    ledger.note("person", UNLISTED_RACE, int(frame.loc[unlisted, "n_rows"].sum()))
    lookup = frame[["codes_key"]].assign(race_ethnicity=derived["race_ethnicity"]).astype("str")
    joined = keyed.left_join(backend.create_table(_RACE_LOOKUP, lookup, temp=True), "codes_key")
    return joined.select(*column_names("person"))


def _sorted(rows: ibis.Table, name: str) -> ibis.Table:
    """Columns in declared order; rows by member and then by every key and date, for same bytes."""
    columns = column_names(name)
    first = [column for column in ("member_id", *TABLES[name].key) if column in columns]
    dates = [column for column in columns if column.endswith("_date")]
    order = dict.fromkeys([*first, *dates, *columns])
    return rows.select(*columns).order_by(list(order))


def _n_rows(part: Path) -> int:
    """Rows of a part, as its file says."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(part).num_rows)


def _remark_on_members(
    written: Mapping[str, ibis.Table], backend: ibis.BaseBackend, ledger: RowLedger
) -> None:
    """Remark on persons without eligibility, and on spans that start after death."""
    if not {"person", "eligibility"} <= set(written):
        return
    persons, spans = written["person"], written["eligibility"]
    without_span = persons.anti_join(spans.select("member_id").distinct(), "member_id")
    ledger.note("person", NO_SPAN, int(backend.execute(without_span.count())))
    deaths = persons.filter(persons.death_date.notnull()).select("member_id", "death_date")
    late = spans.inner_join(deaths, "member_id")
    late = late.filter(late.enrollment_start_date > late.death_date)
    ledger.note("eligibility", AFTER_DEATH, int(backend.execute(late.count())))
