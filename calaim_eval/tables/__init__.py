"""Raw files to declared tables, with a ledger of every row."""

from calaim_eval.tables.classify import (
    classify_program_lines,
    program_codes,
    unclassified_lines,
)
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.tables import Tables

__all__ = [
    "RowLedger",
    "Tables",
    "classify_program_lines",
    "program_codes",
    "unclassified_lines",
]
