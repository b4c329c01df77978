"""What claims and feeds say of members before any window is looked at.

It follows from the extract and from the rules of visits and stays. So it can be worked out once
and read back for every panel of the extract (`care_files`), or inside a panel's own recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ibis

from calaim_eval.errors import TableError
from calaim_eval.panel.claim_lines import ToldLines, told_lines
from calaim_eval.panel.claim_standing import FINAL, with_standing
from calaim_eval.panel.fates import claim_sums
from calaim_eval.panel.measures import EXPOSURES, MEASURES
from calaim_eval.panel.population_evidence import EVENTS, evidence_line_kinds
from calaim_eval.panel.program_contacts import (
    contacts,
    is_program_code,
    program_lines,
    unclassified_by_code,
)

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.measure import LineKind, Measure

CLAIM_TABLES = ("medical_claim", "pharmacy_claim")


@dataclass(frozen=True)
class ClaimStage:
    """Claims of a bucket, settled and told apart.

    Attributes
    ----------
    lines : ToldLines
    contacts : Table
        `program_contacts.contacts`, of members that are known.
    sums : Mapping[str, Table]
        By claim table that is there `fates.claim_sums`.
    acting_alone : Mapping[str, Table]
        By the same: one row, `n`, voids and replacements that name no other claim.
    unclassified : Table
        `program_contacts.unclassified_by_code`.
    fills : Table or None
        Lines of `pharmacy_claim` that count; None where they were counted before.
    pieces : Mapping[str, Table]
        Pieces of `Care` that were worked out before, by name.
    numbers : Mapping[str, int]
        Measures whose events were counted before, with their number in the piece `events`.
    """

    lines: ToldLines
    contacts: Table
    sums: Mapping[str, Table]
    acting_alone: Mapping[str, Table]
    unclassified: Table
    fills: Table | None = None
    pieces: Mapping[str, Table] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)


def claim_stage(bucket: Bucket, measures: Sequence[Measure]) -> ClaimStage:
    """Settle the claims of a bucket and tell their lines apart, for some measures."""
    claims = {name: with_standing(bucket, name) for name in CLAIM_TABLES}
    kinds = [is_program_code, *_line_kinds(measures)]
    lines = told_lines(bucket, claims["medical_claim"], kinds)
    programs = program_lines(bucket, lines)
    met = contacts(bucket, programs)
    given = [name for name in CLAIM_TABLES if bucket.has(name)]
    fills = claims["pharmacy_claim"]
    return ClaimStage(
        lines,
        met.filter(met["member"].notnull()),
        {name: claim_sums(claims[name]) for name in given},
        {name: _acting_alone(bucket.kept(f"{name}_actions")) for name in given},
        unclassified_by_code(bucket, programs),
        fills.filter(fills["standing"] == FINAL),
    )


def _acting_alone(actions: Table) -> Table:
    """How many voids and replacements name no other claim."""
    alone = actions.filter(actions["target"] == actions["claim_id"])
    return alone.agg(n=alone.count())


def _line_kinds(measures: Sequence[Measure]) -> list[LineKind]:
    """Kinds of claim line that the measures and the populations ask for, each once.

    A measure of a reader's own may use any piece of `Care`: then every kind is asked for.
    """
    of_use = [MEASURES[name] for name in EVENTS if name in MEASURES]
    package = {**MEASURES, **EXPOSURES}
    if any(package.get(measure.name) is not measure for measure in measures):
        of_use = list(MEASURES.values())
    asked = [kind for measure in (*measures, *of_use) for kind in measure.line_kinds]
    kinds: dict[str, LineKind] = {}
    for kind in (*asked, *evidence_line_kinds()):
        if kinds.setdefault(kind.__name__, kind) is not kind:
            raise TableError(
                f"two kinds of claim line are named `{kind.__name__}`.\n"
                "  Give the function in your measure's `line_kinds` a name of its own."
            )
    return list(kinds.values())


def counted_events(stage: ClaimStage, places: Mapping[str, int]) -> Table:
    """Events counted before, of some measures by name, with the place of each as `measure`."""
    numbers = [stage.numbers[name] for name in places]
    lookup = ibis.memtable(
        {"number": numbers, "place": list(places.values())},
        schema=ibis.schema({"number": "int16", "place": "int16"}),
    )
    rows = stage.pieces["events"]
    joined = rows.join(lookup, rows["measure"] == lookup["number"])
    return joined.select("member", "month", "value", measure="place")
