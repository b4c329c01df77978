"""Who is compared with whom, and why the comparison is identified."""

from calaim_eval.design.design import Design

__all__ = ["Design"]
