"""SenseVoiceSmall computes what FunASR computes, whatever else is in the batch, on both engines."""

from __future__ import annotations

import importlib
import json
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrpool_worker.engine import functions, modeldir
from asrpool_worker.engine.backend import Backend
from asrpool_worker.engine.export import export_directory
from asrpool_worker.engine.features import FilterBank, positions, stack, stacked_count
from asrpool_worker.engine.messages import Samples
from asrpool_worker.engine.modeldir import FloatArray, ModelDir
from asrpool_worker.engine.onnx_backend import OnnxBackend
from asrpool_worker.engine.recogniser import OfflineRow, Recogniser
from asrpool_worker.engine.sensevoice.dims import GRAPH, LANGUAGE_QUERIES, QUERIES, graph_sizes, read_dims
from asrpool_worker.engine.sensevoice.model import SenseVoiceModel
from asrpool_worker.engine.sensevoice.network import SenseVoice
from asrpool_worker.engine.sensevoice.transcript import MARK
from asrpool_worker.engine.torch_backend import TorchBackend
from asrpool_worker.errors import ModelError
from tests.worker.engine.conftest import babble
from tests.worker.engine.funasr_reference import auto_model
from tests.worker.engine.sensevoice import sensevoice_dirs

TORCH = TorchBackend("cpu", "float32", threads=1)
LANGUAGES = (*LANGUAGE_QUERIES, "klingon")
ASKED = [("auto", True), ("zh", False), ("en", True), ("yue", False), ("ja", True), ("ko", False), ("nospeech", True)]
ASKED += [("klingon", False)]


@pytest.fixture(scope="session")
def pieces() -> bytes:
    return sensevoice_dirs.sentencepiece_model()


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory, pieces: bytes) -> Path:
    path = sensevoice_dirs.write(
        tmp_path_factory.mktemp("sensevoice"), sensevoice_dirs.config(), pieces, seed=2, blank_bias=5.0
    )
    export_directory(path)
    return path


@pytest.fixture(scope="session")
def reference(directory: Path) -> Any:
    return funasr_model(directory)


def funasr_model(directory: Path) -> Any:
    for name in ("funasr.models.sense_voice.model", "funasr.tokenizer.sentencepiece_tokenizer"):
        importlib.import_module(name)
    return auto_model(directory)


def load(directory: Path, backend: Backend = TORCH) -> SenseVoiceModel:
    model = modeldir.read(directory)
    dims = read_dims(model)
    return SenseVoiceModel(model, dims, backend.load(model, GRAPH, graph_sizes(dims)), backend.arrays)


def stacked(model: ModelDir, samples: Samples) -> FloatArray:
    frames = FilterBank(model.frontend).push(samples)
    return stack(model.frontend, model.cmvn, frames, 0, stacked_count(model.frontend, len(frames), final=True))


def rows_of(model: ModelDir, seconds: list[float]) -> list[OfflineRow]:
    return [
        OfflineRow(stacked(model, babble(length, seed)), language=language, itn=itn)
        for seed, (length, (language, itn)) in enumerate(zip(seconds, ASKED, strict=True))
    ]


SECONDS = [0.3, 1.0, 2.37, 5.0, 3.0, 0.08, 1.5, 4.0]


@pytest.mark.model
def test_text_is_funasrs_also_in_a_batch(directory: Path, reference: Any) -> None:
    """One batch of every language, with and without ITN, says row by row what FunASR says to each alone, marks included."""
    recogniser = load(directory)
    rows = rows_of(recogniser.model, SECONDS)
    expected = [
        reference.generate(input=babble(length, seed), language=language, use_itn=itn)[0]["text"]
        for seed, (length, (language, itn)) in enumerate(zip(SECONDS, ASKED, strict=True))
    ]
    found = recogniser.run(rows)
    assert [row.text for row in found] == [MARK.sub("", text).strip() for text in expected]
    assert [row.punctuated for row in found] == [itn for _, itn in ASKED]
    assert sum(len(row.tokens) for row in found) > 60
    blanks = sum(ids.count(0) for ids in recogniser.decode(rows))
    assert blanks > 30, "blanks between tokens"


@pytest.mark.model
def test_what_is_asked_reaches_its_own_row_only(directory: Path) -> None:
    """The same audio asked in every way in one batch: the answers differ, and each is what it is alone."""
    recogniser = load(directory)
    frames = stacked(recogniser.model, babble(2.0, seed=4))
    rows = [OfflineRow(frames, language=language, itn=itn) for language in LANGUAGES for itn in (True, False)]
    found = recogniser.decode(rows)
    assert found == [recogniser.decode([row])[0] for row in rows]
    asked_alike = [found[LANGUAGES.index(name) * 2] for name in ("auto", "klingon")]
    assert asked_alike[0] == asked_alike[1]
    assert len({tuple(ids) for ids in found}) > len(LANGUAGE_QUERIES), "not the language alone, not the style alone"


