"""Raw files to declared tables, with a ledger of every row."""

from calaim_eval.tables.classify import (
    classify_program_lines,
    program_codes,
    unclassified_lines,
)
from calaim_eval.tables.input_map import InputMap
from calaim_eval.tables.ledger import NOTICE, USED, RowLedger
from calaim_eval.tables.partners.partner_tables import PartnerTables
from calaim_eval.tables.partners.read import read_partner_files
from calaim_eval.tables.read import open_tables, read_tables
from calaim_eval.tables.tables import Tables

__all__ = [
    "NOTICE",
    "USED",
    "InputMap",
    "PartnerTables",
    "RowLedger",
    "Tables",
    "classify_program_lines",
    "open_tables",
    "program_codes",
    "read_partner_files",
    "read_tables",
    "unclassified_lines",
]
