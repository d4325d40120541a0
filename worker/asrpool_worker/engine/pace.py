"""How long steps take on this machine, learnt as they run; so how much to put into the next one, and whether to wait for more.

A step costs something fixed (weights are read once, whatever the rows) and something for each row. Both are fitted to the
steps that ran lately, a straight line for each stage. From it follows
* how large a step may be, so that work that becomes ready meanwhile does not wait longer than `STEP_BUDGET_SECONDS`;
* how long a step may wait for rows to share its fixed cost: no longer than that cost, and only where a row is expected in
  that time. So a lone stream never waits, and many streams run in fuller batches.

Pure: times are given, nothing is measured here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

STEP_BUDGET_SECONDS = 0.3
MEMORY_STEPS = 50.0
"""A step's weight in the fit fades to a third while so many others run."""

LONGEST_WAIT_SECONDS = 0.06
FIRST_STEPS = 8
"""Before so many have run, nothing is known: steps are as large as they may be, and do not wait."""


@dataclass
class _Line:
    """A least-squares line through (units, seconds), older points fading."""

    weight: float = 0.0
    units: float = 0.0
    seconds: float = 0.0
    units_squared: float = 0.0
    product: float = 0.0
    steps: int = 0

    def add(self, units: float, seconds: float) -> None:
        keep = math.exp(-1.0 / MEMORY_STEPS)
        self.weight = keep * self.weight + 1.0
        self.units = keep * self.units + units
        self.seconds = keep * self.seconds + seconds
        self.units_squared = keep * self.units_squared + units * units
        self.product = keep * self.product + units * seconds
        self.steps += 1

    def fit(self) -> tuple[float, float]:
        """(fixed, each), neither below 0; where all steps were alike, all cost is each unit's."""
        mean_units, mean_seconds = self.units / self.weight, self.seconds / self.weight
        spread = self.units_squared / self.weight - mean_units**2
        if spread < 0.05 * mean_units**2:
            return 0.0, mean_seconds / mean_units
        each = (self.product / self.weight - mean_units * mean_seconds) / spread
        each = min(max(each, 0.0), mean_seconds / mean_units)
        return mean_seconds - each * mean_units, each


@dataclass
class Pace:
    """The lines of all kinds of step. A kind is a stage, or a stage and a shape; units are rows, or frames with padding."""

    _lines: dict[object, _Line] = field(default_factory=dict)

    def ran(self, kind: object, units: float, seconds: float) -> None:
        """A step of `kind` took `seconds`."""
        if units > 0:
            self._lines.setdefault(kind, _Line()).add(units, seconds)

    def most_units(self, kind: object) -> float:
        """How large a step of `kind` may be."""
        line = self._known(kind)
        if line is None:
            return math.inf
        fixed, each = line.fit()
        return math.inf if each == 0.0 else max(1.0, (STEP_BUDGET_SECONDS - fixed) / each)

    def wait_seconds(self, kind: object, idle_rows: int, period_seconds: float) -> float:
        """How long after its first row became ready a step of `kind` may wait for others.

        `idle_rows`: streams that have no row ready but bring one every `period_seconds`.
        """
        line = self._known(kind)
        if line is None or idle_rows == 0:
            return 0.0
        wait = min(line.fit()[0], LONGEST_WAIT_SECONDS)
        return wait if idle_rows * wait >= period_seconds else 0.0

    def _known(self, kind: object) -> _Line | None:
        line = self._lines.get(kind)
        return line if line is not None and line.steps >= FIRST_STEPS else None
