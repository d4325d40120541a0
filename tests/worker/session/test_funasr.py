"""The FunASR session, line by line: messages and events in, commands out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrpool_worker.engine.messages import Ended, Event, Failed, Final, Mode, Partial
from asrpool_worker.session.commands import Close, Command, Feed, Finish, Open, Reply
from asrpool_worker.session.funasr import MAX_PENDING_BYTES, FunasrSession, Limits, State
from asrpool_worker.session.replies import final_reply

AUDIO = b"\1\0" * 960


class Talk:
    """A session with a clock of its own, a second a call."""

    def __init__(self, **limits: Any) -> None:
        self.now = 100.0
        self.session = FunasrSession(Limits(**limits), self.now)

    def say(self, **message: Any) -> list[Command]:
        return self.text(json.dumps(message))

    def text(self, text: str) -> list[Command]:
        self.now += 1
        return self.session.text(text, self.now)

    def audio(self, data: bytes = AUDIO) -> list[Command]:
        self.now += 1
        return self.session.binary(data, self.now, self.now)

    def hear(self, event: Event) -> list[Command]:
        self.now += 1
        return self.session.event(event, self.now)

    def tick(self, seconds: float) -> list[Command]:
        self.now += seconds
        return self.session.tick(self.now)


def kinds(commands: Sequence[Command]) -> list[str]:
    return [type(command).__name__ for command in commands]


def replies(commands: Sequence[Command]) -> list[dict[str, Any]]:
    return [command.message for command in commands if isinstance(command, Reply)]


def error(commands: Sequence[Command]) -> tuple[dict[str, Any], int, str]:
    """The error message, the close code and the result of a session's end."""
    assert kinds(commands) == ["Reply", "Close"]
    assert isinstance(commands[1], Close)
    return replies(commands)[0], commands[1].code, commands[1].result


def test_the_engine_stream_is_opened_with_the_first_audio() -> None:
    talk = Talk()
    assert talk.say(mode="online", chunk_size=[5, 10, 5]) == []
    opened, fed = talk.audio()
    assert isinstance(opened, Open)
    assert opened.options.mode is Mode.ONLINE
    assert isinstance(fed, Feed)
    assert fed.arrived_monotonic_seconds == talk.now
    assert np.array_equal(fed.samples, np.full(960, 1 / 32768, np.float32))
    assert kinds(talk.audio()) == ["Feed"]


@pytest.mark.parametrize(
    ("mode", "partial", "final"),
    [("online", "online", "online"), ("2pass", "2pass-online", "2pass-offline"), ("offline", "offline", "offline")],
)
def test_replies_carry_funasrs_names(mode: str, partial: str, final: str) -> None:
    talk = Talk()
    talk.say(mode=mode, wav_name="a")
    talk.audio()
    assert replies(talk.hear(Partial("你", 0.1))) == [
        {"mode": partial, "text": "你", "wav_name": "a", "is_final": False}
    ]
    assert replies(talk.hear(Final("你好", 10, 900, 0.1))) == [
        {"mode": final, "text": "你好", "wav_name": "a", "is_final": True, "start": 10, "end": 900}
    ]


def test_a_partial_without_text_is_not_sent() -> None:
    talk = Talk()
    talk.say()
    talk.audio()
    assert talk.hear(Partial("", 0.1)) == []


def test_a_final_carries_what_the_models_say_of_it() -> None:
    """What exactly is `replies`' matter."""
    talk = Talk()
    talk.say(wav_name="a")
    talk.audio()
    event = Final("你好。", 10, 900, 0.1, ("你", "好"), ((10, 400), (400, 900)), speaker="speaker-1", speaker_score=0.5)
    assert replies(talk.hear(event)) == [final_reply(Mode.TWO_PASS, "a", event)]


