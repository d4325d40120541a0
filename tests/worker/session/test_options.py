"""What a text message may say: every field's forms, defaults and bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrpool_worker.engine.messages import Mode
from asrpool_worker.session.errors import ProtocolError
from asrpool_worker.session.options import SessionConfig, TextMessage, parse_text

ALL_MODES = frozenset(Mode)


def parse(**message: Any) -> TextMessage:
    return parse_text(json.dumps(message), SessionConfig(), ALL_MODES)


def test_an_empty_object_means_funasrs_defaults() -> None:
    message = parse()
    assert message.config == SessionConfig()
    assert message.config.stream.mode is Mode.TWO_PASS
    assert message.config.stream.chunk_size == (5, 10, 5)
    assert (message.ends_utterance, message.wants_end_reply) == (False, False)


def test_all_fields_are_read() -> None:
    config = parse(
        mode="online",
        chunk_size="0, 8, 4",
        chunk_interval=10,
        encoder_chunk_look_back=2,
        decoder_chunk_look_back=0,
        wav_name="客厅.wav",
        wav_format="WAV",
        audio_fs=8000,
        itn=False,
        svs_lang="zh",
        hotwords="窗帘",
        punc=True,
        speaker=False,
        is_speaking=True,
        unknown={"field": 1},
    ).config
    assert config.stream.mode is Mode.ONLINE
    assert config.stream.chunk_size == (0, 8, 4)
    assert (config.stream.encoder_chunk_look_back, config.stream.decoder_chunk_look_back) == (2, 0)
    assert (config.wav_name, config.wav_format, config.sample_rate_hz) == ("客厅.wav", "wav", 8000)
    assert (config.stream.itn, config.stream.language, config.stream.hotwords) == (False, "zh", {"窗帘": 20})
    assert (config.stream.punctuation, config.stream.speakers) == (True, False)


def test_a_later_message_changes_only_what_it_names() -> None:
    first = parse(mode="offline", wav_name="a").config
    second = parse_text('{"wav_name": "b"}', first, ALL_MODES).config
    assert (second.stream.mode, second.wav_name) == (Mode.OFFLINE, "b")


@pytest.mark.parametrize("key", ["punc", "speaker"])
@pytest.mark.parametrize(
    ("said", "meant"), [([], None), ([True], True), ([0], False), ([True, None], None), ([False, True], True)]
)
def test_punctuation_and_speakers_are_the_models_matter_until_one_insists(
    key: str, said: list[object], meant: bool | None
) -> None:
    config = SessionConfig()
    for value in said:
        config = parse_text(json.dumps({key: value}), config, ALL_MODES).config
        config = parse_text('{"wav_name": "b"}', config, ALL_MODES).config
    stream = config.stream
    assert {"punc": stream.punctuation, "speaker": stream.speakers}[key] is meant
    assert {"speaker": stream.punctuation, "punc": stream.speakers}[key] is None


@pytest.mark.parametrize(
    ("message", "itn"),
    [({}, True), ({"svs_itn": False}, False), ({"itn": False}, False), ({"itn": True, "svs_itn": False}, True)],
)
def test_itn_may_be_named_as_sensevoices_clients_do(message: dict[str, bool], itn: bool) -> None:
    assert parse(**message).config.stream.itn is itn


@pytest.mark.parametrize(
    ("message", "ends", "wants_reply"),
    [
        ({"is_speaking": True}, False, False),
        ({"is_speaking": False}, True, False),
        ({"is_speaking": 0}, True, False),
        ({"is_speaking": False, "is_end": True}, True, True),
        ({"is_end": True}, True, True),
        ({"is_end": False}, False, False),
    ],
)
def test_both_ways_to_end(message: dict[str, Any], ends: bool, wants_reply: bool) -> None:
    parsed = parse(**message)
    assert (parsed.ends_utterance, parsed.wants_end_reply) == (ends, wants_reply)


BAD = [
    ({"mode": "3pass"}, 1008, "unknown \"mode\" '3pass'; this worker serves: 2pass, offline, online"),
    ({"mode": 2}, 1007, '"mode" must be a string'),
    ({"chunk_size": [5, 10, 200000]}, 1008, "look-ahead 200000 is out of range"),
    ({"chunk_size": [5, 0, 5]}, 1008, "stride 0"),
    ({"chunk_size": [-1, 10, 5]}, 1008, "look-back -1"),
    ({"chunk_size": [10**30, 10, 5]}, 1008, "out of range"),
    ({"chunk_size": [5, 10]}, 1007, "three numbers"),
    ({"chunk_size": {"a": 1}}, 1007, "three numbers"),
    ({"chunk_size": "5,ten,5"}, 1007, "whole numbers"),
    ({"chunk_size": [5, 10.5, 5]}, 1007, "whole numbers"),
    ({"chunk_size": [5, None, 5]}, 1007, "whole numbers"),
    ({"chunk_size": [5, True, 5]}, 1007, "whole numbers"),
    ({"encoder_chunk_look_back": 11}, 1008, "out of range"),
    ({"decoder_chunk_look_back": "1"}, 1007, "whole number"),
    ({"chunk_interval": 0}, 1008, "out of range"),
    ({"audio_fs": 0}, 1008, '"audio_fs" 0 is out of range; allowed are 4000 to 192000'),
    ({"audio_fs": -16000}, 1008, "out of range"),
    ({"audio_fs": 10**9}, 1008, "out of range"),
    ({"audio_fs": "16k"}, 1007, "whole number"),
    ({"audio_fs": 16000.5}, 1007, "whole number"),
    ({"audio_fs": None}, 1007, "whole number"),
    ({"wav_format": "mp3"}, 1008, 'decode to "pcm"'),
    ({"wav_format": 1}, 1007, "must be a string"),
    ({"wav_name": ["a"]}, 1007, '"wav_name" must be a string, not a list'),
    ({"wav_name": "a" * 257}, 1008, "257 characters"),
    ({"itn": "yes"}, 1007, '"itn" must be true or false'),
    ({"punc": "yes"}, 1007, '"punc" must be true or false'),
    ({"speaker": 2}, 1007, '"speaker" must be true or false'),
    ({"svs_lang": None}, 1007, '"svs_lang" must be a string, not None'),
    ({"is_speaking": "false"}, 1007, '"is_speaking" must be true or false'),
    ({"is_end": 2}, 1007, '"is_end" must be true or false'),
    ({"hotwords": [1]}, 1007, '"hotwords"'),
]


@pytest.mark.parametrize(("message", "code", "sentence"), BAD, ids=[json.dumps(row[0])[:50] for row in BAD])
def test_refuses_with_a_sentence_that_names_the_field(message: dict[str, Any], code: int, sentence: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        parse(**message)
    assert sentence in str(raised.value)
    assert raised.value.close_code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("hello", 1007, id="not JSON"),
        pytest.param("", 1007, id="empty"),
        pytest.param("[" * 60_000, 1007, id="nested without end"),
        pytest.param('{"audio_fs": ' + "9" * 5_000 + "}", 1007, id="a number too long to read"),
        pytest.param("[1, 2]", 1007, id="a list"),
        pytest.param("null", 1007, id="null"),
        pytest.param('{"wav_name": "' + "a" * 70_000 + '"}', 1009, id="too long"),
    ],
)
def test_refuses_text_that_is_no_message(text: str, code: int) -> None:
    with pytest.raises(ProtocolError) as raised:
        parse_text(text, SessionConfig(), ALL_MODES)
    assert raised.value.close_code == code


def test_a_mode_whose_model_is_not_loaded_is_named() -> None:
    with pytest.raises(ProtocolError, match="needs a model that is not loaded here; this worker serves: online"):
        parse_text('{"mode": "2pass"}', SessionConfig(), frozenset({Mode.ONLINE}))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
NUMBERS = ("chunk_interval", "encoder_chunk_look_back", "audio_fs", "is_speaking", "is_end")
SWITCHES = ("itn", "svs_itn", "punc", "speaker")
WORDS = ("mode", "chunk_size", "wav_name", "wav_format", "svs_lang", "hotwords", "else")
FIELDS = st.sampled_from((*WORDS, *NUMBERS, *SWITCHES))


@given(st.dictionaries(FIELDS, JSON_VALUES, max_size=6))
def test_whatever_json_comes_it_is_read_within_bounds_or_refused(message: dict[str, Any]) -> None:
    """No other exception, and never a configuration outside of the bounds."""
    try:
        config = parse_text(json.dumps(message), SessionConfig(), ALL_MODES).config
    except ProtocolError:
        return
    back, stride, ahead = config.stream.chunk_size
    assert 0 <= back <= 30
    assert 1 <= stride <= 60
    assert 0 <= ahead <= 30
    assert 4_000 <= config.sample_rate_hz <= 192_000
