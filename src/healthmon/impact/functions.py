"""What staff do with a service, by name: chart, order, meds, results, print, badge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from healthmon.model.topology import Service

#: In the order in which they are named to people.
FUNCTIONS = ("chart", "order", "meds", "results", "print", "badge")
#: Words of a service's id, and what such a service is used for: the service catalogue of a hospital (DOMAIN B6).
BY_WORD: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("ehr", "epr", "record", "notes", "charting", "cis", "icu", "obs", "observations"), ("chart",)),
    **dict.fromkeys(("ed", "maternity", "theatre", "theatres", "ctg"), ("chart",)),
    **dict.fromkeys(("order", "orders", "ordercomms", "comms"), ("order",)),
    **dict.fromkeys(("epma", "prescribing", "medication", "meds", "drug", "chemo", "pharmacy"), ("meds",)),
    **dict.fromkeys(("lims", "results", "pathology", "laboratory", "lab"), ("results",)),
    **dict.fromkeys(("pacs", "ris", "imaging", "images", "transfusion", "blood"), ("results",)),
    **dict.fromkeys(("print", "printing", "label", "labels", "wristband", "wristbands"), ("print",)),
    **dict.fromkeys(("identity", "ad", "sso", "smartcard", "spine", "cis2", "badge", "login", "signon"), ("badge",)),
}


def default_functions(service_id: str) -> tuple[str, ...]:
    """What a service of this id is used for, by the words of the id; nothing where no word is known."""
    words = service_id.replace("_", "-").split("-")
    found = {function for word in words for function in BY_WORD.get(word, ())}
    return tuple(function for function in FUNCTIONS if function in found)


def functions_of(services: Iterable[Service]) -> tuple[str, ...]:
    """Everything that staff do with these services: as the site says, else by the catalogue."""
    found = {
        function
        for service in services
        for function in (service.functions if service.functions is not None else default_functions(service.id))
    }
    return (*(one for one in FUNCTIONS if one in found), *sorted(found.difference(FUNCTIONS)))
