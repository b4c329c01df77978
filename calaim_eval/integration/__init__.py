"""How community-based organizations are part of care: who delivers, where, do referrals close."""
