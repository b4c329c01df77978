"""Workbooks (`.xlsx`, `.xls`, `.ods`): sheets, headers under titles, cells as text."""
