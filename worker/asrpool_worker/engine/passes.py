"""The passes that a stream's frames go through: VAD, streaming recognition, second pass.

Each pass knows how far it has come and what it would run next; none runs a model or knows of other streams. Frame
numbers are filter-bank frames (10 ms) from the start of the stream, "stacked" ones are the model's own (LFR) frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from asrpool_worker.engine.audio import AudioQueue, FrameBuffer
from asrpool_worker.engine.features import first_frame_of, frames_needed, stack, stacked_count
from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Samples
from asrpool_worker.engine.modeldir import FloatArray, ModelDir
from asrpool_worker.engine.paraformer.dims import ParaformerDims
from asrpool_worker.engine.paraformer.online_model import Slot, place
from asrpool_worker.engine.vad.endpointer import Boundary, Endpointer
from asrpool_worker.engine.vad.model import VadModel

FRAME_MS = 10
STACKED_SAMPLES = SAMPLE_RATE_HZ * 60 // 1000
VAD_SMALL_FRAMES, VAD_LARGE_FRAMES = 12, 200
"""A live stream brings a few frames at a time; one that is behind takes larger bites, in batches of its own."""

VAD_HOP_FRAMES = 6


class VadPass:
    """The whole stream through the VAD network, and its boundaries."""

    def __init__(self, model: VadModel) -> None:
        self._model = model
        self.past = model.fresh_past()
        self.endpointer = Endpointer(model.times)
        self.finished = False

    @property
    def scored(self) -> int:
        """Frames that have their boundary decision."""
        return self.endpointer.frames_seen

    def waiting(self, audio: AudioQueue, final: bool, until: int | None) -> int:
        """Frames to score in the next step, none of them from `until` on; small hops are left to grow unless the audio has ended."""
        ready = stacked_count(self._model.frontend, audio.frames.count, final) - self.scored
        if ready < VAD_HOP_FRAMES and not final:
            return 0
        if until is not None:
            ready = max(0, min(ready, until - self.scored))
        return min(ready, self.bucket(ready))

    def bucket(self, frames: int) -> int:
        """The most frames of the batch that a bite of `frames` goes into."""
        return VAD_SMALL_FRAMES if frames <= VAD_SMALL_FRAMES else VAD_LARGE_FRAMES

    @property
    def small_bite_end(self) -> int:
        """Where the next bite ends if it is a small one."""
        return self.scored + VAD_SMALL_FRAMES

    @property
    def hop_frames(self) -> int:
        """How far its scores may be behind the newest frame when no more than a hop waits."""
        return VAD_HOP_FRAMES + self._model.frontend.lfr_m // 2

    def input(self, frames: FrameBuffer, count: int) -> FloatArray:
        """The next `count` frames as the network reads them."""
        first = frames.first
        return stack(
            self._model.frontend, self._model.model.cmvn, frames.view(first), self.scored, self.scored + count, first
        )

    def accept(self, silence: FloatArray, past: FloatArray) -> list[Boundary]:
        """Take a step's result."""
        self.past = past
        return self.endpointer.push(silence.tolist())

    def finish(self) -> list[Boundary]:
        """The audio has ended and all of it is scored."""
        self.finished = True
        return self.endpointer.push((), final=True)

    def samples_needed(self, audio: AudioQueue, frame: int) -> int:
        """How many samples of the stream the decision at `frame` needs."""
        return audio.samples_until(frame + self._model.frontend.lfr_m // 2)

    @property
    def oldest_needed(self) -> int:
        """The earliest frame it still reads."""
        return min(self.endpointer.earliest_begin, first_frame_of(self._model.frontend, self.scored))


@dataclass
class OnlinePass:
    """One utterance (or a whole stream) through the streaming model, from frame `begin` on."""

    model: ModelDir
    dims: ParaformerDims
    slot: Slot
    begin: int
    stacked: int = 0
    last_token: str = ""
    overlap: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.overlap = np.zeros((self.slot.shape.overlap, self.dims.feature_size), dtype=np.float32)

    def samples_needed(self, audio: AudioQueue) -> int:
        """How many samples of the stream the next whole chunk needs; FunASR counts chunks in samples."""
        begin_samples = audio.samples_until(self.begin) - audio.samples_until(0)
        return begin_samples + (self.stacked + self.slot.shape.stride) * STACKED_SAMPLES

    @property
    def frames_done(self) -> int:
        """The stream's frames that it has gone over."""
        return self.begin + self.stacked * self.model.frontend.lfr_n

    @property
    def frames_needed(self) -> int:
        """The next whole chunk needs the stream's frames before this one."""
        return self.begin + frames_needed(self.model.frontend, self.stacked + self.slot.shape.stride)

    def ready(self, audio: AudioQueue) -> bool:
        """Whether the next whole chunk is here."""
        return audio.framed_samples >= self.samples_needed(audio)

    def chunk(self, frames: FrameBuffer) -> tuple[FloatArray, FloatArray]:
        """The next whole chunk with its overlap, and the overlap to keep once it has run."""
        joined = self._with_overlap(frames, self.stacked + self.slot.shape.stride)
        return joined, joined[len(joined) - self.slot.shape.overlap :]

    def last_chunk(self, audio: AudioQueue) -> FloatArray | None:
        """What is left when the audio has ended, or None when nothing is.

        As in FunASR, less than one stacked frame of new audio is dropped, and the chunk is then the overlap alone.
        """
        rest = audio.framed_samples - (self.samples_needed(audio) - self.slot.shape.stride * STACKED_SAMPLES)
        if rest >= STACKED_SAMPLES:
            return self._with_overlap(
                audio.frames, stacked_count(self.model.frontend, audio.frames.count - self.begin, final=True)
            )
        return self.overlap if self.stacked and len(self.overlap) else None

    def advance(self, overlap: FloatArray) -> None:
        """A whole chunk has run."""
        self.overlap = overlap
        self.stacked += self.slot.shape.stride

    @property
    def oldest_needed(self) -> int:
        """The earliest frame it still reads."""
        return self.begin + first_frame_of(self.model.frontend, self.stacked)

    def _with_overlap(self, frames: FrameBuffer, end: int) -> FloatArray:
        first = max(self.begin, frames.first)
        view = frames.view(first)
        fresh = stack(self.model.frontend, self.model.cmvn, view, self.stacked, end, first - self.begin)
        return np.concatenate([self.overlap, place(fresh, self.stacked, self.dims)])


@dataclass(frozen=True)
class Utterance:
    """A finished utterance that waits for its second pass, since `ready_seconds`, when the sample that ended it arrived."""

    begin: int
    end: int
    frames: FloatArray
    ready_seconds: float
    had_partial: bool
    samples: Samples | None = None


def utterance_frames(model: ModelDir, frames: FrameBuffer, begin: int, end: int) -> FloatArray:
    """Frames `begin`..`end` of the stream as the offline model reads them: (stacked frames, feature_size)."""
    view = frames.view(begin, end)
    return stack(model.frontend, model.cmvn, view, 0, stacked_count(model.frontend, len(view), final=True))
