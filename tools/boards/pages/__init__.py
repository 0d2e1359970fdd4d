"""Every board. Adding one: a file here, a line below."""

from __future__ import annotations

from boards.board import Board
from boards.pages.alert_quality import ALERT_QUALITY
from boards.pages.care import CLINICAL_SERVICE, EHR, WARD
from boards.pages.fleet import FLEET
from boards.pages.flows import INTERFACES
from boards.pages.infrastructure import NETWORK, POWER, SERVERS
from boards.pages.overview import OVERVIEW
from boards.pages.standards import STANDARDS
from boards.pages.workstations import WORKSTATIONS

BOARDS: tuple[Board, ...] = (
    OVERVIEW,
    WARD,
    CLINICAL_SERVICE,
    EHR,
    NETWORK,
    SERVERS,
    WORKSTATIONS,
    POWER,
    INTERFACES,
    STANDARDS,
    FLEET,
    ALERT_QUALITY,
)
