"""Whisper: what transformers computes from the same weights, each row as if it were alone."""

from __future__ import annotations

import builtins
import importlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from asrpool_worker.engine.features import FilterBank, stack, stacked_count
from asrpool_worker.engine.messages import Samples
from asrpool_worker.engine.recogniser import OfflineRow, Recogniser
from asrpool_worker.engine.whisper import files, model
from asrpool_worker.engine.whisper.model import WhisperModel
from asrpool_worker.engine.whisper.windows import windows
from asrpool_worker.errors import ModelError, ServerError, SettingsError
from tests.worker.engine.conftest import babble
from tests.worker.engine.whisper import whisper_dirs

pytestmark = pytest.mark.model

NO_FRAMES = np.zeros((0, 80), dtype=np.float32)


def features_of(samples: Samples) -> torch.Tensor:
    """The input of transformers' Whisper."""
    transformers: Any = importlib.import_module("transformers")
    found: torch.Tensor = transformers.WhisperFeatureExtractor()(
        samples, sampling_rate=16_000, return_tensors="pt"
    ).input_features
    return found


@dataclass(frozen=True)
class Reference:
    """The same weights as transformers runs them."""

    path: Path
    network: Any
    tokenizer: Tokenizer

    def text(self, samples: Samples, language: str | None, prompt: tuple[str, ...] = ()) -> str:
        """Greedy decoding, one token after another, of at most 30 seconds; no language for an English-only model."""
        before = [f"<|{name}|>" for name in ("startoftranscript", language, "transcribe", "notimestamps")]
        if language is None:
            before = ["<|startoftranscript|>", "<|notimestamps|>"]
        ids = [self.tokenizer.token_to_id(name) for name in before]
        if prompt:
            words = self.tokenizer.encode(" " + " ".join(prompt), add_special_tokens=False).ids
            ids = [self.tokenizer.token_to_id("<|startofprev|>"), *words, *ids]
        end = int(self.tokenizer.token_to_id("<|endoftext|>") or 0)
        said: list[int] = []
        with torch.inference_mode():
            memory = self.network.model.encoder(features_of(samples))
            while len(said) < 224:
                logits = self.network(encoder_outputs=memory, decoder_input_ids=torch.tensor([ids + said])).logits
                token = int(logits[0, -1].argmax())
                if token == end:
                    break
                said.append(token)
        return str(self.tokenizer.decode([token for token in said if token < end])).strip()


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    path = tmp_path_factory.mktemp("whisper")
    network = whisper_dirs.write(path, seed=2)
    return Reference(path, network, Tokenizer.from_file(str(path / "tokenizer.json")))


@pytest.fixture(scope="session")
def whisper(reference: Reference) -> WhisperModel:
    return WhisperModel(reference.path)


def row(seconds: float, seed: int, language: str = "auto", hotwords: tuple[str, ...] = ()) -> OfflineRow:
    return OfflineRow(NO_FRAMES, hotwords=hotwords, language=language, samples=babble(seconds, seed))


def test_text_is_that_of_the_reference_also_in_a_batch(reference: Reference, whisper: WhisperModel) -> None:
    asked = [(0.3, "en"), (2.0, "zh"), (5.0, "de"), (29.0, "ja"), (1.0, "ko"), (3.0, "zh")]
    found = whisper.run([row(seconds, seed, language) for seed, (seconds, language) in enumerate(asked)])
    expected = [reference.text(babble(seconds, seed), language) for seed, (seconds, language) in enumerate(asked)]
    assert [one.text for one in found] == expected
    assert [one.language for one in found] == [language for _, language in asked]
    assert all(one.punctuated for one in found)
    assert len(set(expected)) == len(expected)
    assert all(one.tokens == tuple(str(one.text).split()) for one in found)


def test_hotwords_stand_before_the_text(reference: Reference, whisper: WhisperModel) -> None:
    hotwords = ("word7", "word42", "开灯")
    found = whisper.run([row(2.0, 1, "zh"), row(2.0, 1, "zh", hotwords), row(3.0, 5, "en", hotwords)])
    assert found[0].text == reference.text(babble(2.0, 1), "zh")
    assert found[1].text == reference.text(babble(2.0, 1), "zh", hotwords)
    assert found[2].text == reference.text(babble(3.0, 5), "en", hotwords)
    assert found[0].text != found[1].text


