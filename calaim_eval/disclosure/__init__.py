"""The only door out: suppression, attacker audit, release ledger, `Released`."""

from calaim_eval.disclosure.attacker import Certificate, audit
from calaim_eval.disclosure.change_layout import change_layout
from calaim_eval.disclosure.explain import explain
from calaim_eval.disclosure.export import export_released
from calaim_eval.disclosure.ledger import read_ledger
from calaim_eval.disclosure.moments_to_share import moments_to_share
from calaim_eval.disclosure.policy import Policy, load_policy, policy_names
from calaim_eval.disclosure.release import release
from calaim_eval.disclosure.released import Released, ReleasedTable
from calaim_eval.disclosure.round_counts import round_counts
from calaim_eval.disclosure.score import DdgScore, ddg_score

__all__ = [
    "Certificate",
    "DdgScore",
    "Policy",
    "Released",
    "ReleasedTable",
    "audit",
    "change_layout",
    "ddg_score",
    "explain",
    "export_released",
    "load_policy",
    "moments_to_share",
    "policy_names",
    "read_ledger",
    "release",
    "round_counts",
]