def test_the_newer_end_is_answered_with_is_end() -> None:
    talk = Talk()
    talk.say(wav_name="a")
    talk.audio()
    assert kinds(talk.say(is_speaking=False, is_end=True)) == ["Finish"]
    assert kinds(talk.hear(Final("你", 0, 60, 0.1))) == ["Reply"]
    assert replies(talk.hear(Ended())) == [{"mode": "2pass", "wav_name": "a", "is_final": True, "is_end": True}]


def test_the_older_end_needs_no_answer_beyond_the_last_final() -> None:
    talk = Talk()
    talk.say()
    talk.audio()
    talk.say(is_speaking=False)
    talk.hear(Final("你", 0, 60, 0.1))
    assert talk.hear(Ended()) == []


@pytest.mark.parametrize(("mode", "name"), [("2pass", "2pass-offline"), ("online", "online"), ("offline", "offline")])
def test_the_older_end_without_a_final_is_answered_with_an_empty_one(mode: str, name: str) -> None:
    """Old clients wait for `is_final`: silence must not leave them waiting. A final from before the end does not count."""
    talk = Talk()
    talk.say(mode=mode, wav_name="a")
    talk.audio()
    talk.hear(Final("你", 0, 60, 0.1))
    talk.say(is_speaking=False)
    assert replies(talk.hear(Ended())) == [{"mode": name, "text": "", "wav_name": "a", "is_final": True}]


def test_an_end_without_audio_is_answered_at_once() -> None:
    talk = Talk()
    assert replies(talk.say(is_speaking=False, is_end=True)) == [
        {"mode": "2pass", "wav_name": "microphone", "is_final": True, "is_end": True}
    ]
    assert talk.session.state is State.READY


def test_the_socket_goes_on_with_the_next_utterance_under_a_new_configuration() -> None:
    talk = Talk()
    talk.say(mode="online", wav_name="a")
    talk.audio()
    talk.say(is_speaking=False, is_end=True)
    talk.hear(Ended())
    talk.say(mode="2pass", wav_name="b", is_speaking=True)
    opened = talk.audio()[0]
    assert isinstance(opened, Open)
    assert opened.options.mode is Mode.TWO_PASS
    assert replies(talk.hear(Partial("一", 0.1)))[0]["wav_name"] == "b"


def test_a_configuration_in_mid_utterance_counts_from_the_next_one() -> None:
    talk = Talk()
    talk.say(mode="2pass", wav_name="a")
    talk.audio()
    assert talk.say(mode="offline", wav_name="b") == []
    assert replies(talk.hear(Partial("一", 0.1)))[0] == {
        "mode": "2pass-online",
        "text": "一",
        "wav_name": "a",
        "is_final": False,
    }
    talk.say(is_speaking=False)
    talk.hear(Final("一", 0, 60, 0.1))
    talk.hear(Ended())
    opened = talk.audio()[0]
    assert isinstance(opened, Open)
    assert opened.options.mode is Mode.OFFLINE


def test_what_comes_while_the_end_is_worked_on_waits_its_turn() -> None:
    talk = Talk()
    talk.say(wav_name="a")
    talk.audio()
    talk.say(is_speaking=False, is_end=True)
    assert talk.say(wav_name="b") == []
    assert talk.audio() == []
    assert talk.say(is_speaking=False, is_end=True) == []
    commands = talk.hear(Ended())
    assert kinds(commands) == ["Reply", "Open", "Feed", "Finish"]
    assert replies(commands)[0]["wav_name"] == "a"
    assert replies(talk.hear(Ended()))[0]["wav_name"] == "b"


def test_waiting_input_is_bounded() -> None:
    talk = Talk(max_frame_bytes=MAX_PENDING_BYTES)
    talk.say()
    talk.audio()
    talk.say(is_speaking=False)
    assert talk.session.wants_input
    talk.audio(bytes(MAX_PENDING_BYTES))
    assert not talk.session.wants_input
    talk.hear(Ended())
    assert talk.session.wants_input


