"""Claim lines as plain arrays while they are being made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.columns import MISSING, NO_DAY, Words

Lines = dict[str, NDArray[Any]]

CODES = (
    "claim_type",
    "bill_type_code",
    "revenue_center_code",
    "hcpcs_code",
    "hcpcs_modifier_1",
    "hcpcs_modifier_2",
    "hcpcs_modifier_3",
    "hcpcs_modifier_4",
    "hcpcs_modifier_5",
    "place_of_service_code",
    "diagnosis_code_1",
    "diagnosis_code_2",
    "diagnosis_code_3",
    "diagnosis_code_4",
    "diagnosis_code_5",
    "drg_code",
    "discharge_disposition_code",
    "claim_status",
)
MODIFIERS = tuple(f"hcpcs_modifier_{i}" for i in range(1, 6))
_DEFAULTS: dict[str, tuple[type, int]] = {
    "claim": (np.int64, MISSING),
    "original": (np.int64, MISSING),
    "line": (np.int32, 1),
    "member": (np.int32, MISSING),
    "stranger": (np.int32, MISSING),
    "start": (np.int32, int(NO_DAY)),
    "end": (np.int32, int(NO_DAY)),
    "admission": (np.int32, int(NO_DAY)),
    "discharge": (np.int32, int(NO_DAY)),
    "paid": (np.int32, int(NO_DAY)),
    "cents": (np.int64, 0),
    "facility": (np.int32, MISSING),
    "rendering": (np.int32, MISSING),
    "is_program": (np.bool_, 0),
    **dict.fromkeys(CODES, (np.int32, MISSING)),
}


class Codebook:
    """The words of each coded column; numbers are given in order of first use."""

    def __init__(self) -> None:
        self.words = {name: Words() for name in CODES}
        for i in range(2, 6):
            self.words[f"hcpcs_modifier_{i}"] = self.words["hcpcs_modifier_1"]
            self.words[f"diagnosis_code_{i}"] = self.words["diagnosis_code_1"]

    def code(self, column: str, text: str) -> int:
        """Number of one code."""
        return self.words[column].code(text)

    def codes(self, column: str, texts: tuple[str, ...] | list[str]) -> NDArray[np.int32]:
        """Numbers of several codes."""
        return self.words[column].codes(texts)


@dataclass(slots=True)
class ClaimNumbers:
    """Hands out claim numbers of one chunk in order."""

    following: int

    def take(self, n: int) -> NDArray[np.int64]:
        """Return the next `n` claim numbers."""
        numbers = np.arange(self.following, self.following + n, dtype=np.int64)
        self.following += n
        return numbers


def make_lines(n: int, columns: dict[str, Any]) -> Lines:
    """Make `n` lines; columns not given are missing, single values are repeated."""
    lines: Lines = {}
    for name, (dtype, default) in _DEFAULTS.items():
        value = columns.get(name, default)
        column: NDArray[Any] = np.empty(n, dtype=dtype)
        column[:] = value
        lines[name] = column
    return lines


def take_lines(lines: Lines, rows: NDArray[Any]) -> Lines:
    """Copy some lines."""
    return {name: column[rows] for name, column in lines.items()}


def stack_lines(parts: list[Lines]) -> Lines:
    """Put blocks of lines one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in _DEFAULTS}


def n_lines(lines: Lines) -> int:
    """Number of lines."""
    return len(lines["claim"])
