"""Whisper as the engine uses it: utterances of many sessions in one batch, each in its own language, text out.

Greedy decoding without time stamps; what decides that a window holds no speech is Whisper's own rule. Every window is
padded to 30 seconds, so a row costs the same however short it is and does not depend on the others.
Method: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), arXiv:2212.04356.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from tokenizers import Tokenizer

from asrpool_worker.engine.messages import Samples
from asrpool_worker.engine.modeldir import FloatArray
from asrpool_worker.engine.recogniser import OfflineRow, Recognised
from asrpool_worker.engine.whisper.files import TOKENIZER_NAME, read
from asrpool_worker.engine.whisper.windows import WINDOW_SAMPLES, windows
from asrpool_worker.errors import ModelError, ServerError, SettingsError

NO_SPEECH_PROBABILITY, NO_SPEECH_LOG_PROBABILITY = 0.6, -1.0
"""Above the one and below the other a window is taken for one without speech, as in OpenAI's own code."""

MAX_PROMPT_TOKENS = 223
"""Half of the decoder's 448 places less the mark before a prompt, as in OpenAI's own code."""


@dataclass(frozen=True)
class Window:
    """One stretch of a row's audio as the model reads it: (mel bins, frames)."""

    row: int
    features: FloatArray


class WhisperModel:
    """A `Recogniser` for rows that carry their samples.

    `device` is cpu or cuda[:N]; `compute_type` one of CTranslate2's (float32, float16, int8, …). Raises `ModelError` or
    `SettingsError`.
    """

    reads_samples = True

    def __init__(self, path: Path, device: str = "cpu", compute_type: str = "float32", threads: int = 1) -> None:
        self.model = read(path)
        kind, _, number = device.partition(":")
        try:
            self._whisper = ctranslate2.models.Whisper(
                str(path), device=kind, device_index=int(number or 0), compute_type=compute_type, intra_threads=threads
            )
        except ValueError as error:
            raise SettingsError(f"device {device!r} with {compute_type} cannot be used for Whisper: {error}") from error
        except RuntimeError as error:
            if "CUDA" in str(error):
                raise SettingsError(f"device {device!r} cannot be used for Whisper: {error}") from error
            raise ModelError(f"{path}: cannot be loaded ({error})") from error
        self._tokenizer = _read_tokenizer(path / TOKENIZER_NAME)
        self._extractor = FeatureExtractor(feature_size=self._whisper.n_mels)
        self._end = self._token("<|endoftext|>")
        self._begin = self._token("<|startoftranscript|>")
        self._no_times = self._token("<|notimestamps|>")

    def run(self, rows: Sequence[OfflineRow]) -> list[Recognised]:
        """See `Recogniser`. A language that the model does not know is for the model to hear.

        Rows with other hotwords begin with a prompt of another length and so run in a batch of their own.
        """
        groups: dict[tuple[str, ...], list[int]] = {}
        for number, row in enumerate(rows):
            groups.setdefault(row.hotwords, []).append(number)
        found: dict[int, Recognised] = {}
        for hotwords, numbers in groups.items():
            said = self._run_group([rows[number] for number in numbers], hotwords)
            found.update(zip(numbers, said, strict=True))
        return [found[number] for number in range(len(rows))]

    def _run_group(self, rows: Sequence[OfflineRow], hotwords: tuple[str, ...]) -> list[Recognised]:
        cut = [
            Window(number, self._features(piece))
            for number, row in enumerate(rows)
            for piece in windows(_samples_of(row))
        ]
        encoded = self._whisper.encode(
            ctranslate2.StorageView.from_array(np.stack([window.features for window in cut]))
        )
        languages = self._languages(rows, cut, encoded)
        before = self._hotword_prompt(hotwords)
        results = self._whisper.generate(
            encoded,
            [before + self._prompt(languages[window.row]) for window in cut],
            beam_size=1,
            return_scores=True,
            return_no_speech_prob=True,
        )
        texts: list[list[str]] = [[] for _ in rows]
        for window, result in zip(cut, results, strict=True):
            silent = result.no_speech_prob > NO_SPEECH_PROBABILITY and result.scores[0] < NO_SPEECH_LOG_PROBABILITY
            ids = [] if silent else [token for token in result.sequences_ids[0] if token < self._end]
            texts[window.row].append(self._tokenizer.decode(ids))
        return [
            Recognised(tuple(text.split()), text=text, language=language, punctuated=True)
            for text, language in zip(("".join(parts).strip() for parts in texts), languages, strict=True)
        ]

    def _features(self, samples: Samples) -> FloatArray:
        padded = np.pad(samples.astype(np.float32, copy=False), (0, WINDOW_SAMPLES - len(samples)))
        features: FloatArray = self._extractor(padded, padding=0).astype(np.float32, copy=False)
        return features

    def _languages(
        self, rows: Sequence[OfflineRow], cut: Sequence[Window], encoded: ctranslate2.StorageView
    ) -> list[str]:
        """The language of each row: what was asked for, else what the model hears in the row's first window."""
        if not self._whisper.is_multilingual:
            return ["en"] * len(rows)
        asked = [row.language if self._knows(row.language) else "" for row in rows]
        if all(asked):
            return asked
        heard = ["" for _ in rows]
        for window, ranked in zip(cut, self._whisper.detect_language(encoded), strict=True):
            heard[window.row] = heard[window.row] or ranked[0][0].strip("<|>")
        return [wanted or own for wanted, own in zip(asked, heard, strict=True)]

    def _knows(self, language: str) -> bool:
        number = self._tokenizer.token_to_id(f"<|{language}|>")
        return number is not None and self._begin < number <= self._begin + self._whisper.num_languages

    def _prompt(self, language: str) -> list[int]:
        if not self._whisper.is_multilingual:
            return [self._begin, self._no_times]
        return [self._begin, self._token(f"<|{language}|>"), self._token("<|transcribe|>"), self._no_times]

    def _hotword_prompt(self, hotwords: tuple[str, ...]) -> list[int]:
        """Hotwords as the text before this one, which the model likes to go on from."""
        if not hotwords:
            return []
        ids = self._tokenizer.encode(" " + " ".join(hotwords), add_special_tokens=False).ids
        return [self._token("<|startofprev|>"), *ids[:MAX_PROMPT_TOKENS]]

    def _token(self, name: str) -> int:
        number = self._tokenizer.token_to_id(name)
        if number is None:
            raise ModelError(
                f"{self.model.path / TOKENIZER_NAME}: has no {name}; copy it from the original Whisper model"
            )
        return int(number)


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ModelError(f"{path}: cannot be read ({error}); copy it from the original model") from error


def _samples_of(row: OfflineRow) -> Samples:
    if row.samples is None:
        raise ServerError("a row for Whisper came without its samples; report this")
    return row.samples
