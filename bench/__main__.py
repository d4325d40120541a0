"""`make bench`: every measure of this folder, as tables or, with `--json`, for machines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import batching, deciding, endurance


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parsed = parser.parse_args()
    found: dict[str, Sequence[Any]] = {
        "batching across streams (baseline: one stream alone)": batching.measure("onnx") + batching.measure("torch"),
        "decide() by pods of a pool (baseline: ten pods)": deciding.measure(),
        "a stream of an hour (baseline: its first minute)": [endurance.long_stream()],
        "ten thousand sessions (baseline: memory after a thousand)": [endurance.many_sessions()],
    }
    rows = {title: [asdict(row) for row in points] for title, points in found.items()}
    if parsed.json:
        print(json.dumps(rows, indent=2))
        return
    console = Console()
    for title, points in rows.items():
        table = Table(*points[0], title=title)
        for point in points:
            table.add_row(*(str(value) for value in point.values()))
        console.print(table)


if __name__ == "__main__":
    main()
