"""Hospitals, clinics and clinicians that bill; their NPIs begin with 9, so none is a real one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.columns import Words

N_HOSPITALS, N_CLINICS, N_CLINICIANS = 3, 4, 20


@dataclass(frozen=True, slots=True)
class Facilities:
    """Codes of NPIs in `npis`, by county.

    Attributes
    ----------
    npis : Words
        Every NPI of the study; organizations add theirs.
    hospitals : NDArray
        (n_counties, 3).
    clinics : NDArray
        Offices and health centers, (n_counties, 4); the last two are health centers.
    clinicians : NDArray
        (n_counties, 20).
    ambulances : NDArray
        (n_counties,).
    """

    npis: Words
    hospitals: NDArray[np.int32]
    clinics: NDArray[np.int32]
    clinicians: NDArray[np.int32]
    ambulances: NDArray[np.int32]


def make_facilities(n_counties: int) -> Facilities:
    """Number the facilities of each county."""
    npis = Words()

    def table(kind: int, n: int) -> NDArray[np.int32]:
        """Register `n` NPIs of one kind in each county."""
        return np.array(
            [
                [npis.code(fictional_npi(kind, county * 100 + k)) for k in range(n)]
                for county in range(n_counties)
            ],
            dtype=np.int32,
        )

    return Facilities(
        npis=npis,
        hospitals=table(1, N_HOSPITALS),
        clinics=table(2, N_CLINICS),
        clinicians=table(3, N_CLINICIANS),
        ambulances=table(4, 1)[:, 0],
    )


def fictional_npi(kind: int, number: int) -> str:
    """Ten digits that begin with 9; real NPIs begin with 1 or 2."""
    return f"9{kind}{number:08d}"
