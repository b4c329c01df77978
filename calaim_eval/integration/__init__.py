"""How well community-based organizations are part of care: who delivers, where, and do referrals close."""
