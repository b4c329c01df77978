"""A simulated Medi-Cal with its true effects written beside the data."""
