"""The messages that FunASR's clients expect, made from what the engine heard.

FunASR's own keys first: its C++ server sends the times as a JSON string (`timestamp`) and the sentences as objects
(`stamp_sents`, words parted by spaces); `spk_name` and `spk_score` say who spoke. Ours are `start` and `end` of the
utterance in milliseconds, which its sentences need not fill, and `language`, `emotion` and `event`, for models that
tell them. A key stands in a message only where a model says something.
"""

from __future__ import annotations

import json

from asrpool_worker.engine.messages import Final, Mode, Sentence

Message = dict[str, object]

_SCORE_DIGITS = 4


def partial_reply(mode: Mode, wav_name: str, text: str) -> Message:
    """Text that is new since the last partial."""
    name = "2pass-online" if mode is Mode.TWO_PASS else mode.value
    return {"mode": name, "text": text, "wav_name": wav_name, "is_final": False}


def text_reply(mode: Mode, wav_name: str, text: str) -> Message:
    """A final of text alone."""
    name = "2pass-offline" if mode is Mode.TWO_PASS else mode.value
    return {"mode": name, "text": text, "wav_name": wav_name, "is_final": True}


def final_reply(mode: Mode, wav_name: str, final: Final) -> Message:
    """One utterance with all that the models say of it."""
    message = text_reply(mode, wav_name, final.text) | {"start": final.begin_ms, "end": final.end_ms}
    if final.timestamps_ms:
        message["timestamp"] = json.dumps(final.timestamps_ms, separators=(",", ":"))
        message["stamp_sents"] = _sentences(final)
    if final.speaker:
        message["spk_name"] = final.speaker
        if final.speaker_score is not None:
            message["spk_score"] = round(final.speaker_score, _SCORE_DIGITS)
    heard = {"language": final.language, "emotion": final.emotion, "event": final.sound_event}
    return message | {key: word for key, word in heard.items() if word}


def end_reply(mode: Mode, wav_name: str) -> Message:
    """The newer clients' answer to the end of an utterance."""
    return {"mode": mode.value, "wav_name": wav_name, "is_final": True, "is_end": True}


def error_reply(mode: Mode, wav_name: str, error: str) -> Message:
    """The last message of a session that cannot go on."""
    return {"mode": mode.value, "wav_name": wav_name, "is_final": False, "is_end": True, "error": error}


def _sentences(final: Final) -> list[Message]:
    """Without punctuation the utterance is one sentence. The words of a sentence are as many tokens as it has times."""
    whole = Sentence(final.text, "", final.begin_ms, final.end_ms, final.timestamps_ms)
    stamped = []
    at = 0
    for sentence in final.sentences or (whole,):
        words = final.tokens[at : at + len(sentence.timestamps_ms)]
        at += len(words)
        stamped.append(
            {
                "text_seg": " ".join(words),
                "punc": sentence.punctuation,
                "start": sentence.begin_ms,
                "end": sentence.end_ms,
                "ts_list": [list(stamp) for stamp in sentence.timestamps_ms],
            }
        )
    return stamped
