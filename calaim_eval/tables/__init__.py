"""Raw files to declared tables, with a ledger of every row."""