@pytest.mark.model
def test_times_are_those_of_funasrs_alignment(tmp_path: Path) -> None:
    """Where FunASR's tokenizer cuts the text into the very tokens that were said, its alignment is the greedy path."""
    characters = sensevoice_dirs.sentencepiece_model(
        ["打开客厅的灯关上窗户", "今天天气怎么样明天呢"],
        model_type="char",
        add_dummy_prefix=False,
        user_defined_symbols=[],
    )
    path = sensevoice_dirs.write(tmp_path, sensevoice_dirs.config(), characters, seed=3, blank_bias=2.0)
    recogniser, reference = load(path), funasr_model(path)
    compared = 0
    for seed in range(24):
        samples = babble(2.0, seed)
        (ids,) = recogniser.decode([OfflineRow(stacked(recogniser.model, samples), itn=False)])
        texts = [recogniser._vocabulary.piece(number) for number in ids]
        queries = texts[: QUERIES + 1]
        if "<unk>" in queries or any(a == b for a, b in pairwise(queries)) or {"▁", "<s>", "</s>"} & set(texts):
            continue  # FunASR takes the first four tokens of the text for the answers to the queries
        (result,) = reference.generate(input=samples, output_timestamp=True)
        (found,) = recogniser.run([OfflineRow(stacked(recogniser.model, samples), itn=False)])
        assert list(found.tokens[QUERIES:]) == result["words"]
        np.testing.assert_allclose(found.times_ms[QUERIES:], result["timestamp"], atol=1)
        compared += len(result["words"])
    assert compared > 40


@st.composite
def mixtures(draw: st.DrawFn) -> list[OfflineRow]:
    lengths = draw(st.lists(st.integers(1, 70), min_size=2, max_size=6))
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    return [
        OfflineRow(
            rng.normal(0.0, 1.0, (length, 560)).astype(np.float32),
            language=draw(st.sampled_from(LANGUAGES)),
            itn=draw(st.booleans()),
        )
        for length in lengths
    ]


@pytest.fixture(scope="session", params=["torch", "onnx"])
def either(request: pytest.FixtureRequest, directory: Path) -> SenseVoiceModel:
    return load(directory, TORCH if request.param == "torch" else OnnxBackend("cpu", threads=1))


@pytest.mark.model
@settings(deadline=None, max_examples=40)
@given(rows=mixtures())
def test_a_row_alone_says_what_it_says_in_a_batch(either: SenseVoiceModel, rows: list[OfflineRow]) -> None:
    together = either.decode(rows)
    assert together == [either.decode([row])[0] for row in rows]
    assert either.run(rows) == either.run(rows)


@pytest.mark.model
@settings(deadline=None, max_examples=25)
@given(rows=mixtures())
def test_what_the_encoder_gives_a_row_does_not_depend_on_the_batch(directory: Path, rows: list[OfflineRow]) -> None:
    module = functions.build(modeldir.read(directory)).module.eval()
    assert isinstance(module, SenseVoice)
    longest = max(len(row.frames) for row in rows)

    def encoded(some: list[OfflineRow], length: int) -> torch.Tensor:
        frames, mask = np.zeros((len(some), length, 560), np.float32), np.zeros((len(some), length), np.float32)
        for index, row in enumerate(some):
            frames[index, : len(row.frames)] = row.frames + positions(5, len(row.frames), 560)
            mask[index, : len(row.frames)] = 1.0
        language = torch.tensor([LANGUAGE_QUERIES.get(row.language, 0) for row in some])
        style = torch.tensor([14 if row.itn else 15 for row in some])
        with torch.inference_mode():
            return module.encoded(torch.from_numpy(frames), torch.from_numpy(mask), language, style)

    together = encoded(rows, longest)
    for index, row in enumerate(rows):
        alone = encoded([row], len(row.frames))[0]
        np.testing.assert_allclose(together[index, : len(alone)], alone, atol=1e-4)


@pytest.mark.model
def test_the_encoder_is_funasrs(directory: Path, reference: Any) -> None:
    """Not only the best tokens: what the encoder makes of a padded batch is what FunASR's encoder makes of it."""
    model = modeldir.read(directory)
    module = functions.build(model).module.eval()
    assert isinstance(module, SenseVoice)
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(rng.normal(size=(2, 30, 560)).astype(np.float32))
    mask = torch.ones(2, 30)
    mask[1, 20:] = 0.0
    language, style = torch.tensor([3, 11]), torch.tensor([14, 15])
    theirs = reference.model
    with torch.inference_mode():
        queries = theirs.embed(torch.tensor([[3, 1, 2, 14], [11, 1, 2, 15]]))
        expected, _ = theirs.encoder(torch.cat((queries, frames), dim=1), torch.tensor([34, 24]))
        placed = frames * module.scale + torch.from_numpy(positions(5, 30, 560))
        found = module.encoded(placed, mask, language, style)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-4)
    np.testing.assert_allclose(found[1, :24], expected[1, :24], atol=1e-4)


