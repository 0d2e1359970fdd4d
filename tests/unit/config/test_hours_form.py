"""Opening hours as people write them."""

from __future__ import annotations

import pytest

from healthmon.config.hours import HoursProblem, hours_of
from healthmon.model.topology import Hours

DAY = 24 * 60


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("always", None),
        (None, None),
        ({"mon": "08:00-18:00"}, Hours(((0, 480, 1080),))),
        ({"mon": "8:00 - 24:00"}, Hours(((0, 480, DAY),))),
        ({"sat-mon": "09:00-10:00"}, Hours(((0, 540, 600), (5, 540, 600), (6, 540, 600)))),
        ({"sun": "22:00-06:00"}, Hours(((0, 0, 360), (6, 1320, DAY)))),
        ({"sun": "22:00-00:00"}, Hours(((6, 1320, DAY),))),
        ({"mon": ["08:00-12:00", "13:00-17:00"]}, Hours(((0, 480, 720), (0, 780, 1020)))),
        ({"mon-tue": "08:00-18:00", "tue": "closed"}, Hours(((0, 480, 1080),))),
        ({"tue": "10:00-12:00", "mon-tue": "08:00-18:00"}, Hours(((0, 480, 1080), (1, 600, 720)))),
        ({"mon": "00:00-24:00", "holidays": "closed"}, Hours(((0, 0, DAY),), closed_on_holidays=True)),
        ({"mon": "00:00-24:00", "holidays": "open"}, Hours(((0, 0, DAY),))),
    ],
)
def test_written_hours_become_spans(written: object, expected: Hours | None) -> None:
    assert hours_of(written) == expected


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("never", None),
        ({}, None),
        (7, None),
        ({"funday": "08:00-18:00"}, "funday"),
        ({"mon-funday": "08:00-18:00"}, "mon-funday"),
        ({"mon": 8}, "mon"),
        ({"mon": "08:00-08:00"}, "mon"),
        ({"mon": "08:61-09:00"}, "mon"),
        ({"mon": "08:00-24:01"}, "mon"),
        ({"mon-wed": "08:00-09:00", "wed-fri": "08:00-09:00"}, "wed-fri"),
        ({"mon": "08:00-09:00", "holidays": "maybe"}, "holidays"),
    ],
)
def test_nonsense_is_told_with_its_key(written: object, key: str | None) -> None:
    with pytest.raises(HoursProblem) as caught:
        hours_of(written)

    assert caught.value.key == key
