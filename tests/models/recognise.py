"""How the tests run a model: through the real ``funasr.AutoModel``, as FunASR's users do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinyasr.speech import Samples

MODELS = Path(__file__).parents[2] / "models"
STRIDE_SAMPLES = 9600


def load(name: str) -> Any:
    """``funasr.AutoModel`` on one of the committed model directories."""
    from funasr import AutoModel

    return AutoModel(model=str(MODELS / name), disable_update=True, disable_pbar=True, device="cpu", ncpu=1)


def stream(model: Any, samples: Samples, left: int = 5, decoder_look_back: int = 1) -> str:
    """Feed an utterance 600 ms at a time and join what comes back."""
    cache: dict[str, Any] = {}
    text = ""
    for begin in range(0, samples.size, STRIDE_SAMPLES):
        result = model.generate(
            input=samples[begin : begin + STRIDE_SAMPLES],
            cache=cache,
            is_final=begin + STRIDE_SAMPLES >= samples.size,
            chunk_size=[left, 10, 5],
            encoder_chunk_look_back=4,
            decoder_chunk_look_back=decoder_look_back,
        )
        text += str(result[0]["text"])
    return text


def whole(model: Any, samples: Samples) -> str:
    """Recognise an utterance at once."""
    return str(model.generate(input=samples)[0]["text"]).replace(" ", "")
