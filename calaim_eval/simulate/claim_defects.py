"""Defects of claim files: each counted, none changing what truly happened.

Replaced, voided and denied claims are added around the true ones, so that settling them by the
rules gives back exactly the true claims.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.claim_context import ClaimContext
from calaim_eval.simulate.columns import MISSING, NO_DAY
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.lines import Lines, n_lines, stack_lines, take_lines
from calaim_eval.simulate.parameters import Parameters

_FIRST_STRANGER = 900_000_000
_DIRTY = (
    ("hcpcs_code", str.lower),
    ("hcpcs_code", " {} ".format),
    ("hcpcs_modifier_1", str.lower),
    ("revenue_center_code", "{} ".format),
    ("place_of_service_code", " {}".format),
)


def add_defects(
    lines: Lines,
    context: ClaimContext,
    coverage: Coverage,
    *,
    parameters: Parameters,
    injected: Counter[str],
) -> Lines:
    """Add defects to the true lines of a chunk, sorted by claim."""
    injected["claim_lines_true"] += n_lines(lines)
    lines = _leave_out_late(lines, context, injected)
    injected["claim_lines_true_in_extract"] += n_lines(lines)
    starts = np.flatnonzero(np.r_[True, np.diff(lines["claim"]) != 0])
    claim_of_line = np.cumsum(np.r_[True, np.diff(lines["claim"]) != 0]) - 1
    pick = _ClaimPicker(lines, starts, claim_of_line, context)
    added = [
        _replaced(pick, parameters, injected),
        *_voided(pick, parameters, injected),
        _denied(pick, parameters, injected),
        _outside_coverage(pick, coverage, parameters, injected),
        _before_window(pick, parameters, injected),
        _strangers(pick, parameters, injected),
        _orphan_voids(pick, parameters, injected),
    ]
    everything = stack_lines([lines, *added])
    _say_original(everything, context)
    _soil_codes(everything, context, parameters, injected)
    everything = stack_lines([everything, _duplicates(everything, context, parameters, injected)])
    injected["claim_lines_written"] += n_lines(everything)
    order = np.lexsort(
        (everything["line"], everything["claim"], everything["start"], everything["member"])
    )
    return take_lines(everything, order)


class _ClaimPicker:
    """Chooses whole claims among the true ones and copies their lines."""

    def __init__(
        self,
        lines: Lines,
        starts: NDArray[np.int64],
        claim_of_line: NDArray[np.int64],
        context: ClaimContext,
    ) -> None:
        self.lines = lines
        self.context = context
        self.claim_of_line = claim_of_line
        book = context.codebook
        interim = book.codes("bill_type_code", ["112", "113", "114"])
        is_stay = lines["admission"][starts] != NO_DAY
        self.is_interim = np.isin(lines["bill_type_code"][starts], interim)
        self.is_free = ~lines["is_program"][starts] & ~is_stay
        self.is_taken = np.zeros(len(starts), dtype=bool)

    def choose(self, share: float, can: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Choose claims that no other defect has taken; shape (n_claims,)."""
        draw = self.context.rng.random(len(can)) < share
        chosen: NDArray[np.bool_] = draw & can & ~self.is_taken
        self.is_taken |= chosen
        return chosen

    def copy(self, chosen: NDArray[np.bool_]) -> tuple[Lines, NDArray[np.int64], NDArray[np.int64]]:
        """Copy the chosen claims under new numbers: lines, their rows, new number by claim."""
        rows = np.flatnonzero(chosen[self.claim_of_line])
        numbers = np.full(len(chosen), MISSING, dtype=np.int64)
        numbers[chosen] = self.context.numbers.take(int(chosen.sum()))
        copied = take_lines(self.lines, rows)
        copied["claim"] = numbers[self.claim_of_line[rows]]
        return copied, rows, numbers

    def status(self, text: str) -> int:
        """Code of a claim status."""
        return self.context.codebook.code("claim_status", text)


def _leave_out_late(lines: Lines, context: ClaimContext, injected: Counter[str]) -> Lines:
    """Claims paid after the extract are not in the files."""
    in_extract = lines["paid"] <= context.calendar.extract_day
    injected["claim_lines_paid_after_extract"] += int((~in_extract).sum())
    return take_lines(lines, np.flatnonzero(in_extract))


