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


def stream(model: Any, samples: Samples, left: int = 5, decoder_look_back: int = 1, frames_before: int = 0) -> str:
    """Feed an utterance 600 ms at a time and join what comes back.

    ``frames_before``: how many frames of 60 ms the stream is said to have gone on for already.
    """
    settings: dict[str, Any] = {
        "chunk_size": [left, 10, 5],
        "encoder_chunk_look_back": 4,
        "decoder_chunk_look_back": decoder_look_back,
    }
    cache: dict[str, Any] = {}
    sizes = {name: model.kwargs[name] for name in ("encoder_conf", "frontend_conf")}
    model.model.init_cache(cache, **settings, **sizes)
    cache["encoder"]["start_idx"] = frames_before
    text = ""
    for begin in range(0, samples.size, STRIDE_SAMPLES):
        result = model.generate(
            input=samples[begin : begin + STRIDE_SAMPLES],
            cache=cache,
            is_final=begin + STRIDE_SAMPLES >= samples.size,
            **settings,
        )
        text += str(result[0]["text"])
    return text


def whole(model: Any, samples: Samples) -> str:
    """Recognise an utterance at once."""
    return str(model.generate(input=samples)[0]["text"]).replace(" ", "")
