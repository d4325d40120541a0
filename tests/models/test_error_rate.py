"""What the committed models hear, measured by running them on voices they were not trained on.

300 utterances, clean and with 10 to 15 dB of noise in a room, streaming and offline, through
FunASR's own code. Nothing here reads a stored figure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

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
