"""Standard errors, intervals, p-values and bands where members or counties are the clusters."""
