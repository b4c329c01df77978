"""Raw files to declared tables, with a ledger of every row."""

from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.tables import Tables

__all__ = ["RowLedger", "Tables"]
