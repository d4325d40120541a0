"""What the committed models hear, measured by running them on voices they were not trained on.

300 utterances, clean and with 10 to 15 dB of noise in a room, streaming and offline, through
FunASR's own code; and what they make of other settings, long streams and silence. Nothing here reads a stored figure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from asrpool.cer import character_error_rate
from tests.models import recognise
from tinyasr import testset
from tinyasr.speech import Samples

pytestmark = pytest.mark.model
_COUNT = 300


@pytest.fixture(scope="module")
def streaming_model() -> Any:
    return recognise.load("paraformer-tiny-streaming")


@pytest.fixture(scope="module")
def offline_model() -> Any:
    return recognise.load("paraformer-tiny")


def _error_rate(kind: Literal["clean", "noisy"], heard: Callable[[Samples], str]) -> float:
    return character_error_rate((utterance.text, heard(utterance.samples)) for utterance in testset.build(kind, _COUNT))


@pytest.mark.parametrize(("kind", "limit"), [("clean", 0.04), ("noisy", 0.12)])
def test_streaming_model_hears_new_voices(streaming_model: Any, kind: Literal["clean", "noisy"], limit: float) -> None:
    """Chunks of 600 ms with look-backs 4 and 1, as FunASR's clients ask for."""
    rate = _error_rate(kind, lambda samples: recognise.stream(streaming_model, samples))
    print(f"streaming, {kind}: {rate:.2%}")
    assert rate <= limit


@pytest.mark.parametrize(("kind", "limit"), [("clean", 0.04), ("noisy", 0.12)])
def test_offline_model_hears_new_voices(offline_model: Any, kind: Literal["clean", "noisy"], limit: float) -> None:
    """The whole utterance at once, as in the second pass."""
    rate = _error_rate(kind, lambda samples: recognise.whole(offline_model, samples))
    print(f"offline, {kind}: {rate:.2%}")
    assert rate <= limit


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        pytest.param({"left": 0}, 0.06, id="no look-back in the chunk, [0,10,5]"),
        pytest.param({"decoder_look_back": 0}, 0.06, id="no decoder look-back, as FunASR's Python client"),
        pytest.param({"frames_before": 20000}, 0.06, id="after 20 minutes"),
    ],
)
def test_streaming_model_under_other_settings(streaming_model: Any, settings: dict[str, int], limit: float) -> None:
    rate = character_error_rate(
        (utterance.text, recognise.stream(streaming_model, utterance.samples, **settings))
        for utterance in testset.build("clean", _COUNT)[:60]
    )
    print(f"streaming, {settings}: {rate:.2%}")
    assert rate <= limit


def test_streaming_model_keeps_its_count_along_a_stream(streaming_model: Any) -> None:
    """Eight sentences without a reset between them: what is left over of one must not shift the next."""
    conversations = [testset.conversation(number, 8, 0.8)[0] for number in range(60, 70)]
    rate = character_error_rate(
        (conversation.text, recognise.stream(streaming_model, conversation.samples)) for conversation in conversations
    )
    print(f"streaming, eight sentences in a row: {rate:.2%}")
    assert rate <= 0.06


@pytest.mark.parametrize("level", [0.0, 1e-4, 1e-3, 2e-2], ids=["digital silence", "faint", "quiet", "loud"])
@pytest.mark.parametrize("mode", ["streaming", "offline"])
def test_nothing_is_heard_where_nobody_speaks(
    streaming_model: Any, offline_model: Any, mode: str, level: float
) -> None:
    """Twelve seconds of silence or noise may give at most a slip, not a text."""
    noise = np.random.default_rng(4).normal(0.0, 1.0, 16000 * 12).astype(np.float32) * level
    heard = recognise.stream(streaming_model, noise) if mode == "streaming" else recognise.whole(offline_model, noise)
    assert len(heard) <= 1
