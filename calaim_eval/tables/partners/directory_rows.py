"""Services of a directory, with the counties they cover, as rows of `resource`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from calaim_eval.tables.partners.directory_words import STATE, counties_in
from calaim_eval.tables.partners.links import Links
from calaim_eval.tables.partners.partner_tables import declared_frame

AREA, ADDRESS, NONE = "area_served", "address", "none"


@dataclass
class Place:
    """Texts that say where services are, by service.

    Attributes
    ----------
    areas, addresses : dict
        Service to what is said of the area it serves, and of the places where it is given.
    """

    areas: dict[str, list[str]] = field(default_factory=dict)
    addresses: dict[str, list[str]] = field(default_factory=dict)

    def counties(self, service: str) -> list[tuple[str | None, str]]:
        """Counties of a service with what they are taken from; areas served go before addresses.

        One row without a county where it serves the whole state, or where nothing is told.
        """
        for basis, told in ((AREA, self.areas), (ADDRESS, self.addresses)):
            read = [counties_in(text) for text in told.get(service, [])]
            found = dict.fromkeys(county for counties, _ in read for county in counties)
            if basis == AREA and any(whole for _, whole in read):
                return [(None, STATE)]
            if found:
                return [(county, basis) for county in found]
        return [(None, NONE)]


def resource_frame(
    services: pd.DataFrame,
    places: Place,
    codes: Mapping[str, Sequence[str]],
    links: Links,
) -> pd.DataFrame:
    """Rows of `resource`: each service in each of its counties.

    Parameters
    ----------
    services : pd.DataFrame
        `resource_id`, `organization_id` as in the directory, and declared columns of `resource`.
    places : Place
    codes : mapping of str to sequence of str
        Taxonomy codes of services.
    links : Links
        The service map has them as kind ``taxonomy``; of several codes that are a support the
        first in the map counts.
    """
    supports = {code: name for (kind, code), name in links.services.items() if kind == "taxonomy"}
    rows = []
    for service in services["resource_id"]:
        own = tuple(dict.fromkeys(codes.get(service, ())))
        named = next((name for code, name in supports.items() if code in own), None)
        for county, basis in places.counties(service):
            rows.append((service, county, basis, ";".join(own) or None, named))
    columns = ["resource_id", "county", "county_basis", "resource_codes", "service"]
    placed = pd.DataFrame(rows, columns=columns, dtype=object)
    both = placed.merge(services, on="resource_id", how="left")
    both["organization_id"] = links.organization(both["organization_id"])
    both["resource_id"] = Links(links.source).organization(both["resource_id"])
    return declared_frame("resource", dict(both.items()))


def organization_frame(organizations: pd.DataFrame, links: Links) -> pd.DataFrame:
    """Organizations that are not in the study's own list, of type `unknown`.

    A directory does not say who is a community-based organization: two coders do.
    """
    own = organizations[~organizations["organization_id"].isin(links.organizations)]
    return declared_frame(
        "organization",
        {
            **dict(own.items()),
            "organization_id": links.organization(own["organization_id"]),
            "organization_type": pd.Series("unknown", index=own.index, dtype=object),
        },
    )
