"""Which name an embedding gets: somebody enrolled, else the session's own "speaker-1", "speaker-2", … Pure.

Within a session speakers are found as they come, for a live stream cannot wait for all of its speech: an utterance goes
to the centroid nearest in angle where the cosine reaches the threshold, and moves it; else it begins a new one. This is
incremental clustering by centroids as in Coria et al., "Overlap-aware low-latency online speaker diarization based on
end-to-end local segmentation" (ASRU 2021), where a speaker is always one utterance's, never two at once. A label once
given is never taken back. What a session keeps does not grow with its length.

Cosine against a threshold is how CAM++ is scored by those who publish it; 0.31 is what their verification pipeline for
`speech_campplus_sv_zh-cn_16k-common` asks for. Other models have other thresholds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asrpool_worker.engine.modeldir import FloatArray
from asrpool_worker.errors import SettingsError

THRESHOLD = 0.31
MAX_SPEAKERS = 32
"""Of one session. Who comes after them is called by the name of whoever is nearest."""

_OWN_NAME = re.compile(r"speaker-\d+")


@dataclass(frozen=True)
class SpeakerLabel:
    """Who speaks, and the cosine that says so; 1.0 where somebody is heard for the first time."""

    name: str
    score: float


@dataclass(frozen=True)
class Roster:
    """The enrolled, by name: embeddings of unit length. Raises `SettingsError` for what cannot be told apart or compared."""

    enrolled: Mapping[str, FloatArray]
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and -1.0 < self.threshold <= 1.0):
            raise SettingsError(f"speaker threshold {self.threshold} is no cosine; use a value above -1 and up to 1")
        for name, embedding in self.enrolled.items():
            if _OWN_NAME.fullmatch(name):
                raise SettingsError(f"enrolled name {name!r} is what unknown speakers are called; choose another")
            if not math.isclose(float(np.linalg.norm(embedding)), 1.0, abs_tol=1e-3):
                raise SettingsError(f"the embedding enrolled as {name!r} is not of unit length; enrol {name!r} again")

    def identify(self, embedding: FloatArray) -> SpeakerLabel | None:
        """The enrolled person nearest to `embedding` (unit length), where near enough."""
        scored = [SpeakerLabel(name, float(known @ embedding)) for name, known in self.enrolled.items()]
        best = max(scored, key=lambda label: label.score, default=None)
        return best if best is not None and best.score >= self.threshold else None


class SessionSpeakers:
    """The speakers of one session. Not for use by two threads at once."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._sums: list[FloatArray] = []

    def label(self, embedding: FloatArray) -> SpeakerLabel:
        """Who says the utterance with that embedding (unit length)."""
        known = self._roster.identify(embedding)
        if known is not None:
            return known
        cosines = [float(total @ embedding) / max(float(np.linalg.norm(total)), 1e-12) for total in self._sums]
        nearest = max(range(len(cosines)), key=cosines.__getitem__, default=None)
        if nearest is not None and cosines[nearest] >= self._roster.threshold:
            self._sums[nearest] = self._sums[nearest] + embedding
            return SpeakerLabel(f"speaker-{nearest + 1}", cosines[nearest])
        if nearest is not None and len(self._sums) == MAX_SPEAKERS:
            return SpeakerLabel(f"speaker-{nearest + 1}", cosines[nearest])
        self._sums.append(embedding)
        return SpeakerLabel(f"speaker-{len(self._sums)}", 1.0)
