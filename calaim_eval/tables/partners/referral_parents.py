"""The root of each referral: parents followed to the end, circles found."""

from __future__ import annotations

import pandas as pd


def root_ids(ids: pd.Series, parents: pd.Series) -> pd.Series:
    """First referral of each chain.

    Parameters
    ----------
    ids : pd.Series
        Referrals, each once.
    parents : pd.Series
        Referral each is part of; missing for a root.

    Returns
    -------
    pd.Series
        Index of `ids`. A root is its own. A parent that is not among `ids` ends the chain and is
        its root, so that its steps do not count as roots. Missing for referrals in a circle or on
        a way into one.

    Examples
    --------
    >>> ids = pd.Series(["a", "b", "c", "d"])
    >>> root_ids(ids, pd.Series([None, "a", "b", "elsewhere"])).tolist()
    ['a', 'a', 'a', 'elsewhere']
    >>> root_ids(pd.Series(["a", "b"]), pd.Series(["b", "a"])).isna().tolist()
    [True, True]
    """
    parent_of = {
        each: parent for each, parent in zip(ids, parents, strict=True) if isinstance(parent, str)
    }
    roots: dict[str, str | None] = {}
    for each in ids:
        path: list[str] = []
        seen: set[str] = set()
        at = each
        while at not in roots and at in parent_of and at not in seen:
            path.append(at)
            seen.add(at)
            at = parent_of[at]
        root = roots.get(at, None if at in seen else at)
        roots.update(dict.fromkeys(path, root))
        roots.setdefault(each, root)
    return pd.Series([roots[each] for each in ids], index=ids.index, dtype=object)
