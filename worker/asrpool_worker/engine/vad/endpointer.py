"""Where utterances begin and end: one session's state machine over the VAD network's frames.

FunASR's rules (its E2E VAD in multiple-utterance mode, fixed silence time), in their words:
* A frame is speech when P(speech) ≥ P(silence) + margin.
* A sliding window of `window_ms` turns to speech when it holds `silence_to_speech_ms` of speech, and back to silence
  when no more than `speech_to_silence_ms` is left in it.
* On the turn to speech an utterance begins, earlier by the window and `look_back_ms`, but never inside the previous one.
* An utterance ends when the window has been silent for `max_end_silence_ms` less `speech_to_silence_ms` (its end is
  `look_ahead_ms` into that silence), when it has lasted `max_segment_ms`, or with the audio.

No I/O, no clock, no arrays kept: memory is the window. Frames are counted from the start of the stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class EndpointTimes:
    """FunASR's VAD options, in milliseconds; `speech_margin` is a difference of probabilities."""

    frame_ms: int = 10
    window_ms: int = 200
    silence_to_speech_ms: int = 150
    speech_to_silence_ms: int = 150
    max_end_silence_ms: int = 800
    look_back_ms: int = 200
    look_ahead_ms: int = 100
    max_segment_ms: int = 60_000
    speech_margin: float = 0.6

    @property
    def begin_look_back_frames(self) -> int:
        """How far before the frame that decided it an utterance may begin."""
        return self.window_ms // self.frame_ms + self.look_back_ms // self.frame_ms


@dataclass(frozen=True)
class Begin:
    """An utterance begins with `frame`."""

    frame: int


@dataclass(frozen=True)
class End:
    """The open utterance ends before `frame`; `decided` is the frame that showed it."""

    frame: int
    decided: int


Boundary = Begin | End


class Endpointer:
    """Push silence probabilities, get boundaries: begins and ends alternate, and never go back in time."""

    def __init__(self, times: EndpointTimes) -> None:
        self._times = times
        self._window: deque[int] = deque()
        self._window_speech = 0
        self._window_frames = times.window_ms // times.frame_ms
        self._to_speech_frames = times.silence_to_speech_ms // times.frame_ms
        self._to_silence_frames = times.speech_to_silence_ms // times.frame_ms
        self._silence_limit_frames = max(0, times.max_end_silence_ms - times.speech_to_silence_ms) // times.frame_ms
        self._in_speech_window = False
        self._silent_frames = 0
        self._frame = 0
        self._earliest_begin = 0
        self._begin: int | None = None

    @property
    def frames_seen(self) -> int:
        """Frames pushed so far."""
        return self._frame

    @property
    def open_since(self) -> int | None:
        """First frame of the utterance that is going on, if one is."""
        return self._begin

    @property
    def earliest_begin(self) -> int:
        """No utterance will begin before this frame: older audio may be dropped."""
        if self._begin is not None:
            return self._begin
        return max(self._earliest_begin, self._frame - self._times.begin_look_back_frames)

    def push(self, silence: Iterable[float], final: bool = False) -> list[Boundary]:
        """Take the next frames' P(silence); with `final` the audio ends after them, and so does an open utterance."""
        boundaries: list[Boundary] = []
        for probability in silence:
            boundary = self._frame_step(1.0 - probability >= probability + self._times.speech_margin)
            if boundary is not None:
                boundaries.append(boundary)
            self._frame += 1
        if final and self._begin is not None:
            boundaries.append(self._close(self._frame, self._frame - 1))
        return boundaries

    def _frame_step(self, speech: bool) -> Boundary | None:
        turned = self._slide_window(speech)
        self._silent_frames = 0 if self._in_speech_window or turned else self._silent_frames + 1
        if self._begin is None:
            if not (turned and self._in_speech_window):
                return None
            self._begin = max(self._earliest_begin, self._frame - self._times.begin_look_back_frames)
            return Begin(self._begin)
        if not self._in_speech_window and self._silent_frames and self._silent_frames >= self._silence_limit_frames:
            tail = max(0, self._silence_limit_frames - self._times.look_ahead_ms // self._times.frame_ms - 1)
            return self._close(self._frame - tail + 1, self._frame)
        if self._frame - self._begin + 1 > self._times.max_segment_ms // self._times.frame_ms:
            return self._close(self._frame + 1, self._frame)
        return None

    def _slide_window(self, speech: bool) -> bool:
        """Move the window on by one frame; true when it turned from silence to speech or back."""
        self._window.append(int(speech))
        self._window_speech += int(speech)
        if len(self._window) > self._window_frames:
            self._window_speech -= self._window.popleft()
        if not self._in_speech_window and self._window_speech >= self._to_speech_frames:
            self._in_speech_window = True
            return True
        if self._in_speech_window and self._window_speech <= self._to_silence_frames:
            self._in_speech_window = False
            return True
        return False

    def _close(self, end: int, decided: int) -> End:
        """End the open utterance before frame `end`, and start anew with an empty window."""
        self._begin = None
        self._earliest_begin = end
        self._window.clear()
        self._window_speech = 0
        self._in_speech_window = False
        self._silent_frames = 0
        return End(end, decided)
