"""The largest number of streams that is still served in time: doubling until it is not, then bisecting. Pure.

Every number is tried once. Where numbers are `given`, just these are tried, in their order. A number that failed bounds the search from above for good, so that one lucky try above an
unlucky one is never asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Search:
    """Ask `next_count`, try it, `record` whether it went well; until there is nothing left to ask."""

    first: int = 1
    ceiling: int = 256
    given: tuple[int, ...] = ()
    tried: dict[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.ceiling:
            raise ValueError(f"the search cannot start at {self.first} and end at {self.ceiling}")

    @property
    def best(self) -> int:
        """The largest number that went well below every one that did not; 0 where none did."""
        return max((count for count, passed in self.tried.items() if passed and count < self._failed), default=0)

    @property
    def next_count(self) -> int | None:
        """The number to try next, or None when the answer is known or all that were given are tried."""
        if self.given:
            return next((count for count in self.given if count not in self.tried), None)
        failed = self._failed
        if failed > self.ceiling:
            return self._doubled()
        middle = (self.best + failed) // 2
        return None if failed - self.best <= 1 else middle

    def record(self, count: int, *, passed: bool) -> None:
        """`count` streams were tried."""
        self.tried[count] = passed

    @property
    def _failed(self) -> int:
        return min((count for count, passed in self.tried.items() if not passed), default=self.ceiling + 1)

    def _doubled(self) -> int | None:
        if not self.tried:
            return self.first
        largest = max(self.tried)
        return None if largest == self.ceiling else min(2 * largest, self.ceiling)
