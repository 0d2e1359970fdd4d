"""Writes grafana/dashboards/{influxdb,prometheus}/*.json. Run by `make boards`; a test fails while one is stale."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from boards.pages import BOARDS
from boards.source import SOURCES
from boards.words import Json

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"


def text_of(board: Json) -> str:
    """The file's text."""
    return json.dumps(board, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write every board for every database, and take away what no longer exists."""
    for source in SOURCES:
        folder = FOLDER / source.slug
        folder.mkdir(parents=True, exist_ok=True)
        names = {f"{board.uid.removeprefix('healthmon-')}.json": board for board in BOARDS}
        for stale in {path.name for path in folder.glob("*.json")} - names.keys():
            (folder / stale).unlink()
        for name, board in names.items():
            (folder / name).write_text(text_of(board.render(source)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