def _frequency(lines: Lines, context: ClaimContext, digit: str) -> NDArray[np.int32]:
    """Bill types with the frequency digit changed; professional claims have none."""
    words = context.codebook.words["bill_type_code"]
    table = np.array([words.code(text[:-1] + digit) for text in words.texts], dtype=np.int32)
    bill = lines["bill_type_code"]
    if not len(table):
        return bill.copy()
    return np.where(bill >= 0, table[np.maximum(bill, 0)], MISSING).astype(np.int32)


def _replaced(pick: _ClaimPicker, parameters: Parameters, injected: Counter[str]) -> Lines:
    """An earlier, wrong version of a claim; the true one becomes its replacement.

    A few were replaced twice: original, first replacement, true claim.
    """
    can = ~pick.is_interim
    once = pick.choose(parameters.value("messiness_share", "claim_replaced"), can)
    twice = pick.choose(parameters.value("messiness_share", "claim_replaced_twice"), can)
    lines, context = pick.lines, pick.context
    wrong, rows, numbers = pick.copy(once | twice)
    wrong["cents"] = wrong["cents"] + wrong["cents"] // 3
    wrong["paid"] = wrong["paid"] - 5
    wrong["claim_status"][:] = pick.status("original")
    between, between_rows, between_numbers = pick.copy(twice)
    between["cents"] = between["cents"] // 2
    between["paid"] = between["paid"] - 2
    between["claim_status"][:] = pick.status("replacement")
    between["original"] = numbers[pick.claim_of_line[between_rows]]
    between["bill_type_code"] = _frequency(between, context, "7")
    previous = np.where(between_numbers >= 0, between_numbers, numbers)
    lines["original"][rows] = previous[pick.claim_of_line[rows]]
    lines["claim_status"][rows] = pick.status("replacement")
    lines["bill_type_code"][rows] = _frequency(take_lines(lines, rows), context, "7")
    injected["claim_replaced"] += int(once.sum())
    injected["claim_replaced_twice"] += int(twice.sum())
    injected["claim_lines_replaced"] += len(rows) + len(between_rows)
    return stack_lines([wrong, between])


def _voided(pick: _ClaimPicker, parameters: Parameters, injected: Counter[str]) -> list[Lines]:
    """A claim billed in error on another day, and the void that cancels it."""
    share = parameters.value("messiness_share", "claim_billed_in_error_voided")
    chosen = pick.choose(share, pick.is_free)
    error, _, numbers = pick.copy(chosen)
    shift = np.where(error["start"] - 9 >= pick.context.calendar.starts[0], -9, 9)
    error["start"] = (error["start"] + shift).astype(np.int32)
    error["end"] = (error["end"] + shift).astype(np.int32)
    void = {name: column.copy() for name, column in error.items()}
    first = int(numbers[chosen][0]) if chosen.any() else 0
    fresh = pick.context.numbers.take(int(chosen.sum()))
    void["claim"] = fresh[error["claim"] - first] if chosen.any() else error["claim"]
    void["original"] = error["claim"]
    void["cents"] = -error["cents"]
    void["paid"] = np.minimum(error["paid"] + 15, pick.context.calendar.extract_day).astype(
        np.int32
    )
    void["bill_type_code"] = _frequency(void, pick.context, "8")
    is_by_bill = (void["bill_type_code"] >= 0) & (void["claim"] % 2 == 0)
    void["claim_status"] = np.where(is_by_bill, MISSING, pick.status("void")).astype(np.int32)
    injected["claim_billed_in_error_voided"] += int(chosen.sum())
    injected["claim_lines_voided"] += n_lines(error)
    injected["claim_lines_void"] += n_lines(void)
    return [error, void]


def _denied(pick: _ClaimPicker, parameters: Parameters, injected: Counter[str]) -> Lines:
    """A denied first submission of a claim that was paid later under another number."""
    share = parameters.value("messiness_share", "claim_denied_then_resubmitted")
    denied, rows, _ = pick.copy(pick.choose(share, ~pick.is_interim))
    denied["claim_status"][:] = pick.status("denied")
    denied["cents"][:] = 0
    denied["paid"] = denied["paid"] - 3
    injected["claim_lines_denied"] += len(rows)
    return denied


