"""Many sessions in one run: each gets what it would get alone, from either engine, each time again."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asrpool_worker.engine import functions, modeldir
from asrpool_worker.engine.onnx_backend import OnnxBackend
from asrpool_worker.engine.punctuation.model import PAST_WORDS_LIMIT, PuncModel, PuncRow, Punctuated
from asrpool_worker.errors import ModelError
from tests.worker.engine.punctuation import punc_dirs
from tests.worker.engine.punctuation.loading import load

pytestmark = pytest.mark.model
SIZES = st.lists(st.tuples(st.integers(0, 70), st.integers(0, 30)), min_size=2, max_size=6)
IN_BATCHES = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=[False, True], ids=["offline", "realtime"])
def directory(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue("realtime_dir" if request.param else "offline_dir")
    return path


def rows(sizes: list[tuple[int, int]], seed: int) -> list[PuncRow]:
    """Rows of (words, words of the past)."""
    rng = random.Random(seed)
    return [
        PuncRow(" ".join(rng.choices(punc_dirs.WORDS, k=words)), tuple(rng.choices(punc_dirs.WORDS, k=past)))
        for words, past in sizes
    ]


@IN_BATCHES
@given(sizes=SIZES, seed=st.integers(0, 1000))
def test_batched_is_alone(directory: Path, sizes: list[tuple[int, int]], seed: int) -> None:
    """Any mixture of lengths and pasts: the same texts, marks and open sentences."""
    model = load(directory)
    mixture = rows(sizes, seed)
    assert model.run(mixture) == [model.run([row])[0] for row in mixture]


@IN_BATCHES
@given(sizes=SIZES, seed=st.integers(0, 1000))
def test_padding_and_company_do_not_change_scores(directory: Path, sizes: list[tuple[int, int]], seed: int) -> None:
    """Scores of a row beside others and with padding, against the row alone: equal to 1e-4."""
    function = functions.build(modeldir.read(directory))
    function.module.eval()
    generator = torch.Generator().manual_seed(seed)
    lengths = [words + 1 for words, _ in sizes]
    words = torch.randint(len(punc_dirs.TOKENS), (len(sizes), max(lengths) + 3), generator=generator)
    mask = torch.zeros(words.shape)
    for index, length in enumerate(lengths):
        mask[index, :length] = 1.0
    past = torch.tensor([past for _, past in sizes])
    inputs = (words, mask, past)[: len(function.inputs)]
    with torch.inference_mode():
        (together,) = function.module(*inputs)
        for index, length in enumerate(lengths):
            alone = tuple(tensor[index : index + 1] for tensor in inputs)
            (scores,) = function.module(alone[0][:, :length], alone[1][:, :length], *alone[2:])
            np.testing.assert_allclose(together[index, :length].numpy(), scores[0].numpy(), atol=1e-4)


def test_both_engines_agree(directory: Path) -> None:
    """The exported graph gives the same texts at lengths and row counts that were not traced."""
    sizes = [(1, 0), (20, 5), (64, 0), (0, 3), (7, 30), (300, 12)]
    mixture = rows(sizes, seed=5)
    assert load(directory).run(mixture) == load(directory, OnnxBackend("cpu", 1)).run(mixture)


def test_two_runs_are_equal(directory: Path) -> None:
    mixture = rows([(40, 0), (3, 9), (90, 2)], seed=6)
    model = load(directory)
    assert model.run(mixture) == model.run(mixture)
    assert model.run([]) == []


def test_a_session_depends_on_its_own_past_only(realtime_dir: Path) -> None:
    """Three sessions of several texts, interleaved in every order: as if each had the model to itself."""
    model = load(realtime_dir)
    texts = [[row.text for row in rows([(9, 0), (30, 0), (4, 0), (14, 0)], seed)] for seed in range(3)]

    def alone(session: list[str]) -> list[Punctuated]:
        results: list[Punctuated] = []
        for text in session:
            results += model.run([PuncRow(text, results[-1].past if results else ())])
        return results

    expected = [alone(session) for session in texts]
    assert any(result.past for results in expected for result in results[:-1])
    pasts: list[tuple[str, ...]] = [(), (), ()]
    for step in range(4):
        order = [(step + offset) % 3 for offset in range(3)]
        results = model.run([PuncRow(texts[session][step], pasts[session]) for session in order])
        for session, result in zip(order, results, strict=True):
            assert result == expected[session][step]
            pasts[session] = result.past


def test_marks_follow_the_rows_own_words(realtime_dir: Path) -> None:
    """What a caller needs to place marks in time: one mark a word, the past not among them, the last one held back."""
    (result,) = load(realtime_dir).run([PuncRow("你好 hello world 42", ("今", "天"))])
    assert result.words == ("你", "好", "hello", "world", "42")
    assert len(result.marks) == len(result.words)
    assert result.marks[-1] == ""


def test_a_sentence_that_never_ends_is_forgotten(tmp_path: Path) -> None:
    """A stream of hours in which the model sees no sentence end: what it carries stays bounded."""
    directory = punc_dirs.write(tmp_path, punc_dirs.punc_config(realtime=True, blocks=1), likely=punc_dirs.SILENT)
    model: PuncModel = load(directory)
    past: tuple[str, ...] = ()
    carried = []
    for _ in range(8):
        (result,) = model.run([PuncRow("今" * 150, past)])
        assert result.text == "今" * 150
        past = result.past
        carried.append(len(past))
    assert max(carried) <= PAST_WORDS_LIMIT
    assert carried == [150, 300, 450, 0, 150, 300, 450, 0]


def test_half_precision_runs(directory: Path) -> None:
    """Positions and masks hold in half precision: marks differ at most where two are equally likely."""
    from asrpool_worker.engine.torch_backend import TorchBackend

    mixture = rows([(60, 0), (300, 0), (5, 20)], seed=7)
    pairs = zip(
        load(directory).run(mixture), load(directory, TorchBackend("cpu", "bfloat16", 1)).run(mixture), strict=True
    )
    same = [left == right for ours, theirs in pairs for left, right in zip(ours.marks, theirs.marks, strict=True)]
    assert sum(same) / len(same) > 0.9


@pytest.mark.parametrize("missing", ["embed.weight", "decoder.bias", "encoder.encoders.1.norm1.weight"])
def test_weights_of_another_model_are_refused(tmp_path: Path, missing: str) -> None:
    directory = punc_dirs.write(tmp_path, punc_dirs.punc_config(realtime=False))
    weights = torch.load(directory / "model.pt", weights_only=True)
    del weights[missing]
    torch.save(weights, directory / "model.pt")
    with pytest.raises(ModelError, match=rf"model\.pt: holds no {missing}"):
        load(directory)


def test_the_offline_graph_does_not_serve_realtime(offline_dir: Path, tmp_path: Path) -> None:
    """A model.onnx that was copied beside the other model's config.yaml is refused at start, not in a stream."""
    directory = punc_dirs.write(tmp_path, punc_dirs.punc_config(realtime=True))
    (directory / "model.onnx").write_bytes((offline_dir / "model.onnx").read_bytes())
    with pytest.raises(ModelError, match=r"holds punctuation \d+, needed is punctuation_realtime"):
        load(directory, OnnxBackend("cpu", 1))