def test_very_many_hotwords_still_leave_room_for_the_text(whisper: WhisperModel) -> None:
    many = tuple(f"unheard{number}" for number in range(400))
    (found,) = whisper.run([row(2.0, 1, "zh", many)])
    assert found.language == "zh"


def test_an_unasked_or_unknown_language_is_heard(reference: Reference, whisper: WhisperModel) -> None:
    network, tokenizer = reference.network, reference.tokenizer
    rows = [
        row(2.0, seed, language)
        for seed, language in enumerate(["auto", "klingon", "zh", "", "transcribe", "0.02"] * 2)
    ]
    numbers = [tokenizer.token_to_id(f"<|{name}|>") for name in whisper_dirs.LANGUAGES]
    expected = []
    for one in rows:
        assert one.samples is not None
        begin = torch.tensor([[tokenizer.token_to_id("<|startoftranscript|>")]])
        with torch.inference_mode():
            logits = network(input_features=features_of(one.samples), decoder_input_ids=begin).logits[0, -1]
        heard = whisper_dirs.LANGUAGES[int(logits[numbers].argmax())]
        expected.append("zh" if one.language == "zh" else heard)
    assert [one.language for one in whisper.run(rows)] == expected
    assert len(set(expected) - {"zh"}) > 1


def test_a_long_utterance_is_the_text_of_its_windows(whisper: WhisperModel) -> None:
    """In one language, that of its beginning, also where another is heard later."""
    for seed in range(12):
        samples = np.concatenate([babble(2.0, seed), np.zeros(28 * 16_000, np.float32), babble(10.0, seed + 1)])
        pieces = windows(samples)
        alone = whisper.run([OfflineRow(NO_FRAMES, samples=piece) for piece in pieces])
        if alone[0].language != alone[1].language:
            break
    languages = [one.language for one in alone]
    assert len(pieces) == len(set(languages)) == 2, "another language is heard in the second window"
    together = whisper.run([row(1.0, 9, "ko"), OfflineRow(NO_FRAMES, samples=samples), row(2.0, 8, "en")])[1]
    assert together.language == languages[0]
    parts = whisper.run([OfflineRow(NO_FRAMES, language=languages[0], samples=piece) for piece in pieces])
    assert together.text is not None
    assert together.text.replace(" ", "") == "".join(str(part.text) for part in parts).replace(" ", "")


@st.composite
def mixtures(draw: st.DrawFn) -> list[OfflineRow]:
    languages = st.sampled_from([*whisper_dirs.LANGUAGES, "auto"])
    hotwords = st.sampled_from([(), ("word7",), ("word9", "word30")])
    seconds = st.one_of(st.floats(0.0, 12.0), st.sampled_from([31.0, 45.0]))
    return [
        row(draw(seconds), draw(st.integers(0, 10_000)), draw(languages), draw(hotwords))
        for _ in range(draw(st.integers(2, 5)))
    ]


@settings(deadline=None, max_examples=10)
@given(rows=mixtures())
def test_a_row_alone_says_what_it_says_in_a_batch(whisper: WhisperModel, rows: list[OfflineRow]) -> None:
    together = whisper.run(rows)
    assert together == [whisper.run([one])[0] for one in rows]
    assert together == whisper.run(rows)