def _outside_coverage(
    pick: _ClaimPicker, coverage: Coverage, parameters: Parameters, injected: Counter[str]
) -> Lines:
    """Claims moved to the first uncovered month of members who have one."""
    uncovered = ~coverage.is_covered
    alive = pick.context.calendar.starts <= pick.context.people.death_day[:, None]
    born = pick.context.calendar.starts > pick.context.people.birth_day[:, None]
    gap = uncovered & alive & born
    first_gap = np.where(gap.any(axis=1), gap.argmax(axis=1), MISSING)
    starts = np.searchsorted(pick.claim_of_line, np.arange(len(pick.is_free)))
    has_gap = first_gap[pick.lines["member"][starts]] >= 0
    share = parameters.value("messiness_share", "claim_outside_coverage")
    moved, rows, _ = pick.copy(pick.choose(share, pick.is_free & has_gap))
    day = pick.context.calendar.starts[first_gap[moved["member"]]]
    moved["start"] = (day + moved["claim"] % 28).astype(np.int32)
    moved["end"] = moved["start"].copy()
    injected["claim_lines_outside_coverage"] += len(rows)
    return moved


def _before_window(pick: _ClaimPicker, parameters: Parameters, injected: Counter[str]) -> Lines:
    """Claims of the year before the window."""
    share = parameters.value("messiness_share", "claim_before_window")
    moved, rows, _ = pick.copy(pick.choose(share, pick.is_free))
    moved["start"] = (pick.context.calendar.starts[0] - 1 - moved["claim"] % 200).astype(np.int32)
    moved["end"] = moved["start"].copy()
    injected["claim_lines_before_window"] += len(rows)
    return moved


def _strangers(pick: _ClaimPicker, parameters: Parameters, injected: Counter[str]) -> Lines:
    """Claims of members no eligibility or person record knows."""
    share = parameters.value("messiness_share", "claim_of_unknown_member")
    copied, rows, _ = pick.copy(pick.choose(share, pick.is_free))
    copied["stranger"] = (_FIRST_STRANGER + copied["claim"] % 99_000_000).astype(np.int32)
    injected["claim_lines_of_unknown_member"] += len(rows)
    return copied


def _orphan_voids(pick: _ClaimPicker, parameters: Parameters, injected: Counter[str]) -> Lines:
    """Voids of claims that are not in the extract."""
    share = parameters.value("messiness_share", "void_without_original")
    voids, rows, _ = pick.copy(pick.choose(share, pick.is_free))
    voids["claim_status"][:] = pick.status("void")
    voids["original"] = voids["claim"] + 5_000_000
    voids["cents"] = -voids["cents"]
    voids["bill_type_code"] = _frequency(voids, pick.context, "8")
    injected["claim_lines_void_without_original"] += len(rows)
    return voids


def _say_original(lines: Lines, context: ClaimContext) -> None:
    """Most first claims say so; the others leave the status empty, which means the same."""
    book = context.codebook
    voids = [book.code("bill_type_code", text) for text in ("138", "0138", "778", "218")]
    silent = (lines["claim"] % 3 == 0) | np.isin(lines["bill_type_code"], voids)
    first = (lines["claim_status"] == MISSING) & ~silent
    lines["claim_status"][first] = book.code("claim_status", "original")


def _soil_codes(
    lines: Lines, context: ClaimContext, parameters: Parameters, injected: Counter[str]
) -> None:
    """Write some codes in lower case or with blanks around them; they mean the same."""
    share = parameters.value("messiness_share", "code_in_lower_case_or_padded") / len(_DIRTY)
    draw = context.rng.random(n_lines(lines))
    for number, (column, change) in enumerate(_DIRTY):
        words = context.codebook.words[column]
        rows = np.flatnonzero((draw >= number * share) & (draw < (number + 1) * share))
        rows = rows[lines[column][rows] >= 0]
        table = np.array([words.code(change(text)) for text in words.texts], dtype=np.int32)
        if len(rows):
            rows = rows[table[lines[column][rows]] != lines[column][rows]]
            lines[column][rows] = table[lines[column][rows]]
        injected["claim_lines_with_soiled_code"] += len(rows)


def _duplicates(
    lines: Lines, context: ClaimContext, parameters: Parameters, injected: Counter[str]
) -> Lines:
    """Exact copies of single lines."""
    share = parameters.value("messiness_share", "line_duplicated")
    rows = np.flatnonzero(context.rng.random(n_lines(lines)) < share)
    injected["claim_lines_duplicated"] += len(rows)
    return take_lines(lines, rows)
