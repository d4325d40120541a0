"""One model step: the rows of a batch of streams go in, and what the model says of each comes back as a call to make.

Apart from the engine's thread because it is the only place that knows which model serves which stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from asrpool_worker.engine.messages import Event
from asrpool_worker.engine.model_set import ModelSet
from asrpool_worker.engine.scheduler import Job, Stage
from asrpool_worker.engine.stream_state import StreamState

StreamJob = Job[StreamState]
Result = Callable[[float], Sequence[Event]]
"""Called with the time: only then does its stream change, and it gives the stream's events."""


def run_step(models: ModelSet, batch: Sequence[StreamJob]) -> list[Result]:
    """Run the model of the batch's stage once. What it raises, no stream has noticed."""
    streams = [job.stream for job in batch]
    match batch[0].stage:
        case Stage.VAD:
            scored = models.needed_vad.step([stream.vad_row() for stream in streams])
            return [partial(stream.on_vad, *row) for stream, row in zip(streams, scored, strict=True)]
        case Stage.ONLINE:
            tokens = models.needed_online.step([stream.online_row() for stream in streams])
            return [partial(stream.on_online, row) for stream, row in zip(streams, tokens, strict=True)]
        case Stage.OFFLINE:
            said = models.needed_offline.run([stream.finals.offline_row() for stream in streams])
            return [partial(stream.on_offline, row) for stream, row in zip(streams, said, strict=True)]
        case Stage.SPEAKER:
            voices = models.needed_speaker.embed([stream.finals.speaker_row() for stream in streams])
            return [partial(stream.on_speaker, row) for stream, row in zip(streams, voices, strict=True)]
        case Stage.PUNC:
            written = models.needed_punc.run([stream.finals.punc_row() for stream in streams])
            return [partial(stream.on_punc, row) for stream, row in zip(streams, written, strict=True)]
