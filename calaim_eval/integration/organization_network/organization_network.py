"""A network of organizations: who has a tie to whom, how strong, of how many members."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.integration.inputs import as_text
from calaim_eval.results import Method

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TieRule: TypeAlias = Literal["either", "both"]


@dataclass(frozen=True, slots=True, eq=False)
class OrganizationNetwork:
    """Ties between organizations, without ties of an organization to itself.

    Made by `referral_network` and `survey_network`; every network measure takes one.

    Attributes
    ----------
    organizations : np.ndarray
        Identifiers in rising order, those without a tie too; shape (n,).
    strength : csr_array
        Referrals or reported strength from row to column; a tie is an entry above 0; (n, n).
        Symmetric where the ties have no direction.
    members : csr_array, optional
        Distinct members behind each tie; (n, n). None: the ties are not about members.
    is_directed : bool
    method : Method
        How the ties were made: source, dates, smallest tie.
    has_answered : np.ndarray, optional
        Organizations of a survey that answered it; boolean, shape (n,). None: every tie that
        exists is known.
    """

    organizations: np.ndarray
    strength: csr_array
    members: csr_array | None
    is_directed: bool
    method: Method
    has_answered: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of organizations."""
        return len(self.organizations)

    @property
    def ties(self) -> csr_array:
        """0/1 matrix of ties as floats; (n, n)."""
        ties = self.strength.copy()
        ties.data = np.ones_like(ties.data, dtype=float)
        return ties

    @property
    def n_ties(self) -> int:
        """Number of ties; a tie without direction counts once."""
        return int(self.strength.nnz) // (1 if self.is_directed else 2)

    @property
    def n_possible(self) -> int:
        """Ties there could be."""
        return self.n * (self.n - 1) // (1 if self.is_directed else 2)

    @property
    def smallest_tie(self) -> float:
        """Members of the tie with fewest; NaN where no tie is about members."""
        if self.members is None or not self.members.nnz:
            return float("nan")
        return float(self.members.data.min())

    @property
    def response_rate(self) -> float:
        """Share of the organizations that answered; 1 where nobody had to."""
        if self.has_answered is None:
            return 1.0
        return float(self.has_answered.mean()) if self.n else float("nan")

    def positions(self, organizations: Collection[str]) -> np.ndarray:
        """Positions of organizations.

        Raises
        ------
        EstimationError
            One of them is not in the network.
        """
        wanted = as_text(pd.Series([*organizations], dtype=object))
        place = pd.Index(self.organizations).get_indexer(wanted.astype(object))
        absent = [name for name, at in zip(organizations, place, strict=True) if at < 0]
        if absent:
            raise EstimationError(
                f"{len(absent)} of {len(place)} organizations are not in the network: "
                f"{', '.join(f'`{name}`' for name in absent[:5])}.\n"
                "  Name them as `organization_id` does, or add them with `organizations=`."
            )
        return np.asarray(place)

    def without(self, *organizations: str) -> OrganizationNetwork:
        """Network with organizations and all their ties taken out."""
        stays = np.ones(self.n, dtype=bool)
        stays[self.positions(organizations)] = False
        return self._only(np.flatnonzero(stays))

    def only(self, organizations: Collection[str]) -> OrganizationNetwork:
        """Network of some organizations and the ties among them."""
        return self._only(np.sort(self.positions(organizations)))

    def among(self, organizations: Collection[str]) -> OrganizationNetwork:
        """The same ties in a network of more organizations, which have none.

        Raises
        ------
        EstimationError
            An organization of the network is not among them.
        """
        names = np.array(sorted(set(organizations)), dtype=object)
        place = pd.Index(names).get_indexer(pd.Index(self.organizations))
        if (place < 0).any():
            raise EstimationError(
                f"{int((place < 0).sum())} of {self.n} organizations of the network are not among "
                "those given.\n  Add them."
            )

        def moved(matrix: csr_array) -> csr_array:
            at = matrix.tocoo()
            return matrix_of(place[at.row], place[at.col], at.data, len(names))

        answered = np.zeros(len(names), dtype=bool)
        if self.has_answered is not None:
            answered[place] = self.has_answered
        return replace(
            self,
            organizations=names,
            strength=moved(self.strength),
            members=None if self.members is None else moved(self.members),
            has_answered=None if self.has_answered is None else answered,
        )

    def at_least(self, *, members: int = 0, strength: float = 0.0) -> OrganizationNetwork:
        """Network of the ties that are large enough; all organizations stay.

        Parameters
        ----------
        members : int
            Distinct members a tie must have, such as the policy's smallest count.
        strength : float
            Referrals, or reported strength, a tie must have.
        """
        ties = self.strength.tocoo()
        stays = ties.data >= strength
        if members:
            if self.members is None:
                raise EstimationError(
                    "`members`: the ties of this network are not about members.\n"
                    "  Use `strength`, or a network of referrals."
                )
            stays &= self.members.tocoo().data >= members
        return replace(
            self.only_ties(stays),
            method=_with_options(self.method, minimum_members=members, minimum_strength=strength),
        )

    def only_ties(self, stays: np.ndarray) -> OrganizationNetwork:
        """Network of some ties, in the order of `strength`; all organizations stay."""
        return replace(
            self,
            strength=_part(self.strength, stays),
            members=None if self.members is None else _part(self.members, stays),
        )

    def undirected(self, *, rule: TieRule = "either") -> OrganizationNetwork:
        """Network without directions.

        Parameters
        ----------
        rule : {"either", "both"}
            A tie is there where one of the two directions is, or only where both are. Strength
            and members are the larger of the two (``"either"``) or the smaller (``"both"``):
            the same members may be counted in both.
        """
        require_choice("`rule`", rule, ("either", "both"))
        if not self.is_directed:
            return self
        return replace(
            self,
            strength=_symmetric(self.strength, rule),
            members=None if self.members is None else _symmetric(self.members, rule),
            is_directed=False,
            method=_with_options(self.method, direction=f"{rule} direction"),
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a tie: from_organization_id, to_organization_id, strength, n_members.

        Numbers of members are not fit to leave; `network_ties` makes what may.
        """
        from scipy.sparse import triu

        strength = self.strength if self.is_directed else triu(self.strength, format="csr")
        ties = strength.tocoo()
        members = np.full(ties.nnz, np.nan)
        if self.members is not None:
            members = np.asarray(self.members[ties.row, ties.col], dtype=float).ravel()
        return pd.DataFrame(
            {
                "from_organization_id": self.organizations[ties.row],
                "to_organization_id": self.organizations[ties.col],
                "strength": ties.data,
                "n_members": members,
            }
        )

    def __repr__(self) -> str:
        kind = "directed" if self.is_directed else "undirected"
        return f"<OrganizationNetwork {self.n} organizations, {self.n_ties} {kind} ties>"

    def _only(self, at: np.ndarray) -> OrganizationNetwork:
        """Network of the organizations at these positions."""
        answered = self.has_answered
        return replace(
            self,
            organizations=self.organizations[at],
            strength=self.strength[at][:, at],
            members=None if self.members is None else self.members[at][:, at],
            has_answered=None if answered is None else answered[at],
        )


def matrix_of(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, n: int) -> csr_array:
    """Square sparse matrix with sorted columns and no zero entry."""
    from scipy.sparse import csr_array

    matrix = csr_array((np.asarray(values, dtype=float), (rows, columns)), shape=(n, n))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _part(matrix: csr_array, stays: np.ndarray) -> csr_array:
    """Entries of a matrix that stay."""
    entries = matrix.tocoo()
    return matrix_of(entries.row[stays], entries.col[stays], entries.data[stays], matrix.shape[0])


def _symmetric(matrix: csr_array, rule: TieRule) -> csr_array:
    """Larger, or smaller, of both directions."""
    other = matrix.T.tocsr()
    both = (matrix.maximum(other) if rule == "either" else matrix.minimum(other)).tocsr()
    both.eliminate_zeros()
    both.sort_indices()
    return both


def _with_options(method: Method, **options: object) -> Method:
    """Method with more options."""
    return replace(method, options={**method.options, **options})