def test_a_bad_message_that_waited_ends_the_session_when_its_turn_comes() -> None:
    talk = Talk()
    talk.say()
    talk.audio()
    talk.say(is_speaking=False, is_end=True)
    talk.text("junk")
    commands = talk.hear(Ended())
    assert kinds(commands) == ["Reply", "Reply", "Close"]
    assert talk.session.state is State.CLOSED


@pytest.mark.parametrize(
    ("act", "code", "sentence"),
    [
        pytest.param(lambda talk: talk.text("hello"), 1007, "not JSON", id="not JSON"),
        pytest.param(lambda talk: talk.audio(), 1008, "audio came before the first text message", id="audio first"),
        pytest.param(lambda talk: talk.audio(bytes(5 << 20)), 1009, "5242880 bytes", id="frame too big"),
        pytest.param(lambda talk: talk.say(mode="3pass"), 1008, "unknown", id="unknown mode"),
    ],
)
def test_an_error_is_one_message_and_a_close(act: Any, code: int, sentence: str) -> None:
    talk = Talk()
    message, closed_with, result = error(act(talk))
    assert sentence in message.pop("error")
    assert message == {"mode": "2pass", "wav_name": "microphone", "is_final": False, "is_end": True}
    assert (closed_with, result) == (code, "client_error")


def test_nothing_follows_an_error() -> None:
    talk = Talk()
    talk.text("hello")
    assert talk.say() == talk.audio() == talk.hear(Partial("一", 0.1)) == talk.tick(1e6) == []
    assert talk.session.deadline == math.inf


@pytest.mark.parametrize(("fault", "code"), [("client", 1007), ("server", 1011)])
def test_a_failed_engine_stream_says_whose_fault_it_was(fault: str, code: int) -> None:
    talk = Talk()
    talk.say()
    talk.audio()
    message, closed_with, result = error(talk.hear(Failed("no numbers", fault)))
    assert (message["error"], closed_with, result) == ("no numbers", code, f"{fault}_error")


def test_options_that_the_engine_refuses_are_the_clients_fault() -> None:
    talk = Talk()
    talk.say()
    talk.audio()
    assert error(talk.session.refuse("no such look-ahead"))[1:] == (1008, "client_error")


def test_a_text_flood_is_ended_and_a_lively_client_is_not() -> None:
    talk = Talk()
    for _ in range(200):
        talk.now += 1  # two seconds between two messages
        assert talk.say(wav_name="a") == []
    for _ in range(49):
        assert talk.session.text("{}", talk.now) == []
    commands: list[Command] = []
    while not commands:
        commands = talk.session.text("{}", talk.now)
    assert "too many text messages" in error(commands)[0]["error"]


def test_a_client_that_sends_nothing_is_ended() -> None:
    talk = Talk(idle_seconds=10)
    assert talk.session.deadline == talk.now + 10
    assert talk.tick(9.9) == []
    message, code, result = error(talk.tick(0.2))
    assert (message["error"], code, result) == ("nothing was received for 10 s", 1008, "idle")


def test_waiting_for_our_answer_is_not_idleness() -> None:
    talk = Talk(idle_seconds=10)
    talk.say()
    talk.audio()
    talk.say(is_speaking=False)
    assert talk.tick(50) == []
    talk.hear(Ended())
    assert talk.session.deadline == talk.now + 10


def test_time_in_which_the_server_did_not_read_is_not_idleness() -> None:
    talk = Talk(idle_seconds=10)
    talk.say()
    talk.audio()
    talk.session.input_resumed(talk.now + 9)
    assert talk.tick(15) == []


def test_a_client_that_the_server_keeps_waiting_is_not_idle_however_long_it_lasts() -> None:
    talk = Talk(idle_seconds=10)
    talk.say()
    talk.audio()
    talk.session.input_paused()
    assert talk.session.deadline > talk.now + 1_000
    assert talk.tick(100) == []
    talk.session.input_resumed(talk.now)
    assert talk.tick(9.9) == []
    assert error(talk.tick(0.2))[2] == "idle"


