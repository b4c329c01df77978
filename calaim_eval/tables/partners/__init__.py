"""Files that partners hold (HMIS, referral platforms, plans' exchange files, 211) as tables."""
