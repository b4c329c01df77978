"""Released tables to figures, tables, sentences and pages."""
