"""The only door out: suppression, attacker audit, release ledger, `Released`."""