@pytest.mark.model
def test_the_exported_graph_says_what_torch_says(directory: Path) -> None:
    ours, theirs = load(directory), load(directory, OnnxBackend("cpu", threads=1))
    rows = rows_of(ours.model, SECONDS)
    assert ours.run(rows) == theirs.run(rows)
    assert ours.run(rows[:1]) == theirs.run(rows[:1])


@pytest.mark.model
def test_a_directory_with_tokens_json_alone_says_the_same(directory: Path, tmp_path: Path) -> None:
    """The weights of a directory that was stripped to tokens.json, as FunASR's exports for other runtimes are."""
    with_model = load(directory)
    for name in ("config.yaml", "am.mvn", "model.pt"):
        (tmp_path / name).symlink_to(directory / name)
    vocabulary = with_model._vocabulary
    pieces = [vocabulary.piece(number) for number in range(len(vocabulary))]
    (tmp_path / "tokens.json").write_text(json.dumps(pieces), encoding="utf-8")
    rows = rows_of(with_model.model, SECONDS)
    assert load(tmp_path).run(rows) == with_model.run(rows)


@pytest.mark.model
def test_it_is_a_recogniser(directory: Path) -> None:
    recogniser: Recogniser = load(directory)
    assert recogniser.model.path == directory
    silence = OfflineRow(np.zeros((20, 560), dtype=np.float32))
    assert len(recogniser.run([silence])) == 1


@pytest.mark.model
def test_a_vocabulary_that_is_too_small_is_told(directory: Path, tmp_path: Path) -> None:
    """By the weights on torch, and where the graph alone is there by what it says."""
    for name in ("config.yaml", "am.mvn", "model.pt", "model.onnx"):
        (tmp_path / name).symlink_to(directory / name)
    (tmp_path / "tokens.json").write_text(json.dumps(["<unk>", "<s>"]), encoding="utf-8")
    with pytest.raises(ModelError, match="ctc_lo"):
        load(tmp_path)
    recogniser = load(tmp_path, OnnxBackend("cpu", threads=1))
    with pytest.raises(ModelError, match="its vocabulary has 2"):
        recogniser.run([OfflineRow(stacked(recogniser.model, babble(2.0, 0)))])


BAD = {
    "another model": ({"model": "Paraformer"}, "model Paraformer is not a SenseVoiceSmall"),
    "another encoder": ({"encoder": "SANMEncoder"}, "encoder SANMEncoder is not served"),
    "normalised twice": ({"normalize": "GlobalMVN"}, "normalize GlobalMVN"),
    "no output layer": ({"ctc_conf": {"extra_linear": False}}, "ctc_conf.extra_linear"),
    "a size that is none": ({"encoder_conf": {"output_size": "wide"}}, "encoder_conf or model_conf is malformed"),
    "a size below 1": ({"encoder_conf": {"num_blocks": 0}}, "below 1"),
    "heads that do not divide": ({"encoder_conf": {"output_size": 30, "attention_heads": 4}}, "multiple of attention_"),
    "a shift beyond the kernel": ({"encoder_conf": {"sanm_shfit": 6}}, "sanm_shfit"),
    "conf that is no mapping": ({"encoder_conf": [1]}, "encoder_conf must be a mapping"),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_a_configuration_that_is_not_computed_is_named(
    tmp_path: Path, pieces: bytes, change: dict[str, Any], words: str
) -> None:
    write = partial(sensevoice_dirs.write, tmp_path, pieces=pieces)
    write(sensevoice_dirs.config())
    model = modeldir.read(tmp_path)
    changed = ModelDir(
        model.path, change.get("model", model.model_class), model.config | change, model.frontend, model.cmvn
    )
    with pytest.raises(ModelError, match=words) as raised:
        read_dims(changed)
    assert "config.yaml" in str(raised.value)


def test_a_broken_sentencepiece_model_is_named(tmp_path: Path) -> None:
    path = sensevoice_dirs.write(tmp_path, sensevoice_dirs.config(), sensevoice_dirs.sentencepiece_model())
    (path / sensevoice_dirs.SENTENCEPIECE_NAME).write_bytes(b"no model")
    with pytest.raises(ModelError, match=sensevoice_dirs.SENTENCEPIECE_NAME):
        load(path)
