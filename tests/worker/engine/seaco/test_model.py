"""What comes for a row does not depend on who else is in the batch, nor on the engine; hotwords are each row's own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.backend import RunGraph
from asrpool_worker.engine.export import export_directory
from asrpool_worker.engine.onnx_backend import HostArrays, OnnxBackend
from asrpool_worker.engine.recogniser import OfflineRow
from asrpool_worker.engine.seaco.dims import read_seaco
from asrpool_worker.engine.seaco.model import BiCifModel, SeacoModel, load
from asrpool_worker.engine.seaco.network import SeacoPass
from asrpool_worker.engine.torch_backend import TorchBackend
from asrpool_worker.engine.weights import load_weights
from tests.worker.engine import model_dirs
from tests.worker.engine.conftest import babble
from tests.worker.engine.seaco import seaco_dirs

pytestmark = pytest.mark.model

CHARACTERS = model_dirs.TOKENS[3 : seaco_dirs.UNKNOWN]
WORDS = st.lists(st.text(st.sampled_from(CHARACTERS), min_size=1, max_size=5), max_size=4).map(tuple)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from([0.2, 0.61, 1.3, 2.9]), st.one_of(WORDS, st.just(tuple(CHARACTERS * 4)))
    ),
    min_size=2,
    max_size=5,
)


def row(model: BiCifModel, seed: int, seconds: float, words: tuple[str, ...] = ()) -> OfflineRow:
    return OfflineRow(seaco_dirs.utterance(model.model, babble(seconds, seed)), hotwords=words)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=ROWS)
def test_a_row_gets_in_a_batch_what_it_gets_alone(
    seaco: SeacoModel, seaco_onnx: SeacoModel, asked: list[tuple[int, float, tuple[str, ...]]]
) -> None:
    """Any mixture of lengths and lists, also of lists that are filtered with lists that are not; and both engines agree."""
    rows = [row(seaco, *wanted) for wanted in asked]
    alone = [seaco.run([one])[0] for one in rows]
    assert seaco.run(rows) == alone
    assert seaco_onnx.run(rows) == alone


def test_the_graphs_values_do_not_depend_on_the_batch(seaco: SeacoModel, seaco_onnx: SeacoModel) -> None:
    """Not only the tokens: weights are equal to rounding."""
    rows = [row(seaco, 1, 0.7), row(seaco, 2, 4.0, ("开灯", "百千"))]
    for model in (seaco, seaco_onnx):
        together = graph_outputs(model, rows)
        for index, one in enumerate(rows):
            alone = graph_outputs(model, [one])
            for batched, single in zip(together[2:], alone[2:], strict=True):
                width = single.shape[1]
                np.testing.assert_allclose(batched[index, :width], single[0], atol=1e-4)


def graph_outputs(model: SeacoModel, rows: list[OfflineRow]) -> list[np.ndarray]:
    model._vectors.clear()
    return model._outputs(rows)


def test_a_row_without_hotwords_gets_the_plain_pass(seaco: SeacoModel) -> None:
    """Beside rows with hotwords, and when none of its own words can be listened for."""
    plain = row(seaco, 3, 3.0)
    (expected,) = seaco.run([plain])
    others = [row(seaco, 4, 2.0, tuple(CHARACTERS)), row(seaco, 3, 3.0, ("开灯", "千百九"))]
    unheard = row(seaco, 3, 3.0, ("窗帘",))
    found = seaco.run([plain, *others, unheard])
    assert found[0] == found[3] == expected
    assert found[2] != expected, "while the same audio with hotwords says something else"


def test_twice_the_same(seaco: SeacoModel, seaco_onnx: SeacoModel) -> None:
    rows = [row(seaco, seed, 2.0, tuple(CHARACTERS[seed:])) for seed in range(3)]
    assert seaco.run(rows) == seaco.run(rows)
    assert seaco_onnx.run(rows) == seaco_onnx.run(rows)


class Watched:
    """A graph that notes what it was given."""

    def __init__(self, graph: RunGraph) -> None:
        self.graph = graph
        self.seen: list[dict[str, np.ndarray]] = []

    def __call__(self, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        self.seen.append(dict(inputs))
        return self.graph(inputs)


def test_a_word_is_encoded_once(seaco_onnx: SeacoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all rows of a step, and for the steps after it; the text is the same, and what was kept longest unused goes first."""
    watched = Watched(seaco_onnx._graph)
    model = SeacoModel(seaco_onnx.model, read_seaco(seaco_onnx.model), watched, HostArrays())
    lists = [("开灯", "关门"), ("关门", "开灯", "关灯"), (), ("开灯",)]
    rows = [row(seaco_onnx, seed, 1.0, words) for seed, words in enumerate(lists)]
    first, again = model.run(rows), model.run(rows)
    assert first == again == seaco_onnx.run(rows)
    step, second = watched.seen
    assert step["word_ids"].shape == (4, 2), "<s> and three words"
    assert step["hotword_mask"].sum(axis=1).tolist() == [3, 4, 1, 2]
    assert step["bias_weight"].tolist() == [1, 1, 0, 1]
    assert (len(second["word_ids"]), len(second["known_words"])) == (1, 3)

    monkeypatch.setattr("asrpool_worker.engine.seaco.model.REMEMBERED_WORDS", 2)
    model.run([row(seaco_onnx, 1, 0.3, ("开灯",))])
    assert [seaco_onnx.model.tokens[number] for word in model._vectors for number in word] == list("关灯开灯")


