"""Finals in FunASR's own keys, and what is left out where no model says it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from asrpool_worker.engine.messages import Final, Mode, Sentence
from asrpool_worker.session.replies import final_reply

TOKENS = ("你", "好", "小", "爱")
TIMES = ((10, 200), (200, 400), (500, 700), (700, 900))
PLAIN = Final("你好小爱", 0, 960, 0.1, TOKENS, TIMES)
SENTENCES = (Sentence("你好", "，", 10, 400, TIMES[:2]), Sentence("小爱", "。", 500, 900, TIMES[2:]))


def reply(final: Final) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(json.dumps(final_reply(Mode.TWO_PASS, "a.wav", final)))
    return message


def test_times_come_as_funasr_sends_them_one_as_a_string() -> None:
    message = reply(PLAIN)
    assert message["timestamp"] == "[[10,200],[200,400],[500,700],[700,900]]"
    assert json.loads(message["timestamp"]) == [list(stamp) for stamp in TIMES]


def test_without_punctuation_the_utterance_is_one_sentence() -> None:
    assert reply(PLAIN)["stamp_sents"] == [
        {"text_seg": "你 好 小 爱", "punc": "", "start": 0, "end": 960, "ts_list": [list(stamp) for stamp in TIMES]}
    ]


def test_a_final_says_where_its_utterance_lies_whatever_its_sentences_fill() -> None:
    message = reply(replace(PLAIN, sentences=SENTENCES))
    assert (message["start"], message["end"]) == (0, 960)
    assert (message["stamp_sents"][0]["start"], message["stamp_sents"][-1]["end"]) == (10, 900)


def test_punctuation_parts_the_words_and_their_times() -> None:
    message = reply(replace(PLAIN, text="你好，小爱。", sentences=SENTENCES))
    assert message["text"] == "你好，小爱。"
    assert message["stamp_sents"] == [
        {"text_seg": "你 好", "punc": "，", "start": 10, "end": 400, "ts_list": [[10, 200], [200, 400]]},
        {"text_seg": "小 爱", "punc": "。", "start": 500, "end": 900, "ts_list": [[500, 700], [700, 900]]},
    ]


def test_text_without_times_has_no_sentences() -> None:
    assert reply(Final("你好。", 0, 960, 0.1, ("你", "好"))) == {
        "mode": "2pass-offline",
        "text": "你好。",
        "wav_name": "a.wav",
        "is_final": True,
        "start": 0,
        "end": 960,
    }


@pytest.mark.parametrize(
    ("said", "keys"),
    [
        ({}, {}),
        ({"speaker": "alice", "speaker_score": 0.123456}, {"spk_name": "alice", "spk_score": 0.1235}),
        ({"speaker": "speaker-1", "speaker_score": 0.0}, {"spk_name": "speaker-1", "spk_score": 0.0}),
        ({"speaker": "speaker-1"}, {"spk_name": "speaker-1"}),
        (
            {"language": "yue", "emotion": "happy", "sound_event": "speech"},
            {"language": "yue", "emotion": "happy", "event": "speech"},
        ),
        ({"emotion": "sad"}, {"emotion": "sad"}),
    ],
)
def test_only_what_a_model_says_is_sent(said: dict[str, Any], keys: dict[str, object]) -> None:
    plain = Final("你好", 0, 960, 0.1)
    assert reply(replace(plain, **said)) == reply(plain) | keys
