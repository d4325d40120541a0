"""CT-Transformer, many texts at once. Parameter names are FunASR's.

Method: Chen et al., "Controllable Time-Delay Transformer for Real-Time Punctuation Prediction and Disfluency Detection"
(2020), arXiv:2003.01309. The blocks are those of Paraformer's encoder.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from asrpool_worker.engine.paraformer.layers import LAYER_NORM_EPSILON, MASKED_SCORE, EncoderLayer
from asrpool_worker.engine.punctuation.dims import PuncDims

INPUTS = ("words", "word_mask")
REALTIME_INPUTS = ("words", "word_mask", "past_words")
OUTPUTS = ("logits",)


def with_positions(embeds: Tensor, word_mask: Tensor) -> Tensor:
    """Add sines and cosines of each word's place (from 1), counted in float32: (B, T, f) → (B, T, f)."""
    size = embeds.shape[-1]
    step = math.log(10_000.0) / (size / 2 - 1)
    timescales = torch.exp(torch.arange(size // 2, device=embeds.device, dtype=torch.float32) * -step)
    scaled = torch.cumsum(word_mask.float(), dim=1)[..., None] * timescales
    return embeds + torch.cat((torch.sin(scaled), torch.cos(scaled)), dim=-1).to(embeds.dtype)


class Encoder(nn.Module):
    """SANM blocks over embedded words; `biases` say for each block which words may see which."""

    def __init__(self, dims: PuncDims) -> None:
        super().__init__()
        self.scale = math.sqrt(dims.size)
        self.encoders0 = nn.ModuleList([EncoderLayer(dims, dims.embed_size)])
        self.encoders = nn.ModuleList([EncoderLayer(dims, dims.size) for _ in range(dims.encoder_blocks - 1)])
        self.after_norm = nn.LayerNorm(dims.size, eps=LAYER_NORM_EPSILON)

    def forward(self, embeds: Tensor, word_mask: Tensor, bias: Tensor, last_bias: Tensor) -> Tensor:
        """Shapes: embeds (B, T, f), biases (B, 1, T or 1, T), the second for the last block → (B, T, d)."""
        x = with_positions(embeds * self.scale, word_mask)
        for layer in self.encoders0:
            x, _ = layer(x, word_mask, bias, None)
        for index, layer in enumerate(self.encoders):
            x, _ = layer(x, word_mask, last_bias if index + 1 == len(self.encoders) else bias, None)
        out: Tensor = self.after_norm(x)
        return out


class Punctuation(nn.Module):
    """The offline model: every word sees its whole text."""

    def __init__(self, dims: PuncDims) -> None:
        super().__init__()
        self.embed = nn.Embedding(dims.vocabulary, dims.embed_size)
        self.encoder = Encoder(dims)
        self.decoder = nn.Linear(dims.size, len(dims.marks))

    def forward(self, words: Tensor, word_mask: Tensor) -> tuple[Tensor]:
        """Shapes: words (B, T) int64, word_mask (B, T): 1 for words, then 0 → logits (B, T, marks)."""
        bias = as_bias(word_mask[:, None, :])
        return (self.decoder(self.encoder(self.embed(words), word_mask, bias, bias)),)


class RealtimePunctuation(Punctuation):
    """The realtime model: words see what came before; in the last block, new ones see each other, and the past does not see them."""

    def forward(self, words: Tensor, word_mask: Tensor, past_words: Tensor) -> tuple[Tensor]:  # type: ignore[override]
        """Shapes: words (B, T) int64, word_mask (B, T), past_words (B,) int64: how many were written before → logits (B, T, marks).

        The newest word of the past counts as new: its mark is still to be written.
        """
        places = torch.cumsum(torch.ones_like(words), dim=1)
        seeing, seen = places[:, :, None], places[:, None, :]
        past = past_words[:, None, None]
        before = (seen <= seeing).to(word_mask.dtype)
        unseen = ((seeing < past) & (seen > past)).to(word_mask.dtype)
        keys = word_mask[:, None, :]
        bias, last_bias = as_bias(keys * before), as_bias(keys * (1.0 - unseen))
        return (self.decoder(self.encoder(self.embed(words), word_mask, bias, last_bias)),)


def as_bias(mask: Tensor) -> Tensor:
    """What to add to attention scores so that what has mask 0 gets no weight: (B, T or 1, T) → (B, 1, T or 1, T)."""
    return ((1.0 - mask) * MASKED_SCORE)[:, None]
