"""The text messages of FunASR's protocol, read and bounded before anything is allocated for them.

Every field may come in any text message and stays in force until another message changes it. Unknown fields are ignored,
as FunASR does; a known field of a wrong type or out of range ends the session with a sentence that names it. `punc` and
`speaker` are ours: FunASR's clients cannot say whether they want punctuation and speakers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Mode, StreamOptions
from asrpool_worker.session.errors import CLOSE_POLICY, CLOSE_TOO_BIG, ProtocolError
from asrpool_worker.session.hotwords import parse_hotwords

MAX_TEXT_CHARS = 65_536
MAX_WAV_NAME_CHARS = 256
MIN_SAMPLE_RATE_HZ = 4_000
MAX_SAMPLE_RATE_HZ = 192_000
WAV_FORMATS = ("pcm", "wav")

# (lowest, highest) of look-back, stride and look-ahead, in frames of 60 ms. The bounds keep one message from asking for
# buffers of gigabytes; FunASR's own models are trained within a third of them.
CHUNK_SIZE_BOUNDS = ((0, 30), (1, 60), (0, 30))
MAX_LOOK_BACK = 10


@dataclass(frozen=True)
class SessionConfig:
    """All that a client has asked for so far."""

    stream: StreamOptions = field(default_factory=StreamOptions)
    wav_name: str = "microphone"
    wav_format: str = "pcm"
    sample_rate_hz: int = SAMPLE_RATE_HZ


@dataclass(frozen=True)
class TextMessage:
    """One text message, checked: the configuration it leads to, and whether it ends the utterance (and wants the newer reply)."""

    config: SessionConfig
    ends_utterance: bool
    wants_end_reply: bool


def parse_text(text: str, config: SessionConfig, modes: frozenset[Mode]) -> TextMessage:
    """Read one text message over the configuration so far. Raises `ProtocolError`."""
    if len(text) > MAX_TEXT_CHARS:
        raise ProtocolError(
            f"text message of {len(text)} characters; at most {MAX_TEXT_CHARS} are allowed", CLOSE_TOO_BIG
        )
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError('text message is not JSON; send {"mode": "2pass", ...} first, then binary audio') from None
    if not isinstance(message, dict):
        raise ProtocolError(f"text message must be a JSON object, not {_json_type(message)}")
    is_end = _boolean(message, "is_end", default=False)
    return TextMessage(
        config=_configure(message, config, modes),
        ends_utterance=is_end or not _boolean(message, "is_speaking", default=True),
        wants_end_reply=is_end,
    )


def _configure(message: dict[str, object], config: SessionConfig, modes: frozenset[Mode]) -> SessionConfig:
    stream = config.stream
    stream = replace(
        stream,
        mode=_mode(message, stream.mode, modes),
        chunk_size=_chunk_size(message.get("chunk_size", stream.chunk_size)),
        encoder_chunk_look_back=_integer(
            message, "encoder_chunk_look_back", stream.encoder_chunk_look_back, 0, MAX_LOOK_BACK
        ),
        decoder_chunk_look_back=_integer(
            message, "decoder_chunk_look_back", stream.decoder_chunk_look_back, 0, MAX_LOOK_BACK
        ),
        itn=_boolean(message, "itn", default=_boolean(message, "svs_itn", default=stream.itn)),
        language=_string(message, "svs_lang", stream.language, 32),
        hotwords=parse_hotwords(message["hotwords"]) if "hotwords" in message else stream.hotwords,
        punctuation=_choice(message, "punc", stream.punctuation),
        speakers=_choice(message, "speaker", stream.speakers),
    )
    # How many messages FunASR's client makes of one chunk. Audio may come in frames of any length here, so only its type matters.
    _integer(message, "chunk_interval", 10, 1, 10_000)
    wav_format = _string(message, "wav_format", config.wav_format, 16).lower()
    if wav_format not in WAV_FORMATS:
        raise ProtocolError(
            f'"wav_format" {wav_format!r} is not served here; decode to "pcm" (16-bit little-endian mono) or "wav" first',
            CLOSE_POLICY,
        )
    return SessionConfig(
        stream=stream,
        wav_name=_string(message, "wav_name", config.wav_name, MAX_WAV_NAME_CHARS),
        wav_format=wav_format,
        sample_rate_hz=_integer(message, "audio_fs", config.sample_rate_hz, MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ),
    )


def _mode(message: dict[str, object], default: Mode, modes: frozenset[Mode]) -> Mode:
    name = _string(message, "mode", default.value, 32)
    served = ", ".join(sorted(modes))
    try:
        mode = Mode(name)
    except ValueError:
        raise ProtocolError(f'unknown "mode" {name!r}; this worker serves: {served}', CLOSE_POLICY) from None
    if mode not in modes:
        raise ProtocolError(
            f'"mode" {name!r} needs a model that is not loaded here; this worker serves: {served}', CLOSE_POLICY
        )
    return mode


def _chunk_size(value: object) -> tuple[int, int, int]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != 3:
        raise ProtocolError('"chunk_size" must be three numbers: look-back, stride and look-ahead, like [5, 10, 5]')
    numbers = tuple(_chunk_number(part) for part in parts)
    for number, (low, high), name in zip(
        numbers, CHUNK_SIZE_BOUNDS, ("look-back", "stride", "look-ahead"), strict=True
    ):
        if not low <= number <= high:
            raise ProtocolError(
                f'"chunk_size": {name} {number} is out of range; allowed are {low} to {high} frames of 60 ms',
                CLOSE_POLICY,
            )
    return numbers[0], numbers[1], numbers[2]


def _chunk_number(part: object) -> int:
    if isinstance(part, str) and len(part) < 16 and part.strip().isdecimal():
        return int(part)
    if isinstance(part, bool) or not isinstance(part, int):
        raise ProtocolError(f'"chunk_size" must hold whole numbers, not {_shown(part)}')
    return part


def _integer(message: dict[str, object], key: str, default: int, low: int, high: int) -> int:
    value = message.get(key, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProtocolError(f'"{key}" must be a whole number, not {_shown(value)}')
    if not low <= value <= high:
        raise ProtocolError(f'"{key}" {_shown(value)} is out of range; allowed are {low} to {high}', CLOSE_POLICY)
    return value


def _boolean(message: dict[str, object], key: str, *, default: bool) -> bool:
    value = message.get(key, default)
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise ProtocolError(f'"{key}" must be true or false, not {_shown(value)}')


def _choice(message: dict[str, object], key: str, default: bool | None) -> bool | None:
    """True insists, False does without, null takes what the worker's models give."""
    if message.get(key, default) is None:
        return None
    return _boolean(message, key, default=bool(default))


def _string(message: dict[str, object], key: str, default: str, max_chars: int) -> str:
    value = message.get(key, default)
    if not isinstance(value, str):
        raise ProtocolError(f'"{key}" must be a string, not {_shown(value)}')
    if len(value) > max_chars:
        raise ProtocolError(f'"{key}" has {len(value)} characters; at most {max_chars} are allowed', CLOSE_POLICY)
    return value


def _shown(value: object) -> str:
    return repr(value)[:60] if isinstance(value, int | float | str) or value is None else _json_type(value)


def _json_type(value: object) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), "something else")
