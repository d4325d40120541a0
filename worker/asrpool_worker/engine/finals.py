"""What becomes of one stream's finished utterances until they are told: second pass, speaker, punctuation, figures.

A state machine like the stream's own: it says which model work the oldest utterance needs next, takes what the model
says, and gives the final when nothing is left to ask. Utterances are worked off one after the other, so finals come in
the order of speech, and what a session keeps between them (an open sentence, its speakers) grows in that order too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Final, Samples, StreamOptions
from asrpool_worker.engine.model_set import ModelSet, offered
from asrpool_worker.engine.modeldir import FloatArray
from asrpool_worker.engine.passes import FRAME_MS, Utterance
from asrpool_worker.engine.punctuation.model import PuncRow, Punctuated
from asrpool_worker.engine.recogniser import OfflineRow, Recognised
from asrpool_worker.engine.scheduler import Stage
from asrpool_worker.engine.sentences import sentences
from asrpool_worker.engine.speaker.roster import SessionSpeakers, SpeakerLabel
from asrpool_worker.engine.text import join

MOST_SPEAKER_SAMPLES = 8 * SAMPLE_RATE_HZ
"""Who speaks is told from so much of an utterance: it is enough, and a longer step would keep partials waiting."""

LEAST_SPEAKER_SAMPLES = SAMPLE_RATE_HZ // 2
"""Shorter speech tells nobody apart."""


@dataclass
class _Draft:
    """A final in the making; `steps` are what it still waits for."""

    recognised: Recognised
    text: str
    steps: list[Stage]
    speaker: SpeakerLabel | None = None
    words: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


@dataclass
class Finals:
    """See the module's docstring."""

    models: ModelSet
    options: StreamOptions
    _utterances: deque[Utterance] = field(default_factory=deque)
    _draft: _Draft | None = None
    _open_sentence: tuple[str, ...] = ()
    _speakers: SessionSpeakers = field(init=False)

    def __post_init__(self) -> None:
        self._speakers = SessionSpeakers(self.models.roster)

    @property
    def wants_samples(self) -> bool:
        """Whether utterances must come with their samples."""
        return self._names_speakers or self.models.needed_offline.reads_samples

    def add(self, utterance: Utterance) -> None:
        """Speech has ended."""
        self._utterances.append(utterance)

    def clear(self) -> None:
        """The stream is over; nothing more will be told."""
        self._utterances.clear()
        self._draft = None

    @property
    def oldest(self) -> Utterance | None:
        """The utterance that is being worked off."""
        return self._utterances[0] if self._utterances else None

    @property
    def stage(self) -> Stage | None:
        """The model work that is needed next, if any."""
        if self._draft is not None:
            return self._draft.steps[0]
        return Stage.OFFLINE if self._utterances else None

    # The rows of that work.

    def offline_row(self) -> OfflineRow:
        """For the second pass."""
        utterance = self._utterances[0]
        options = self.options
        return OfflineRow(
            utterance.frames,
            hotwords=tuple(options.hotwords),
            language=options.language,
            itn=options.itn,
            samples=utterance.samples if self.models.needed_offline.reads_samples else None,
        )

    def speaker_row(self) -> Samples:
        """For the speaker model."""
        return offered(self._utterances[0].samples)[:MOST_SPEAKER_SAMPLES]

    def punc_row(self) -> PuncRow:
        """For the punctuation model."""
        return PuncRow(offered(self._draft).text, self._open_sentence)

    # What the models say.

    def on_offline(self, recognised: Recognised, now: float) -> list[Final]:
        """The second pass read the oldest utterance. One that says nothing is told only to take partials back."""
        utterance = self._utterances[0]
        text = join(recognised.tokens) if recognised.text is None else recognised.text
        if not text:
            self._utterances.popleft()
            return [_final(utterance, "", recognised, now)] if utterance.had_partial else []
        steps = []
        if self._names_speakers and len(offered(utterance.samples)) >= LEAST_SPEAKER_SAMPLES:
            steps.append(Stage.SPEAKER)
        if self.models.punc is not None and self.options.punctuation is not False and not recognised.punctuated:
            steps.append(Stage.PUNC)
        self._draft = _Draft(recognised, text, steps)
        return self._told_if_done(now)

    def on_speaker(self, embedding: FloatArray, now: float) -> list[Final]:
        """The speaker model heard it."""
        draft = offered(self._draft)
        draft.speaker = self._speakers.label(embedding)
        draft.steps.remove(Stage.SPEAKER)
        return self._told_if_done(now)

    def on_punc(self, punctuated: Punctuated, now: float) -> list[Final]:
        """The punctuation model read its text."""
        draft = offered(self._draft)
        self._open_sentence = punctuated.past
        draft.text, draft.words, draft.marks = punctuated.text.strip(), punctuated.words, punctuated.marks
        draft.steps.remove(Stage.PUNC)
        return self._told_if_done(now)

    @property
    def _names_speakers(self) -> bool:
        return self.models.speaker is not None and self.options.speakers is not False

    def _told_if_done(self, now: float) -> list[Final]:
        draft = offered(self._draft)
        if draft.steps:
            return []
        self._draft = None
        utterance, recognised = self._utterances.popleft(), draft.recognised
        text = draft.text
        if self.models.inverse is not None and self.options.itn and not recognised.punctuated:
            text = self.models.inverse(text, recognised.language or self.options.language)
        return [_final(utterance, text, recognised, now, draft)]


def _final(utterance: Utterance, text: str, recognised: Recognised, now: float, draft: _Draft | None = None) -> Final:
    begin_ms = utterance.begin * FRAME_MS
    times = tuple((begin_ms + begin, begin_ms + end) for begin, end in recognised.times_ms)
    words, marks, speaker = (draft.words, draft.marks, draft.speaker) if draft else ((), (), None)
    return Final(
        text=text,
        begin_ms=begin_ms,
        end_ms=utterance.end * FRAME_MS,
        latency_seconds=max(0.0, now - utterance.ready_seconds),
        tokens=recognised.tokens,
        timestamps_ms=times,
        sentences=sentences(recognised.tokens, times, words, marks),
        language=recognised.language,
        emotion=recognised.emotion,
        sound_event=recognised.sound_event,
        speaker=speaker.name if speaker else "",
        speaker_score=speaker.score if speaker else None,
    )
