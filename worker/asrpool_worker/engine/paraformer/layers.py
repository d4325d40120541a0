"""The blocks of Paraformer, with FunASR's parameter names, written so that a batch row may stand anywhere in its stream.

Every function takes masks where FunASR takes lengths or slices: 1.0 for what counts, 0.0 for padding. Nothing here
branches on values, so the same code runs eagerly, is traced to ONNX, and gives each row what it would get alone.
Method: Gao et al., "Paraformer" (2022), arXiv:2206.08317; SANM blocks after Gao et al. (2020), arXiv:2006.01713.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from asrpool_worker.engine.paraformer.dims import ParaformerDims

LAYER_NORM_EPSILON = 1e-12
MASKED_SCORE = -1e4
"""Far below any score, and still finite in fp16."""


class EncoderSizes(Protocol):
    """What the encoder's blocks need to know of a model; other families of SANM encoders have it too."""

    @property
    def size(self) -> int:
        """Width of the model."""

    @property
    def encoder_heads(self) -> int:
        """Attention heads."""

    @property
    def encoder_units(self) -> int:
        """Width inside the feed-forward block."""

    @property
    def encoder_kernel(self) -> int:
        """Frames that the memory block's convolution spans."""

    @property
    def encoder_shift(self) -> int:
        """How many of those frames are moved from the future to the past."""


class Past(NamedTuple):
    """What one block remembers of a session's earlier chunks: keys and values (B, heads, S, w), bias (B, 1, 1, S)."""

    key: Tensor
    value: Tensor
    bias: Tensor


def key_bias(mask: Tensor) -> Tensor:
    """What to add to attention scores so that keys with mask 0 get no weight: (B, keys) → (B, 1, 1, keys)."""
    return ((1.0 - mask) * MASKED_SCORE)[:, None, None, :]


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """(…, in) → (rows, out): all frames of all sessions as rows of one matrix, which runtimes multiply and bias in one go."""
    return functional.linear(x.reshape(-1, layer.in_features), layer.weight, layer.bias)


def depthwise(x: Tensor, weight: Tensor, padding: int = 0) -> Tensor:
    """(B, D, T) with weights (D, 1, k) → (B, D, ·). As a two-dimensional convolution: runtimes have fast kernels for those only."""
    return functional.conv2d(x[:, :, None], weight[:, :, None], padding=(0, padding), groups=weight.shape[0]).squeeze(2)


