"""What every model of the second pass offers, whichever family it is of: utterances in, what was said out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from asrpool_worker.engine.messages import Samples
from asrpool_worker.engine.modeldir import FloatArray, ModelDir


@dataclass(frozen=True)
class OfflineRow:
    """One utterance and what its session asks of the model.

    `frames` (n, feature_size): stacked frames with CMVN applied, by the front end and statistics of the recogniser's own directory.
    `samples` of the same stretch are there for recognisers with a front end of another kind.
    """

    frames: FloatArray
    hotwords: tuple[str, ...] = ()
    language: str = "auto"
    itn: bool = True
    samples: Samples | None = None


@dataclass(frozen=True)
class Recognised:
    """What one utterance says. A field that the model does not give keeps its default.

    `tokens` are without control tokens; `times_ms` is (begin, end) of each from the utterance's start, or empty. `text` is set
    where the model writes text of its own, else the tokens are joined by `text.join`. `punctuated`: it carries marks already.
    """

    tokens: tuple[str, ...]
    times_ms: tuple[tuple[int, int], ...] = ()
    text: str | None = None
    language: str = ""
    emotion: str = ""
    sound_event: str = ""
    punctuated: bool = False


class Recogniser(Protocol):
    """A model of the second pass."""

    @property
    def model(self) -> ModelDir:
        """Its directory: whoever makes rows reads front end and statistics there."""

    @property
    def reads_samples(self) -> bool:
        """Whether its rows must carry their samples."""

    def run(self, rows: Sequence[OfflineRow]) -> list[Recognised]:
        """Recognise the utterances together; what comes for a row does not depend on the others."""
