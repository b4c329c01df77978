"""Every column, table and code list, once; checks and the data dictionary."""