def split_heads(x: Tensor, batch: int, heads: int) -> Tensor:
    """(rows, d) → (B, heads, T, d / heads)."""
    return x.view(batch, -1, heads, x.shape[-1] // heads).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """(B, heads, T, w) → (B, T, heads * w)."""
    return x.transpose(1, 2).flatten(2)


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Multi-head attention: query (B, h, T, w), key and value (B, h, K, w), bias (B, 1, 1 or T, K) → (B, T, h * w)."""
    query = query * query.shape[-1] ** -0.5
    weights = torch.softmax(query @ key.transpose(-2, -1) + bias, dim=-1)
    return join_heads(weights @ value)


def attend_also(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, past: Past) -> Tensor:
    """The same with older keys beside the new ones. They are read where they lie: joining them would copy every session's cache."""
    query = query * query.shape[-1] ** -0.5
    older = query @ past.key.transpose(-2, -1) + past.bias
    scores = torch.cat((older, query @ key.transpose(-2, -1) + bias), dim=-1)
    weights = torch.softmax(scores, dim=-1)
    count = older.shape[-1]
    return join_heads(weights[..., :count] @ past.value + weights[..., count:] @ value)


class SelfAttention(nn.Module):
    """Self-attention with a memory block (a depth-wise convolution over the values)."""

    def __init__(self, dims: EncoderSizes, input_size: int) -> None:
        super().__init__()
        self.heads = dims.encoder_heads
        self.size = dims.size
        self.linear_q_k_v = nn.Linear(input_size, dims.size * 3)
        self.linear_out = nn.Linear(dims.size, dims.size)
        self.fsmn_block = nn.Conv1d(dims.size, dims.size, dims.encoder_kernel, groups=dims.size, bias=False)
        left = (dims.encoder_kernel - 1) // 2 + dims.encoder_shift
        self.padding = (left, dims.encoder_kernel - 1 - left)

    def forward(
        self, x: Tensor, frame_mask: Tensor, bias: Tensor, past: Past | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Shapes: x (B, T, in) → output (B, T, d), this chunk's keys and values (B, heads, T, w) each."""
        batch = x.shape[0]
        q, k, v = torch.split(linear(self.linear_q_k_v, x), self.size, dim=-1)
        query, key, value = (split_heads(part, batch, self.heads) for part in (q, k, v))
        masked = v.view(batch, -1, self.size) * frame_mask[..., None]
        over_time = masked.transpose(1, 2)
        left, right = self.padding
        if left == right:
            memory = depthwise(over_time, self.fsmn_block.weight, left)
        else:
            memory = depthwise(functional.pad(over_time, self.padding), self.fsmn_block.weight)
        attended = attend(query, key, value, bias) if past is None else attend_also(query, key, value, bias, past)
        out = linear(self.linear_out, attended).view(batch, -1, self.size)
        return out + (memory.transpose(1, 2) + masked) * frame_mask[..., None], (key, value)


class FeedForward(nn.Module):
    """Two linear layers around a ReLU."""

    def __init__(self, dims: EncoderSizes) -> None:
        super().__init__()
        self.w_1 = nn.Linear(dims.size, dims.encoder_units)
        self.w_2 = nn.Linear(dims.encoder_units, dims.size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d) → (B, T, d)."""
        return linear(self.w_2, torch.relu(linear(self.w_1, x))).view_as(x)


class EncoderLayer(nn.Module):
    """One encoder block; the first one changes the width and so has no residual around its attention."""

    def __init__(self, dims: EncoderSizes, input_size: int, epsilon: float = LAYER_NORM_EPSILON) -> None:
        super().__init__()
        self.residual = input_size == dims.size
        self.self_attn = SelfAttention(dims, input_size)
        self.feed_forward = FeedForward(dims)
        self.norm1 = nn.LayerNorm(input_size, eps=epsilon)
        self.norm2 = nn.LayerNorm(dims.size, eps=epsilon)

    def forward(
        self, x: Tensor, frame_mask: Tensor, bias: Tensor, past: Past | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """See `SelfAttention.forward`."""
        attended, key_value = self.self_attn(self.norm1(x), frame_mask, bias, past)
        x = x + attended if self.residual else attended
        return x + self.feed_forward(self.norm2(x)), key_value


class Encoder(nn.Module):
    """All encoder blocks over frames that already carry their scale and positions."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.encoders0 = nn.ModuleList([EncoderLayer(dims, dims.feature_size)])
        self.encoders = nn.ModuleList([EncoderLayer(dims, dims.size) for _ in range(dims.encoder_blocks - 1)])
        self.after_norm = nn.LayerNorm(dims.size, eps=LAYER_NORM_EPSILON)

    def forward(
        self, frames: Tensor, frame_mask: Tensor, past: Sequence[Past] | None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Shapes: frames (B, T, f) → output (B, T, d), and each block's keys and values of these frames (B, heads, T, w)."""
        bias = key_bias(frame_mask)
        x = frames
        kept = []
        for index, layer in enumerate((*self.encoders0, *self.encoders)):
            x, key_value = layer(x, frame_mask, bias, None if past is None else past[index])
            kept.append(key_value)
        return self.after_norm(x), kept


class CifWeights(nn.Module):
    """How much of a token each frame carries (FunASR's CifPredictorV2)."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.padding = (dims.cif_left, dims.cif_right)
        self.smooth = dims.cif_smooth
        self.noise = dims.cif_noise
        self.cif_conv1d = nn.Conv1d(dims.size, dims.size, dims.cif_left + dims.cif_right + 1)
        self.cif_output = nn.Linear(dims.size, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, d) → (B, T)."""
        convolved = torch.relu(self.cif_conv1d(functional.pad(hidden.transpose(1, 2), self.padding)))
        alphas = torch.sigmoid(self.cif_output(convolved.transpose(1, 2)))
        return torch.relu(alphas * self.smooth - self.noise).squeeze(-1)


class DecoderFeedForward(nn.Module):
    """Feed-forward with a norm on the inner layer."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.w_1 = nn.Linear(dims.size, dims.decoder_units)
        self.w_2 = nn.Linear(dims.decoder_units, dims.size, bias=False)
        self.norm = nn.LayerNorm(dims.decoder_units, eps=LAYER_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, U, d) → (B, U, d)."""
        return linear(self.w_2, self.norm(torch.relu(linear(self.w_1, x)))).view_as(x)


class DecoderMemory(nn.Module):
    """The decoder's memory block: a depth-wise convolution over tokens."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.fsmn_block = nn.Conv1d(dims.size, dims.size, dims.decoder_kernel, groups=dims.size, bias=False)
        left = (dims.decoder_kernel - 1) // 2 + dims.decoder_shift
        self.padding = (left, dims.decoder_kernel - 1 - left)

    def forward(self, x: Tensor, token_mask: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Shapes: x (B, U, d) with past tokens (B, kernel-1, d) before it → output (B, U, d), all tokens seen (B, kernel-1+U, d)."""
        masked = x * token_mask[..., None]
        if past is None:
            seen = functional.pad(masked.transpose(1, 2), self.padding).transpose(1, 2)
        else:
            seen = torch.cat((past, masked), dim=1)
        out = depthwise(seen.transpose(1, 2), self.fsmn_block.weight).transpose(1, 2) + masked
        return out * token_mask[..., None], seen


class CrossAttention(nn.Module):
    """From tokens to the encoder's output."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.heads = dims.decoder_heads
        self.size = dims.size
        self.linear_q = nn.Linear(dims.size, dims.size)
        self.linear_k_v = nn.Linear(dims.size, dims.size * 2)
        self.linear_out = nn.Linear(dims.size, dims.size)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
        """Shapes: x (B, U, d), memory (B, K, d) → (B, U, d)."""
        batch = x.shape[0]
        k, v = torch.split(linear(self.linear_k_v, memory), self.size, dim=-1)
        key, value = split_heads(k, batch, self.heads), split_heads(v, batch, self.heads)
        query = split_heads(linear(self.linear_q, x), batch, self.heads)
        return linear(self.linear_out, attend(query, key, value, bias)).view_as(x)


class DecoderLayer(nn.Module):
    """One decoder block: feed-forward, memory, cross-attention."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.feed_forward = DecoderFeedForward(dims)
        self.self_attn = DecoderMemory(dims)
        self.src_attn = CrossAttention(dims)
        self.norm1 = nn.LayerNorm(dims.size, eps=LAYER_NORM_EPSILON)
        self.norm2 = nn.LayerNorm(dims.size, eps=LAYER_NORM_EPSILON)
        self.norm3 = nn.LayerNorm(dims.size, eps=LAYER_NORM_EPSILON)

    def forward(
        self, x: Tensor, token_mask: Tensor, memory: Tensor, bias: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Shapes: x (B, U, d) → (B, U, d), and all tokens its memory block has seen."""
        remembered, seen = self.self_attn(self.norm2(self.feed_forward(self.norm1(x))), token_mask, past)
        x = x + remembered
        return x + self.src_attn(self.norm3(x), memory, bias), seen


class LastDecoderLayer(nn.Module):
    """FunASR's `decoders3`: a feed-forward block without residual."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.feed_forward = DecoderFeedForward(dims)
        self.norm1 = nn.LayerNorm(dims.size, eps=LAYER_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, U, d) → (B, U, d)."""
        out: Tensor = self.feed_forward(self.norm1(x))
        return out


class Decoder(nn.Module):
    """All decoder blocks and the output layer."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.decoders = nn.ModuleList([DecoderLayer(dims) for _ in range(dims.decoder_blocks)])
        self.decoders3 = nn.ModuleList([LastDecoderLayer(dims)])
        self.after_norm = nn.LayerNorm(dims.size, eps=LAYER_NORM_EPSILON)
        self.output_layer = nn.Linear(dims.size, dims.vocabulary)

    def forward(
        self, embeds: Tensor, token_mask: Tensor, memory: Tensor, memory_mask: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Shapes: embeds (B, U, d), past (B, blocks, kernel-1, d) → logits (B, U, vocabulary), tokens seen (B, blocks, ·, d)."""
        bias = key_bias(memory_mask)
        x = embeds
        kept = []
        for index, layer in enumerate(self.decoders):
            x, seen = layer(x, token_mask, memory, bias, None if past is None else past[:, index])
            kept.append(seen)
        for last in self.decoders3:
            x = last(x)
        return self.output_layer(self.after_norm(x)), torch.stack(kept, dim=1)


class Paraformer(nn.Module):
    """The weights of one Paraformer, named as in FunASR's checkpoints."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.dims = dims
        self.encoder = Encoder(dims)
        self.predictor = CifWeights(dims)
        self.decoder = Decoder(dims)