def test_a_window_without_speech_has_no_text(whisper: WhisperModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of the rule's conditions are needed."""
    monkeypatch.setattr(model, "NO_SPEECH_PROBABILITY", -1.0)
    monkeypatch.setattr(model, "NO_SPEECH_LOG_PROBABILITY", 1.0)
    (silent,) = whisper.run([row(2.0, 1, "zh")])
    assert (silent.text, silent.tokens, silent.language) == ("", (), "zh")
    monkeypatch.setattr(model, "NO_SPEECH_LOG_PROBABILITY", -1e9)
    assert whisper.run([row(2.0, 1, "zh")])[0].text
    monkeypatch.setattr(model, "NO_SPEECH_LOG_PROBABILITY", 1.0)
    monkeypatch.setattr(model, "NO_SPEECH_PROBABILITY", 1.0)
    assert whisper.run([row(2.0, 1, "zh")])[0].text


def test_an_english_only_model_with_more_mel_bins(tmp_path: Path) -> None:
    network = whisper_dirs.write(tmp_path, seed=3, multilingual=False)
    reference = Reference(tmp_path, network, Tokenizer.from_file(str(tmp_path / "tokenizer.json")))
    found = WhisperModel(tmp_path).run([row(2.0, 1, "zh"), row(1.0, 2, "auto")])
    assert [one.language for one in found] == ["en", "en"]
    assert [one.text for one in found] == [reference.text(babble(2.0, 1), None), reference.text(babble(1.0, 2), None)]
    wide = tmp_path / "wide"
    whisper_dirs.write(wide, seed=3, mel_bins=128)
    assert WhisperModel(wide).run([row(2.0, 1, "zh")])[0].language == "zh"


@pytest.mark.parametrize("compute_type", ["int8", "int8_float32"])
def test_it_loads_in_int8(reference: Reference, compute_type: str) -> None:
    (found,) = WhisperModel(reference.path, compute_type=compute_type).run([row(2.0, 1, "zh")])
    assert found.text


def test_it_is_a_recogniser_whose_frames_are_those_of_the_other_models(reference: Reference) -> None:
    """An engine that frames a stream for VAD can make its rows as for any model; Whisper leaves the frames alone."""
    recogniser: Recogniser = files.load(reference.path, "cpu", "float32", 1)
    assert recogniser.reads_samples
    samples = babble(1.0, 0)
    frames = FilterBank(recogniser.model.frontend).push(samples)
    count = stacked_count(recogniser.model.frontend, len(frames), final=True)
    stacked = stack(recogniser.model.frontend, recogniser.model.cmvn, frames, 0, count)
    assert np.array_equal(stacked, frames)
    assert len(recogniser.run([OfflineRow(stacked, samples=samples)])) == 1


def test_a_row_without_samples_is_our_fault(whisper: WhisperModel) -> None:
    with pytest.raises(ServerError, match="without its samples"):
        whisper.run([OfflineRow(NO_FRAMES)])


class TestFiles:
    @pytest.fixture
    def copy(self, reference: Reference, tmp_path: Path) -> Path:
        return Path(shutil.copytree(reference.path, tmp_path / "copy"))

    def test_it_is_known_by_its_files(self, copy: Path) -> None:
        assert files.is_whisper(copy)
        assert files.read(copy).model_class == "Whisper"
        (copy / "config.yaml").touch()
        assert not files.is_whisper(copy)

    @pytest.mark.parametrize(
        ("name", "words"),
        [("model.bin", "ct2-transformers-converter"), ("tokenizer.json", "missing"), ("vocabulary.json", "missing")],
    )
    def test_a_missing_file_is_named(self, copy: Path, name: str, words: str) -> None:
        (copy / name).unlink()
        with pytest.raises(ModelError, match=words) as raised:
            files.read(copy)
        assert name in str(raised.value)

    @pytest.mark.parametrize("name", ["model.bin", "tokenizer.json"])
    def test_a_broken_file_is_named(self, copy: Path, name: str) -> None:
        (copy / name).write_bytes((copy / name).read_bytes()[:200])
        with pytest.raises(ModelError, match=str(copy)):
            WhisperModel(copy)

    def test_another_tokenizer_is_told(self, copy: Path) -> None:
        content = json.loads((copy / "tokenizer.json").read_text(encoding="utf-8"))
        content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "<|notimestamps|>"]
        (copy / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(ModelError, match="notimestamps"):
            WhisperModel(copy)

    @pytest.mark.parametrize(("device", "compute_type"), [("tpu", "float32"), ("cpu", "float12")])
    def test_a_device_or_type_that_cannot_be_is_a_setting(self, copy: Path, device: str, compute_type: str) -> None:
        with pytest.raises(SettingsError, match="Whisper"):
            WhisperModel(copy, device, compute_type)

    def test_a_missing_library_is_named(self, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = builtins.__import__

        def without(name: str, *arguments: Any, **more: Any) -> Any:
            if name.startswith("asrpool_worker.engine.whisper.model"):
                raise ImportError("No module named 'ctranslate2'")
            return whole(name, *arguments, **more)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(SettingsError, match=r"asrpool\[whisper\]"):
            files.load(copy, "cpu", "float32", 1)