def test_an_end_that_the_engine_does_not_answer_is_its_fault() -> None:
    talk = Talk(finish_seconds=20)
    talk.say()
    talk.audio()
    talk.say(is_speaking=False)
    assert talk.session.deadline == talk.now + 20
    assert talk.tick(19) == []
    talk.hear(Partial("一", 0.1))
    assert talk.tick(19) == [], "it is at work"
    message, code, result = error(talk.tick(1))
    assert "not answered within 20 s" in message["error"]
    assert (code, result) == (1011, "server_error")


def test_an_end_that_had_to_wait_its_turn_gets_its_whole_time() -> None:
    talk = Talk(finish_seconds=20, idle_seconds=1_000)
    talk.say()
    talk.audio()
    talk.say(is_speaking=False)
    talk.audio()
    talk.say(is_speaking=False)
    for _ in range(3):
        talk.now += 15
        talk.hear(Partial("一", 0.1))
    talk.hear(Ended())
    assert talk.session.deadline == talk.now + 20


def test_the_longest_life_ends_with_what_was_said() -> None:
    talk = Talk(max_seconds=100, idle_seconds=1_000)
    talk.say()
    talk.audio()
    assert kinds(talk.tick(100)) == ["Finish"]
    assert kinds(talk.hear(Final("你", 0, 60, 0.1))) == ["Reply"]
    message, code, result = error(talk.hear(Ended()))
    assert ("longest life of 100 s" in message["error"], code, result) == (True, 1008, "max_seconds")


def test_the_longest_life_of_a_silent_client_ends_at_once() -> None:
    talk = Talk(max_seconds=100, idle_seconds=1_000)
    talk.say()
    assert error(talk.tick(100))[2] == "max_seconds"


def test_the_resampler_is_emptied_at_the_end() -> None:
    talk = Talk()
    talk.say(audio_fs=8_000)
    commands = talk.audio() + talk.say(is_speaking=False)
    assert kinds(commands)[-2:] == ["Feed", "Finish"]
    fed = sum(len(command.samples) for command in commands if isinstance(command, Feed))
    assert abs(fed - 1_920) <= 2


def test_a_worker_without_the_second_pass_offers_what_it_has() -> None:
    talk = Talk(modes=frozenset({Mode.ONLINE}))
    talk.text("{}")
    opened = talk.audio()[0]
    assert isinstance(opened, Open)
    assert opened.options.mode is Mode.ONLINE


ACTIONS = st.sampled_from(
    ["say", "audio", "odd", "end", "newer end", "junk", "partial", "final", "ended", "failed", "wait"]
)


@given(st.lists(ACTIONS, max_size=30))
def test_commands_always_make_sense_to_the_shell(actions: list[str]) -> None:
    """Whatever comes in whatever order: one engine stream at a time, fed only while open, nothing after a close."""
    talk = Talk()
    open_, finished, closed = False, False, False
    acts: dict[str, Any] = {
        "say": lambda: talk.say(wav_name="a"),
        "audio": talk.audio,
        "odd": lambda: talk.audio(b"abc"),
        "end": lambda: talk.say(is_speaking=False),
        "newer end": lambda: talk.say(is_end=True),
        "junk": lambda: talk.text("junk"),
        "partial": lambda: talk.hear(Partial("一", 0.1)),
        "final": lambda: talk.hear(Final("一", 0, 60, 0.1)),
        "ended": lambda: talk.hear(Ended()),
        "failed": lambda: talk.hear(Failed("x", "server")),
        "wait": lambda: talk.tick(40),
    }
    for action in actions:
        if action in ("partial", "final") and not open_:
            continue
        if action == "ended" and not finished:
            continue
        if action == "failed" and not open_:
            continue
        if action in ("ended", "failed"):
            open_ = finished = False
        for command in acts[action]():
            assert not closed
            match command:
                case Open():
                    assert not open_
                    open_ = True
                case Feed(samples):
                    assert open_
                    assert not finished
                    assert len(samples)
                case Finish():
                    assert open_
                    assert not finished
                    finished = True
                case Close():
                    closed, open_ = True, False
