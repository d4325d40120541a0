"""SenseVoiceSmall as a pure tensor function, with FunASR's parameter names.

Every utterance brings its own queries (language, style), so one batch may mix languages, with and without ITN.
Method: An et al., "FunAudioLLM" (2024), arXiv:2407.04051; its SANM blocks are Paraformer's but for the norm's epsilon.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asrpool_worker.engine.features import positions
from asrpool_worker.engine.paraformer.layers import EncoderLayer, key_bias
from asrpool_worker.engine.sensevoice.dims import EMOTION_QUERY, EVENT_QUERY, QUERIES, QUERY_KINDS, SenseVoiceDims

INPUTS = ("frames", "frame_mask", "language", "style")
OUTPUTS = ("token_ids",)
NORM_EPSILON = 1e-5


class Encoder(nn.Module):
    """Two stacks of blocks, each with a norm at its end."""

    def __init__(self, dims: SenseVoiceDims) -> None:
        super().__init__()
        blocks, extra = dims.encoder_blocks - 1, dims.extra_blocks
        self.encoders0 = nn.ModuleList([EncoderLayer(dims, dims.feature_size, NORM_EPSILON)])
        self.encoders = nn.ModuleList([EncoderLayer(dims, dims.size, NORM_EPSILON) for _ in range(blocks)])
        self.after_norm = nn.LayerNorm(dims.size, eps=NORM_EPSILON)
        self.tp_encoders = nn.ModuleList([EncoderLayer(dims, dims.size, NORM_EPSILON) for _ in range(extra)])
        self.tp_norm = nn.LayerNorm(dims.size, eps=NORM_EPSILON)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Shapes: x (B, T, f) with scale and positions, mask (B, T) → (B, T, d)."""
        bias = key_bias(mask)
        for layer in (*self.encoders0, *self.encoders):
            x, _ = layer(x, mask, bias, None)
        x = self.after_norm(x)
        for layer in self.tp_encoders:
            x, _ = layer(x, mask, bias, None)
        out: Tensor = self.tp_norm(x)
        return out


class Ctc(nn.Module):
    """FunASR's wrapper of the output layer."""

    def __init__(self, size: int, vocabulary: int) -> None:
        super().__init__()
        self.ctc_lo = nn.Linear(size, vocabulary)

    def forward(self, encoded: Tensor) -> Tensor:
        """(B, T, d) → scores (B, T, vocabulary)."""
        out: Tensor = self.ctc_lo(encoded)
        return out


class SenseVoice(nn.Module):
    """The weights of one model, and the greedy token of each place."""

    first_positions: Tensor

    def __init__(self, dims: SenseVoiceDims, vocabulary: int) -> None:
        super().__init__()
        self.scale = dims.feature_scale
        self.embed = nn.Embedding(QUERY_KINDS, dims.feature_size)
        self.encoder = Encoder(dims)
        self.ctc = Ctc(dims.size, vocabulary)
        first = torch.from_numpy(positions(1, QUERIES, dims.feature_size))
        self.register_buffer("first_positions", first, persistent=False)

    def forward(self, frames: Tensor, frame_mask: Tensor, language: Tensor, style: Tensor) -> tuple[Tensor]:
        """Shapes: frames (B, T, f) with scale and positions from QUERIES on, frame_mask (B, T), language and style (B,)
        int64, rows of the query embedding → token_ids (B, QUERIES + T).
        """
        logits = self.ctc(self.encoded(frames, frame_mask, language, style))
        return (logits.argmax(dim=-1),)

    def encoded(self, frames: Tensor, frame_mask: Tensor, language: Tensor, style: Tensor) -> Tensor:
        """What the encoder makes of the queries and frames: (B, QUERIES + T, d)."""
        event, emotion = torch.full_like(language, EVENT_QUERY), torch.full_like(language, EMOTION_QUERY)
        queries = self.embed(torch.stack((language, event, emotion, style), dim=1)) * self.scale + self.first_positions
        mask = torch.cat((torch.ones_like(queries[..., 0]), frame_mask), dim=1)
        out: Tensor = self.encoder(torch.cat((queries, frames), dim=1), mask)
        return out
