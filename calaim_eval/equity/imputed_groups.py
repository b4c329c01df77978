"""Groups imputed several times for members without a recorded one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.design import Design
from calaim_eval.equity.group_model import (
    GroupModel,
    fit_group_model,
    model_columns,
    probabilities,
)
from calaim_eval.equity.groups import as_groups, check_columns, in_group_order
from calaim_eval.equity.missing_race_members import missing_groups
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.results import Method

REFERENCE = (
    "Rubin DB (1987). doi:10.1002/9780470316696; White IR, Royston P, Wood AM (2011). Stat Med "
    "30(4):377-399. doi:10.1002/sim.4067"
)


@dataclass(frozen=True, slots=True, eq=False)
class ImputedGroups:
    """Groups drawn for the members without a recorded one; member-level, never released.

    Attributes
    ----------
    values : pd.DataFrame
        Drawn groups; index member_id of the members without a recorded group, one column an
        imputation; shape (n_missing, m).
    group : str
        Column the groups are for.
    missing : tuple[str, ...]
        Recorded values that stand for "no group".
    n_recorded : pd.Series
        Members by recorded group.
    method : Method
    """

    values: pd.DataFrame
    group: str
    missing: tuple[str, ...]
    n_recorded: pd.Series
    method: Method

    def __len__(self) -> int:
        return int(self.values.shape[1])

    def frames(self, data: pd.DataFrame, *, member_id: str = "member_id") -> Iterator[pd.DataFrame]:
        """The rows of `data` with the group filled in, once for each imputation.

        Members with a recorded group keep it. Give each frame to `rate_by_group` or
        `reduce_panel`, and what is estimated from them to `rubin_pool`.

        Raises
        ------
        TableError
            A member without a recorded group was not imputed.
        """
        check_columns(data, [member_id, self.group])
        text = as_groups(data, [self.group])[self.group]
        is_missing = text.isin(self.missing).to_numpy()
        row = self.values.index.get_indexer(data.loc[is_missing, member_id])
        if (row < 0).any():
            n = data.loc[is_missing, member_id].to_numpy()[row < 0]
            raise TableError(
                f"{len(pd.unique(n)):,} members without a recorded `{self.group}` were not imputed."
                " Impute from a frame that holds all members of the analysis."
            )
        for column in self.values.columns:
            filled = text.to_numpy(dtype=object).copy()
            filled[is_missing] = self.values[column].to_numpy()[row]
            yield data.assign(**{self.group: filled.astype(str)})

    def designs(self, design: Design) -> Iterator[Design]:
        """The design with the group of its members filled in, once for each imputation."""
        name = "panel_member_id" if design.kind == "matched" else "member_id"
        for members in self.frames(design.members, member_id=name):
            yield replace(design, members=members)

    def to_frame(self) -> pd.DataFrame:
        """By group: members recorded, and the mean, fewest and most imputed into it."""
        counts = pd.DataFrame([self.values[c].value_counts() for c in self.values.columns]).reindex(
            columns=self.n_recorded.index
        )
        counts = counts.fillna(0)
        frame = pd.DataFrame(
            {
                self.group: self.n_recorded.index,
                "n_recorded": self.n_recorded.to_numpy(),
                "n_imputed": counts.mean().to_numpy(),
                "fewest_imputed": counts.min().to_numpy(),
                "most_imputed": counts.max().to_numpy(),
            }
        )
        return in_group_order(frame, [self.group])

    def __repr__(self) -> str:
        return (
            f"<ImputedGroups: `{self.group}` of {len(self.values):,} members without a record, "
            f"{len(self)} imputations among {len(self.n_recorded)} groups>"
        )


def impute_groups(
    members: pd.DataFrame,
    *,
    missing: Sequence[str] | str,
    outcomes: Sequence[str],
    covariates: Sequence[str],
    rng: np.random.Generator,
    group: str = "race_ethnicity",
    interactions: Sequence[tuple[str, str]] = (),
    n_imputations: int = 20,
    prior_sd: float | None = 2.5,
    log_odds_shift: Mapping[str, float] | None = None,
    shift_with: str | None = None,
) -> ImputedGroups:
    r"""Draw the group of members without a recorded one, several times.

    Right where who has no recorded group depends on the covariates and outcomes given here alone
    (missing at random). Recorded groups are never changed.

    Parameters
    ----------
    members : pd.DataFrame
        One row per member: `member_id`, `group`, and the columns named.
    missing : str or sequence of str
        Values of `group` that stand for "no group recorded"; an empty value is ``"unknown"``.
    outcomes : sequence of str
        Summaries of every outcome that is looked at by group (visits before and after, exposed or
        not). Without them gaps are drawn towards 0.
    covariates : sequence of str
        What tells groups apart: county, language, age band, shares of the census tract.
    rng : np.random.Generator
        Chance; a seed makes it repeatable.
    group : str
    interactions : sequence of (str, str)
        Products that enter too, such as ``("is_exposed", "visits_after")``, where *effects* by
        group are wanted.
    n_imputations : int
        At least as many as the percentage of members without a record is a common rule.
    prior_sd : float, optional
        Standard deviation of a normal prior on the slopes (numbers scaled to 1), which keeps
        small groups from perfect prediction. None: maximum likelihood.
    log_odds_shift : mapping of str to float, optional
        Not at random: added to a group's log odds for each unit of `shift_with` above its mean
        among the recorded, in the members without a record. 0.7 says that a unit more doubles the
        odds of the group beyond what the recorded members show.
    shift_with : str, optional
        Numeric column the shift goes with.

    Returns
    -------
    ImputedGroups

    Raises
    ------
    TableError
        A column is absent or has missing values, a member has several rows.
    EstimationError
        No group of `missing` is there, no outcome is named, or the model does not settle.

    Notes
    -----
    Multinomial logit of the recorded group on covariates and outcomes. For each imputation the
    coefficients are drawn from their normal approximation and each member's group from the
    probabilities that follow, so that the error of the model is in the spread [1]_ [2]_.

    References
    ----------
    .. [1] Rubin DB (1987). Multiple imputation for nonresponse in surveys. Wiley.
    .. [2] White IR, Royston P, Wood AM (2011). Stat Med 30(4):377-399. doi:10.1002/sim.4067

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> members = pd.DataFrame({"member_id": range(60), "visits": rng.poisson(1, 60),
    ...     "county": ["a", "b"] * 30, "race_ethnicity": ["black", "white", "unknown"] * 20})
    >>> impute_groups(members, missing="unknown", outcomes=["visits"], covariates=["county"],
    ...               rng=rng, n_imputations=5)
    <ImputedGroups: `race_ethnicity` of 20 members without a record, 5 imputations among 2 groups>
    """
    text, gone = _checked(members, group, missing, outcomes, n_imputations)
    is_missing = text.isin(gone).to_numpy()
    names = list(dict.fromkeys([*outcomes, *covariates]))
    design = model_columns(members, names, interactions, recorded=~is_missing)
    model = fit_group_model(text[~is_missing], design[~is_missing], prior_sd=prior_sd)
    shift = _shift(members, model, is_missing, log_odds_shift, shift_with)
    rows = design[is_missing]
    drawn = {
        i: _draw(probabilities(model.log_odds(rows, model.draw(rng)) + shift), model, rng)
        for i in range(n_imputations)
    }
    return ImputedGroups(
        values=pd.DataFrame(drawn, index=pd.Index(members.loc[is_missing, "member_id"])),
        group=group,
        missing=tuple(gone),
        n_recorded=text[~is_missing].value_counts(),
        method=Method(
            "Multiple imputation of the group, multinomial logit"
            + ("" if log_odds_shift is None else "; not at random"),
            {
                "missing": tuple(gone),
                "outcomes": tuple(outcomes),
                "covariates": tuple(covariates),
                "interactions": tuple(interactions),
                "n_imputations": n_imputations,
                "prior_sd": prior_sd,
                "log_odds_shift": None if log_odds_shift is None else dict(log_odds_shift),
                "shift_with": shift_with,
            },
            REFERENCE,
        ),
    )


def _checked(
    members: pd.DataFrame,
    group: str,
    missing: Sequence[str] | str,
    outcomes: Sequence[str],
    n_imputations: int,
) -> tuple[pd.Series, list[str]]:
    """The groups as text, and those that stand for none."""
    check_columns(members, ["member_id", group])
    repeats = int(members["member_id"].duplicated().sum())
    if repeats:
        raise TableError(
            f"the members: {repeats:,} of {len(members):,} rows repeat a `member_id`; give one "
            "row per member."
        )
    if not outcomes:
        raise EstimationError(
            "`outcomes` is empty: groups imputed without the outcomes draw every gap towards 0.\n"
            "  Name a summary of each outcome that is looked at by group."
        )
    if n_imputations < 2:
        raise EstimationError(f"`n_imputations` is {n_imputations}; pooling needs 2 or more.")
    text = as_groups(members, [group])[group]
    return text, missing_groups(list(dict.fromkeys(text)), missing)


def _shift(
    members: pd.DataFrame,
    model: GroupModel,
    is_missing: np.ndarray,
    by_group: Mapping[str, float] | None,
    name: str | None,
) -> np.ndarray:
    """What is added to the log odds of the members without a record; shape (n_missing, G)."""
    shift = np.zeros((int(is_missing.sum()), len(model.groups)))
    if by_group is None and name is None:
        return shift
    unknown = [g for g in by_group or {} if g not in model.groups]
    if by_group is None or name is None or unknown:
        raise EstimationError(
            "`log_odds_shift` (by recorded group) and `shift_with` (a column) go together; groups "
            f"that are not there: {', '.join(unknown) or 'none'}."
        )
    check_columns(members, [name])
    values = members[name].to_numpy(dtype=float)
    above = values[is_missing] - values[~is_missing].mean()
    for g, delta in by_group.items():
        shift[:, model.groups.index(g)] = delta * above
    return shift


def _draw(chances: np.ndarray, model: GroupModel, rng: np.random.Generator) -> np.ndarray:
    """One group a member; shape (n_missing,)."""
    limits = np.cumsum(chances, axis=1)[:, :-1]
    chosen = (rng.random(len(chances))[:, None] >= limits).sum(axis=1)
    return np.asarray(np.array(model.groups, dtype=object)[chosen])
