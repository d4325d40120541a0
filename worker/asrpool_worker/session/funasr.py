"""FunASR's WebSocket protocol as a state machine without I/O.

Messages and engine events go in with the time they happened; commands for the shell come out, to be done in order. A
session outlives its utterances: after an end (`is_speaking: false` or `is_end: true`) the same socket may go on with the
next one, under the same or a new configuration, as FunASR's clients do with lists of files.

    NEW ──text──▶ READY ──audio──▶ SPEAKING ──end──▶ FINISHING ──Ended──▶ READY        any ──error, limit──▶ CLOSED

Promises:
* Every end of an utterance is answered: with `is_end: true` where the client asked so, else with a last `is_final: true`.
* An error is one JSON message with `error`, then a close; nothing follows it.
* What comes in while FINISHING is kept, up to `MAX_PENDING_BYTES`; beyond it `wants_input` turns false and the shell stops reading.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from enum import Enum, auto

from asrpool_worker.engine.messages import Ended, Event, Failed, Final, Mode, Partial, Samples
from asrpool_worker.session.audio import AudioInput
from asrpool_worker.session.commands import Close, Command, Feed, Finish, Open, Reply
from asrpool_worker.session.errors import (
    CLOSE_INVALID_DATA,
    CLOSE_POLICY,
    CLOSE_SERVER_ERROR,
    CLOSE_TOO_BIG,
    ProtocolError,
)
from asrpool_worker.session.options import SessionConfig, parse_text
from asrpool_worker.session.replies import end_reply, error_reply, final_reply, partial_reply, text_reply

MAX_PENDING_BYTES = 1 << 20
TEXT_BURST = 50
TEXT_PER_SECOND = 10.0


@dataclass(frozen=True)
class Limits:
    """What one session may use. `modes`: those that the loaded models serve. `finish_seconds`: how long the engine may say
    nothing between the end of an utterance and its answer.
    """

    modes: frozenset[Mode] = frozenset(Mode)
    max_frame_bytes: int = 4 << 20
    idle_seconds: float = 60.0
    max_seconds: float = 4 * 3600.0
    finish_seconds: float = 120.0


class State(Enum):
    """Where a session stands; the picture above has the transitions."""

    NEW = auto()
    READY = auto()
    SPEAKING = auto()
    FINISHING = auto()
    CLOSED = auto()


class FunasrSession:
    """One client's session. Calls come from one thread; `now` is monotonic seconds."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.state = State.NEW
        self._limits = limits
        self._config = replace(
            SessionConfig(), stream=replace(SessionConfig().stream, mode=_default_mode(limits.modes))
        )
        self._utterance = self._config
        self._audio: AudioInput | None = None
        self._pending: deque[tuple[str | bytes, float]] = deque()
        self._pending_bytes = 0
        self._wants_end_reply = False
        self._said_final = False
        self._expired = False
        self._heard_at = now
        self._input_paused = False
        self._answered_at = now
        self._expires_at = now + limits.max_seconds
        self._text_budget = float(TEXT_BURST)
        self._text_budget_at = now

    @property
    def wants_input(self) -> bool:
        """False while the shell should leave the client's messages in the socket."""
        return self._pending_bytes < MAX_PENDING_BYTES

    @property
    def at_rest(self) -> bool:
        """True while no utterance is under way: a client that leaves now has got all its answers."""
        return self.state in (State.NEW, State.READY)

    @property
    def deadline(self) -> float:
        """When `tick` should be called next at the latest; infinite once closed."""
        if self.state is State.CLOSED:
            return math.inf
        return min(self._expires_at, self._patience_ends_at)

    @property
    def _patience_ends_at(self) -> float:
        """With the engine while it owes an answer, else with the client, unless the shell keeps the client waiting."""
        if self.state is State.FINISHING:
            return self._answered_at + self._limits.finish_seconds
        if self._input_paused:
            return math.inf
        return self._heard_at + self._limits.idle_seconds

    def text(self, message: str, now: float) -> list[Command]:
        """One text message from the client."""
        return self._guarded(message, now, now)

    def binary(self, message: bytes, now: float, arrived: float) -> list[Command]:
        """One binary message from the client: audio, which may have waited to be taken since it `arrived`."""
        return self._guarded(message, now, arrived)

    def event(self, event: Event, now: float) -> list[Command]:
        """One event of the open engine stream."""
        if self.state is State.CLOSED:
            return []
        self._answered_at = now
        mode, wav_name = self._utterance.stream.mode, self._utterance.wav_name
        match event:
            case Partial():
                return [Reply(partial_reply(mode, wav_name, event.text))] if event.text else []
            case Final():
                self._said_final = True
                return [Reply(final_reply(mode, wav_name, event))]
            case Failed():
                code = CLOSE_INVALID_DATA if event.fault == "client" else CLOSE_SERVER_ERROR
                return self.fail(event.message, code, f"{event.fault}_error")
            case Ended():
                return self._ended(now)

    def tick(self, now: float) -> list[Command]:
        """Time has passed: end what has been idle, unanswered or live for too long."""
        if self.state is State.CLOSED:
            return []
        if now >= self._expires_at:
            return self._expire(now)
        if now < self._patience_ends_at:
            return []
        if self.state is State.FINISHING:
            return self.fail(
                f"the end of the utterance was not answered within {self._limits.finish_seconds:g} s; connect again",
                CLOSE_SERVER_ERROR,
                "server_error",
            )
        return self.fail(f"nothing was received for {self._limits.idle_seconds:g} s", CLOSE_POLICY, "idle")

    def input_paused(self) -> None:
        """The shell stops reading: from now on it is not the client that is idle."""
        self._input_paused = True

    def input_resumed(self, now: float) -> None:
        """The shell reads again; the client's idleness counts from here."""
        self._input_paused = False
        self._heard_at = now

    def refuse(self, message: str) -> list[Command]:
        """The engine would not open a stream with the client's options."""
        return self.fail(message, CLOSE_POLICY, "client_error")

    def fail(self, message: str, code: int, result: str) -> list[Command]:
        """End the session with an error that says why."""
        if self.state is State.CLOSED:
            return []
        self.state = State.CLOSED
        self._pending.clear()
        self._pending_bytes = 0
        error = error_reply(self._config.stream.mode, self._config.wav_name, message)
        return [Reply(error), Close(code, message, result)]

    def _guarded(self, message: str | bytes, now: float, arrived: float) -> list[Command]:
        """Take or keep one message; a `ProtocolError` ends the session."""
        if self.state is State.CLOSED:
            return []
        if message:  # an empty frame is no sign of a device that goes on
            self._heard_at = now
        try:
            self._check_rate_and_size(message, now)
            if self.state is State.FINISHING:
                self._pending.append((message, arrived))
                self._pending_bytes += len(message) + 64  # what an empty message costs in the queue
                return []
            return self._take(message, arrived)
        except ProtocolError as error:
            return self.fail(str(error), error.close_code, "client_error")

    def _check_rate_and_size(self, message: str | bytes, now: float) -> None:
        if isinstance(message, bytes):
            if len(message) > self._limits.max_frame_bytes:
                raise ProtocolError(
                    f"binary message of {len(message)} bytes; at most {self._limits.max_frame_bytes} are allowed, send shorter frames",
                    CLOSE_TOO_BIG,
                )
            return
        passed_seconds = now - self._text_budget_at
        self._text_budget = min(TEXT_BURST, self._text_budget + passed_seconds * TEXT_PER_SECOND) - 1
        self._text_budget_at = now
        if self._text_budget < 0:
            raise ProtocolError(f"too many text messages: more than {TEXT_PER_SECOND:g} a second", CLOSE_POLICY)

    def _take(self, message: str | bytes, now: float) -> list[Command]:
        return self._take_text(message, now) if isinstance(message, str) else self._take_audio(message, now)

    def _take_text(self, text: str, now: float) -> list[Command]:
        message = parse_text(text, self._config, self._limits.modes)
        self._config = message.config
        if self.state is State.NEW:
            self.state = State.READY
        if not message.ends_utterance:
            return []
        self._wants_end_reply = message.wants_end_reply
        if self.state is State.SPEAKING:
            return self._finish(now)
        self._utterance = self._config
        self._said_final = False
        return [self._end_reply()]

    def _take_audio(self, data: bytes, now: float) -> list[Command]:
        if self.state is State.NEW:
            raise ProtocolError(
                'audio came before the first text message; send {"mode": "2pass", ...} first', CLOSE_POLICY
            )
        commands: list[Command] = []
        if self._audio is None:
            self._utterance = self._config
            self._audio = AudioInput(self._utterance.wav_format, self._utterance.sample_rate_hz)
            self._said_final = False
            self.state = State.SPEAKING
            commands.append(Open(self._utterance.stream))
        return commands + _feed(self._audio.push(data), now)

    def _finish(self, now: float) -> list[Command]:
        rest = _feed(self._audio.flush(), now) if self._audio is not None else []
        self._audio = None
        self._said_final = False
        self._answered_at = max(self._answered_at, now)  # what was kept while FINISHING is taken with the time it came
        self.state = State.FINISHING
        return [*rest, Finish()]

    def _ended(self, now: float) -> list[Command]:
        commands: list[Command] = [] if self._said_final and not self._wants_end_reply else [self._end_reply()]
        self.state = State.READY
        self._heard_at = now
        if self._expired:
            return commands + self._expire(now)
        while self._pending and self.state in (State.READY, State.SPEAKING):
            message, arrived = self._pending.popleft()
            self._pending_bytes -= len(message) + 64
            try:
                commands += self._take(message, arrived)
            except ProtocolError as error:
                commands += self.fail(str(error), error.close_code, "client_error")
        return commands

    def _expire(self, now: float) -> list[Command]:
        """Longest life reached: what was said is still answered, then the session ends."""
        self._expires_at = math.inf
        self._expired = True
        if self.state is State.SPEAKING:
            return self._finish(now)
        if self.state is State.FINISHING:
            return []
        return self.fail(
            f"the session reached its longest life of {self._limits.max_seconds:g} s; connect again",
            CLOSE_POLICY,
            "max_seconds",
        )

    def _end_reply(self) -> Reply:
        mode, wav_name = self._utterance.stream.mode, self._utterance.wav_name
        return Reply(end_reply(mode, wav_name) if self._wants_end_reply else text_reply(mode, wav_name, ""))


def _default_mode(modes: frozenset[Mode]) -> Mode:
    """FunASR's default is 2pass; a worker without those models offers what it has."""
    return next((mode for mode in (Mode.TWO_PASS, Mode.ONLINE, Mode.OFFLINE) if mode in modes), Mode.TWO_PASS)


def _feed(samples: Samples, now: float) -> list[Command]:
    return [Feed(samples, now)] if len(samples) else []
