"""What in the data identifies a population of focus: the code list as rules and line kinds.

Each row of the code list `population_evidence` is one rule: so many days, or events, of one kind of
evidence within so many months identify a member of an age group as one of a population. A rule
tests the criterion that data can show, which is seldom the whole definition; the row says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from calaim_eval.errors import TableError
from calaim_eval.panel.code_patterns import DIAGNOSES
from calaim_eval.schema.codes import load_codes

if TYPE_CHECKING:
    from ibis import Value

    from calaim_eval.panel.claim_lines import ClaimLines
    from calaim_eval.panel.measure import LineKind

AgeGroup = Literal["adult", "child_youth"]
ADULT_AGE = 21
"""First age in years of an adult (column `age_rule` of the code list `population_of_focus`)."""

_LINE_COLUMNS = {
    "diagnosis": DIAGNOSES,
    "place_of_service": ("place_of_service_code",),
    "procedure_code": ("hcpcs_code",),
    "type_of_bill": ("bill_type_code",),
    "revenue_code": ("revenue_center_code",),
}
EVENTS = ("ed_visits", "inpatient_stays", "custody_release")
"""Evidence that is counted in events, not read off a claim line."""

AID_CODE = "aid_code"
"""Evidence in the months of coverage."""


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """One way to see that a member is of a population of focus.

    Attributes
    ----------
    population : str
        Code of the list `population_of_focus`.
    age_group : {"adult", "child_youth"}
        Age on the first day of the month of the evidence: 21 and over, or under.
    evidence : str
        Name of the kind of evidence.
    n_needed, within_months : int
        Days (claim lines) or events needed in the month and the months before it, so many in all.
    """

    population: str
    age_group: AgeGroup
    evidence: str
    n_needed: int
    within_months: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """One kind of evidence.

    Attributes
    ----------
    name : str
    field : str
        ``"diagnosis"`` (any of the five), another column of the claim lines, ``"aid_code"``, or one
        of `EVENTS`.
    pattern : str
        Regular expression of the codes; empty for events.
    """

    name: str
    field: str
    pattern: str

    @property
    def is_on_lines(self) -> bool:
        """Whether it is read off claim lines."""
        return self.field in _LINE_COLUMNS

    def line_kind(self) -> LineKind:
        """Test of a claim line for the evidence; the same function at every call."""
        return _line_kind(self)


@cache
def _line_kind(evidence: Evidence) -> LineKind:
    """Test of a claim line for one kind of evidence."""
    columns = _LINE_COLUMNS[evidence.field]

    def is_evidence(lines: ClaimLines) -> Value:
        return lines.any_has(evidence.pattern, columns)

    is_evidence.__name__ = f"is_{evidence.name}"
    return is_evidence


@cache
def evidence_rules() -> tuple[EvidenceRule, ...]:
    """Rules of the code list, in its order."""
    rows = load_codes("population_evidence").itertuples(index=False)
    return tuple(
        EvidenceRule(
            str(row.population),
            "adult" if row.age_group == "adult" else "child_youth",
            str(row.evidence),
            int(str(row.n_needed)),
            int(str(row.within_months)),
        )
        for row in rows
    )


@cache
def evidences() -> tuple[Evidence, ...]:
    """Kinds of evidence of the code list, each once, in its order.

    Raises
    ------
    TableError
        Two rows give one kind of evidence different codes, or a field that nothing reads.
    """
    found: dict[str, Evidence] = {}
    for row in load_codes("population_evidence").itertuples(index=False):
        each = Evidence(str(row.evidence), str(row.claim_field), str(row.codes_regex))
        known = (*_LINE_COLUMNS, *EVENTS, AID_CODE)
        if each.field not in known or found.setdefault(each.name, each) != each:
            listed = ", ".join(f"`{field}`" for field in known)
            raise TableError(
                f"code list `population_evidence`: evidence `{each.name}` has two meanings, or "
                f"its `claim_field` is none of {listed}.\n  Give each name one field and pattern."
            )
    return tuple(found.values())


def evidence_line_kinds() -> list[LineKind]:
    """Tests of claim lines for all evidence that is on them."""
    return [each.line_kind() for each in evidences() if each.is_on_lines]