def test_half_precision_hears_the_same_tokens(seaco: SeacoModel) -> None:
    """Masked and filtered attention stays finite in fp16 and bf16: counts are the same, and nothing is NaN."""
    rows = [row(seaco, 5, 2.0, ("开灯",)), row(seaco, 6, 1.0), row(seaco, 7, 3.0, tuple(CHARACTERS * 5))]
    expected = seaco.run(rows)
    for dtype in ("float16", "bfloat16"):
        half = load(seaco.model, TorchBackend("cpu", dtype, 1))
        for found, exact in zip(half.run(rows), expected, strict=True):
            assert abs(len(found.tokens) - len(exact.tokens)) <= 1
            agreeing = sum(ours == theirs for ours, theirs in zip(found.tokens, exact.tokens, strict=False))
            assert agreeing > 0.6 * len(exact.tokens)


def test_where_the_head_says_nothing_the_recognisers_own_weights_give_the_times(seaco: SeacoModel) -> None:
    """A time-stamp head that never fires costs precision, not the times."""
    weights = np.full(9, 0.4, dtype=np.float32)
    found = BiCifModel(seaco.model, seaco.dims, seaco._graph, HostArrays())._recognised(
        [5, 6, 2], weights, np.zeros(24, dtype=np.float32)
    )
    assert found.tokens == (model_dirs.TOKENS[5], model_dirs.TOKENS[6])
    assert len(found.times_ms) == 2
    assert found.times_ms[0] < found.times_ms[1]


def test_a_model_without_a_bias_encoder_chooses_among_its_candidates(tmp_path: Path) -> None:
    """A row's hotwords decide where the model held them possible, in both engines, and leave the other rows alone."""
    directory = seaco_dirs.write(tmp_path, seaco_dirs.bicif_config(), seed=6)
    export_directory(directory)
    model, exported = (
        load(modeldir.read(directory), backend)
        for backend in (TorchBackend("cpu", "float32", 1), OnnxBackend("cpu", 1))
    )
    plain = row(model, 1, 4.0)
    (expected,) = model.run([plain])
    words = tuple(first + second for first in CHARACTERS for second in expected.tokens[:2])
    asked = row(model, 1, 4.0, words)
    found = model.run([plain, asked])
    assert found[0] == expected
    assert found[1].tokens != expected.tokens
    assert len(found[1].tokens) == len(expected.tokens) == len(found[1].times_ms)
    assert any(word in "".join(found[1].tokens) for word in words)
    assert model.run([asked]) == [found[1]]
    assert exported.run([plain, asked]) == found


@pytest.mark.parametrize("count", [1, 2, 49, 50, 51, 80])
def test_a_row_with_many_hotwords_sees_fifty(seaco_directory: Path, count: int) -> None:
    """The limit counts the mark <s>, which is seen in any case, twice where it is among the fifty; padding is never seen."""
    model = modeldir.read(seaco_directory)
    module = SeacoPass(read_seaco(model))
    load_weights(module, model.weights_path)
    generator = torch.Generator().manual_seed(count)
    mask = torch.zeros(2, 90)
    mask[0, :count] = 1.0
    mask[1, :3] = 1.0
    with torch.no_grad():
        words = module.encode_words(torch.randint(3, 20, (90, 3), generator=generator), torch.full((90,), 2))
        hidden = torch.randn(2, 6, 32, generator=generator)
        token_mask = torch.tensor([[1.0] * 6, [1.0] * 2 + [0.0] * 4])
        seen = module.filtered(hidden, token_mask, words[None].expand(2, -1, -1), mask)[:, 0, 0].exp()
    assert seen[1].tolist() == [1.0] * 3 + [0.0] * 87
    assert seen[0, count:].sum() == 0
    if count <= 50:
        assert seen[0].sum() == count
    else:
        assert seen[0, 0].item() == pytest.approx(1.0) or seen[0, 0].item() == pytest.approx(2.0)
        assert seen[0].sum().item() == pytest.approx(51)


def test_the_8_bit_graph_hears_the_same(seaco_directory: Path, seaco_onnx: SeacoModel, tmp_path: Path) -> None:
    """Weights that the graph reads three times over are quantised like any other: what the graph gives stays close."""
    directory = tmp_path / "int8"
    shutil.copytree(seaco_directory, directory)
    export_directory(directory, int8=True)
    int8 = load(modeldir.read(directory), OnnxBackend("cpu", 1, int8=True))
    assert isinstance(int8, SeacoModel)
    rows = [row(seaco_onnx, seed, 2.0, tuple(CHARACTERS[seed:])) for seed in range(4)]
    exact, rough = graph_outputs(seaco_onnx, rows), graph_outputs(int8, rows)
    assert np.abs(exact[1] - rough[1]).max() <= 1, "as many tokens"
    for ours, theirs in zip(rough[2:], exact[2:], strict=True):
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.95
