"""One stream inside the engine: which model work it needs next, and what the results mean for its listener.

A state machine without I/O, threads or clock: the engine thread feeds it, runs the work it asks for in batches with that
of other streams, and hands back results. At any time a stream asks for one piece of work at most, in this order: the
second pass of an utterance that ended, the next streaming chunk, VAD. So its events come in the order of its speech, and
which events they are does not depend on how fast audio came or what other streams did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from asrpool_worker.engine.audio import AudioQueue
from asrpool_worker.engine.finals import Finals
from asrpool_worker.engine.messages import (
    SAMPLE_RATE_HZ,
    Ended,
    Event,
    Failed,
    Mode,
    Partial,
    Samples,
    Sink,
    StreamOptions,
)
from asrpool_worker.engine.model_set import ModelSet, offered
from asrpool_worker.engine.modeldir import FloatArray
from asrpool_worker.engine.options import Limits, StepShape
from asrpool_worker.engine.paraformer.online_model import ChunkRow
from asrpool_worker.engine.passes import FRAME_MS, STACKED_SAMPLES, OnlinePass, Utterance, VadPass, utterance_frames
from asrpool_worker.engine.punctuation.model import Punctuated
from asrpool_worker.engine.recogniser import Recognised
from asrpool_worker.engine.scheduler import Job, Stage
from asrpool_worker.engine.text import join, spoken
from asrpool_worker.engine.vad.endpointer import Begin, Boundary


@dataclass
class StreamState:
    """See the module's docstring. `key` and `sink` are only kept here for the engine."""

    key: int
    session_id: str
    options: StreamOptions
    shape: StepShape
    models: ModelSet
    limits: Limits
    sink: Sink
    audio: AudioQueue = field(init=False)
    finals: Finals = field(init=False)
    over: bool = False
    _finish_seconds: float | None = None
    _done_seconds: float = 0.0
    _vad: VadPass | None = None
    _online: OnlinePass | None = None
    _begin: int | None = None
    _had_partial: bool = False
    _next_overlap: FloatArray | None = None

    def __post_init__(self) -> None:
        self.finals = Finals(self.models, self.options)
        self.audio = AudioQueue(self.models.frontend, self.mode is not Mode.ONLINE and self.finals.wants_samples)
        if self.models.vad is not None and self.mode is not Mode.ONLINE:
            self._vad = VadPass(self.models.vad)
        else:
            self._open_utterance(0)

    @property
    def mode(self) -> Mode:
        """What its session asked for."""
        return self.options.mode

    # What the listener's side says.

    def accept(self, samples: Samples, arrived_seconds: float) -> Failed | None:
        """Take audio; a `Failed` when it cannot be used."""
        if self._finish_seconds is not None:
            return Failed("audio came after the end of the stream; open another one", "client")
        if not np.isfinite(samples).all():
            return Failed(
                "the audio holds samples that are not finite numbers; send 16-bit PCM or floats in [-1, 1)", "client"
            )
        self.audio.push(samples, arrived_seconds)
        if self.backlog_samples > self.limits.max_backlog_seconds * SAMPLE_RATE_HZ:
            limit = self.limits.max_backlog_seconds
            return Failed(
                f"more than {limit:g} s of audio wait to be recognised; send no faster than replies come", "client"
            )
        return None

    def finish(self, now: float) -> None:
        """No more audio will come."""
        self._finish_seconds = now

    def frame_some(self) -> bool:
        """Turn waiting samples into frames; true while more wait."""
        self.audio.frame_some()
        return self.audio.unframed_samples > 0

    @property
    def backlog_samples(self) -> int:
        """Samples received that some pass has still to go over."""
        done = self.audio.framed_samples
        if self._vad is not None:
            done = min(done, self._vad.scored * self._shift)
        if self._online is not None:
            done = min(done, self._online.frames_done * self._shift)
        if self.finals.oldest is not None:
            done = min(done, self.finals.oldest.begin * self._shift)
        return self.audio.received_samples - done

    # What the engine asks.

    @property
    def hears_online(self) -> bool:
        """Whether it will bring a chunk for the streaming model in every period."""
        return self._online is not None and self._finish_seconds is None

    def next_job(self) -> Job[StreamState] | None:
        """The piece of work this stream is ready for, if any."""
        if self.over:
            return None
        stage, utterance = self.finals.stage, self.finals.oldest
        if stage is not None and utterance is not None:
            frames = len(utterance.frames) if stage is Stage.OFFLINE else 0
            return self._job(stage, frames.bit_length(), utterance.ready_seconds, frames)
        if self._online is not None and self._online.ready(self.audio) and self._belongs(self._online):
            return self._job(Stage.ONLINE, self.shape, self._arrival(self._online.samples_needed(self.audio)))
        waiting = self._vad_waiting
        if self._vad is not None and waiting > 0:
            samples = self._vad.samples_needed(self.audio, self._vad.scored + waiting - 1)
            return self._job(Stage.VAD, self._vad.bucket(waiting), self._arrival(samples))
        if self._online is not None and self._flushing and self._online.last_chunk(self.audio) is not None:
            return self._job(Stage.ONLINE, self.shape, self._arrival(self.audio.received_samples))
        return None

    def settle(self) -> list[Event]:
        """What follows when no work is ready: a long utterance is cut; at the end of the audio, the last boundary, then the end."""
        if self.over or self._cut_long_utterance() or not self._all_framed:
            return []
        if self._vad is not None and not self._vad.finished:
            self._take_boundaries(self._vad.finish())
        elif self._vad is None and self.mode is not Mode.ONLINE and self._begin is not None:
            self._close_utterance(self.audio.frames.count, self.audio.received_samples)
        if self.next_job() is not None:
            return []
        self.over = True
        return [Ended()]

    def vad_row(self) -> tuple[FloatArray, FloatArray]:
        """The row of its VAD job."""
        vad = offered(self._vad)
        return vad.input(self.audio.frames, self._vad_waiting), vad.past

    def online_row(self) -> ChunkRow:
        """The row of its streaming job."""
        online = offered(self._online)
        if online.ready(self.audio):
            frames, self._next_overlap = online.chunk(self.audio.frames)
            return ChunkRow(online.slot, frames, final=False)
        self._next_overlap = None
        return ChunkRow(online.slot, offered(online.last_chunk(self.audio)), final=True)

    # What the models say.

    def on_vad(self, silence: FloatArray, past: FloatArray, now: float) -> list[Event]:
        """The VAD scored the frames of `vad_row`."""
        self._done_seconds = now
        self._take_boundaries(offered(self._vad).accept(silence, past))
        self._drop_frames()
        return []

    def on_online(self, token_ids: tuple[int, ...], now: float) -> list[Event]:
        """The streaming model read the chunk of `online_row`."""
        online = offered(self._online)
        if self._next_overlap is not None:
            arrived = self._arrival(online.samples_needed(self.audio))
            online.advance(self._next_overlap)
        else:
            arrived = self._arrival(self.audio.received_samples)
            self._close_online()
        self._done_seconds = now
        tokens = spoken(self.models.needed_online.model.tokens[number] for number in token_ids)
        self._drop_frames()
        if not tokens:
            return []
        text = join(tokens, online.last_token)
        online.last_token = tokens[-1]
        self._had_partial = True
        return [Partial(text, max(0.0, now - arrived))]

    def on_offline(self, recognised: Recognised, now: float) -> Sequence[Event]:
        """The second pass read the oldest utterance."""
        self._done_seconds = now
        return self.finals.on_offline(recognised, now)

    def on_speaker(self, embedding: FloatArray, now: float) -> Sequence[Event]:
        """The speaker model heard it."""
        self._done_seconds = now
        return self.finals.on_speaker(embedding, now)

    def on_punc(self, punctuated: Punctuated, now: float) -> Sequence[Event]:
        """The punctuation model read its text."""
        self._done_seconds = now
        return self.finals.on_punc(punctuated, now)

    def release(self) -> None:
        """Give back what the stream holds in the models; it takes no more work."""
        self.over = True
        self._close_online()
        self.finals.clear()

    # Within.

    @property
    def _shift(self) -> int:
        return self.models.frontend.frame_shift_samples

    @property
    def _all_framed(self) -> bool:
        return self._finish_seconds is not None and not self.audio.unframed_samples

    @property
    def _vad_gate(self) -> int | None:
        """How far the VAD may go before the next streaming chunk runs, if one will.

        So whether a chunk still belongs to its utterance follows from the audio alone, not from which work came first.
        For the same reason the VAD takes small bites where partials are wanted: it must not find an utterance's end in
        the bite that finds its beginning.
        """
        if self._vad is None or self.mode is Mode.OFFLINE:
            return None
        bite_end = self._vad.small_bite_end
        return bite_end if self._online is None else min(bite_end, self._chunk_gate)

    @property
    def _chunk_gate(self) -> int:
        """The next streaming chunk runs when the VAD has come this far."""
        return offered(self._online).frames_needed - offered(self._vad).hop_frames

    def _belongs(self, online: OnlinePass) -> bool:
        """Whether it is known that the next chunk lies within the utterance that is going on."""
        if self._vad is not None:
            return self._vad.scored >= self._chunk_gate
        return self._cut_frame is None or online.frames_needed <= self._cut_frame

    @property
    def _vad_waiting(self) -> int:
        """Frames that the VAD may score now."""
        if self._vad is None:
            return 0
        last_chunk_came = self._all_framed and self._online is not None and not self._online.ready(self.audio)
        gate = self._vad.small_bite_end if last_chunk_came else self._vad_gate
        return self._vad.waiting(self.audio, self._all_framed, gate)

    @property
    def _flushing(self) -> bool:
        """In online mode the last chunk is run too; in 2pass the second pass says all that it would say."""
        return self.mode is Mode.ONLINE and self._all_framed

    def _job(self, stage: Stage, bucket: object, ready_seconds: float, frames: int = 0) -> Job[StreamState]:
        period_seconds = self.shape.stride * STACKED_SAMPLES / SAMPLE_RATE_HZ if stage is Stage.ONLINE else 0.0
        return Job(self, stage, bucket, max(ready_seconds, self._done_seconds), frames, period_seconds)

    def _arrival(self, samples: int) -> float:
        """When the last of `samples` arrived; where all samples are needed, not before the stream was finished."""
        arrived = self.audio.arrival_of(samples - 1)
        if samples >= self.audio.received_samples and self._finish_seconds is not None:
            return max(arrived, self._finish_seconds)
        return arrived

    def _take_boundaries(self, boundaries: list[Boundary]) -> None:
        vad = offered(self._vad)
        for boundary in boundaries:
            if isinstance(boundary, Begin):
                self._open_utterance(boundary.frame)
            else:
                end = min(boundary.frame, self.audio.frames.count)
                needed = vad.samples_needed(self.audio, boundary.decided)
                self._close_utterance(end, min(needed, self.audio.received_samples))

    def _open_utterance(self, begin: int) -> None:
        self._begin = begin
        self._had_partial = False
        online = self.models.online
        if online is not None and self.mode is not Mode.OFFLINE:
            self._online = OnlinePass(online.model, online.dims, online.acquire(self.shape), begin)

    def _close_utterance(self, end: int, samples: int) -> None:
        begin = offered(self._begin)
        if end > begin:
            frames = utterance_frames(self.models.needed_offline.model, self.audio.frames, begin, end)
            heard = self.audio.samples_of(begin, end)
            self.finals.add(Utterance(begin, end, frames, self._arrival(samples), self._had_partial, heard))
        self._begin = None
        self._close_online()

    def _close_online(self) -> None:
        if self._online is not None and self.models.online is not None:
            self.models.online.release(self._online.slot)
        self._online = None

    @property
    def _cut_frame(self) -> int | None:
        """Without a VAD a stream is one utterance; a long one is cut here, so that memory and the second pass stay bounded."""
        if self._vad is not None or self.mode is Mode.ONLINE or self._begin is None:
            return None
        return self._begin + int(self.limits.max_utterance_seconds * 1000 / FRAME_MS)

    def _cut_long_utterance(self) -> bool:
        end = self._cut_frame
        if end is None or self.audio.frames.count <= end:
            return False
        self._close_utterance(end, self.audio.samples_until(end))
        self._open_utterance(end)
        self._drop_frames()
        return True

    def _drop_frames(self) -> None:
        needed = [self.audio.frames.count]
        if self._vad is not None:
            needed.append(self._vad.oldest_needed)
        if self._online is not None:
            needed.append(self._online.oldest_needed)
        if self._begin is not None and self.mode is not Mode.ONLINE:
            needed.append(self._begin)
        self.audio.drop_before(min(needed))
