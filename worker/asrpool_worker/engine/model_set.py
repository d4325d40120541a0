"""The models that one engine has loaded, and which modes they allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from asrpool_worker.engine.messages import Mode
from asrpool_worker.engine.modeldir import FrontendConfig
from asrpool_worker.engine.paraformer.online_model import OnlineModel
from asrpool_worker.engine.punctuation.model import PuncModel
from asrpool_worker.engine.recogniser import Recogniser
from asrpool_worker.engine.speaker.model import SpeakerModel
from asrpool_worker.engine.speaker.roster import Roster
from asrpool_worker.engine.vad.model import VadModel
from asrpool_worker.errors import ServerError

Wanted = TypeVar("Wanted")


@dataclass(frozen=True)
class ModelSet:
    """The loaded models; the recognisers' and the VAD's filter banks are one and the same. The `needed_` ones raise where the model is not there.

    `roster`: the enrolled speakers. `inverse`: text and language → text with figures (inverse text normalisation).
    """

    frontend: FrontendConfig
    online: OnlineModel | None
    offline: Recogniser | None
    vad: VadModel | None
    punc: PuncModel | None = None
    speaker: SpeakerModel | None = None
    roster: Roster = field(default_factory=lambda: Roster({}))
    inverse: Callable[[str, str], str] | None = None

    @property
    def modes(self) -> frozenset[Mode]:
        """What can be served with them."""
        online = {Mode.ONLINE} if self.online else set()
        offline = {Mode.OFFLINE} if self.offline else set()
        return frozenset(online | offline | ({Mode.TWO_PASS} if online and offline else set()))

    @property
    def needed_online(self) -> OnlineModel:
        """The streaming model."""
        return offered(self.online)

    @property
    def needed_offline(self) -> Recogniser:
        """The second-pass model."""
        return offered(self.offline)

    @property
    def needed_vad(self) -> VadModel:
        """The VAD model."""
        return offered(self.vad)

    @property
    def needed_punc(self) -> PuncModel:
        """The punctuation model."""
        return offered(self.punc)

    @property
    def needed_speaker(self) -> SpeakerModel:
        """The speaker model."""
        return offered(self.speaker)


def offered(value: Wanted | None) -> Wanted:
    """What the stream offered or a mode promised; that it is missing is a fault of ours."""
    if value is None:
        raise ServerError("the engine was asked for work that its stream or its models do not have; report this")
    return value
