"""The same organization in two rosters: proposed by number and name, decided by people."""

from calaim_eval.integration.rosters.match_review import (
    apply_matches,
    read_match_review,
    write_match_review,
)
from calaim_eval.integration.rosters.organization_names import plain_name
from calaim_eval.integration.rosters.roster_matches import propose_matches

__all__ = [
    "apply_matches",
    "plain_name",
    "propose_matches",
    "read_match_review",
    "write_match_review",
]
