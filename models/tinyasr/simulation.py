"""Paraformer's forward pass over whole utterances, computed exactly as a stream would be.

A stream is decoded in chunks: the encoder sees one chunk and the keys kept of earlier ones, the
predictor fires only in the middle of a chunk, the decoder sees the chunk in which a token fired
and a little of the one that fired before. Training on anything else costs accuracy at the seams,
so all chunks of all utterances are laid out side by side here and computed at once, with FunASR's
own weights. An utterance heard as a whole is the case of one chunk without neighbours.

Method: SCAMA (arXiv 2006.01712) and Paraformer (arXiv 2206.08317), as in FunASR's ``forward_chunk``.
Shapes: B utterances, N chunks, S frames in a chunk, D model size, L tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional

Tensor = torch.Tensor
_HIDDEN = -1e4


@dataclass(frozen=True)
class Chunking:
    """FunASR's chunk_size [left, stride, right] in frames of 60 ms, and the look-backs in chunks."""

    left: int
    stride: int
    right: int
    encoder_look_back: int
    decoder_look_back: int

    @property
    def size(self) -> int:
        """Frames that the encoder sees at once."""
        return self.left + self.stride + self.right


@dataclass(frozen=True)
class Outputs:
    """``logits`` (B, L, vocabulary); ``alphas`` (B, T): how much of a token the predictor finds in
    each frame; ``encoded`` (B, N*S, D).
    """

    logits: Tensor
    alphas: Tensor
    encoded: Tensor


def forward(
    model: Any, features: Tensor, lengths: Tensor, token_counts: Tensor, chunking: Chunking | None, first_position: int
) -> Outputs:
    """Logits for as many tokens as the reference has.

    features (B, T, input), zero beyond lengths (B,); chunking None hears each utterance as a whole.
    """
    encoder = model.encoder
    size = encoder.output_size()
    positions = _positions(features.shape[1], features.shape[2], first_position).to(features)
    embedded = features * size**0.5 + positions
    frames = torch.arange(features.shape[1])
    embedded = embedded * (frames[None] < lengths[:, None])[..., None]
    if chunking is None:
        chunking = Chunking(0, features.shape[1], 0, 0, 0)
    windows, valid, fires = _cut(embedded, lengths, chunking)
    encoded = _encode(encoder, windows, valid, chunking)
    alphas = _alphas(model.predictor, encoded, valid) * fires
    flat = alphas.flatten(1)
    scale = token_counts / flat.sum(1).clamp(min=1e-6)
    tokens, fired_in = _integrate(encoded.flatten(1, 2), flat * scale[:, None], token_counts)
    mask = _memory_mask(fired_in, token_counts, valid, chunking)
    memory = encoded.flatten(1, 2)
    whole = torch.full((len(memory),), memory.shape[1])
    logits, _ = model.decoder(memory, whole, tokens, token_counts, mask)
    return Outputs(logits, _by_frame(flat, features.shape[1], chunking), memory)


def _positions(count: int, depth: int, first: int) -> Tensor:
    """Sinusoidal positions, numbered from ``first`` + 1, (count, depth)."""
    step = math.log(10000.0) / (depth / 2 - 1)
    scaled = torch.arange(first + 1, first + count + 1)[:, None] * torch.exp(torch.arange(depth // 2) * -step)[None]
    return torch.cat([scaled.sin(), scaled.cos()], dim=1)


def _cut(embedded: Tensor, lengths: Tensor, chunking: Chunking) -> tuple[Tensor, Tensor, Tensor]:
    """Windows (B, N, S, input), which frames exist (B, N, S), where the predictor may fire (B, N, S).

    A stream begins with look-back and look-ahead full of zeros, which count as frames. The last
    chunk of an utterance fires to its end.
    """
    before = chunking.left + chunking.right
    count = -(-embedded.shape[1] // chunking.stride)
    after = count * chunking.stride - embedded.shape[1]
    padded = functional.pad(embedded, (0, 0, before, after))
    windows = padded.unfold(1, chunking.size, chunking.stride).transpose(2, 3)
    place = torch.arange(chunking.size)[None] + torch.arange(count)[:, None] * chunking.stride
    chunks = -(-lengths // chunking.stride)
    used = torch.arange(count)[None] < chunks[:, None]
    valid = (place[None] < (lengths + before)[:, None, None]) & used[..., None]
    middle = torch.arange(chunking.size) >= chunking.left
    early = torch.arange(chunking.size) < chunking.left + chunking.stride
    last = torch.arange(count)[None] == chunks[:, None] - 1
    fires = valid & middle & (early | last[..., None])
    return windows, valid, fires


def _kept_keys(count: int, chunking: Chunking) -> Tensor:
    """For each chunk the flat places of the keys kept from earlier chunks, (N, kept); -1: none.

    Each chunk leaves all but its look-ahead behind; the last look_back * stride of these are kept.
    """
    keep = chunking.encoder_look_back * chunking.stride
    left_behind = chunking.size - chunking.right
    rows = []
    for chunk in range(count):
        past = [
            earlier * chunking.size + place
            for earlier in range(max(0, chunk - chunking.encoder_look_back), chunk)
            for place in range(left_behind)
        ]
        rows.append(([-1] * keep + past)[len(past) :] if keep else [])
    return torch.tensor(rows, dtype=torch.long).reshape(count, keep)


def _encode(encoder: Any, windows: Tensor, valid: Tensor, chunking: Chunking) -> Tensor:
    """Run the encoder's layers over all windows; returns (B, N, S, D)."""
    batch, count, _, _ = windows.shape
    kept = _kept_keys(count, chunking)
    seen = torch.cat([(kept >= 0).expand(batch, -1, -1), valid], dim=2)
    bias = torch.where(seen, 0.0, _HIDDEN).reshape(batch * count, 1, 1, -1)
    exists = valid[..., None].to(windows)
    hidden = windows
    for layer in [*encoder.encoders0, *encoder.encoders]:
        attended = _attend(layer.self_attn, layer.norm1(hidden), exists, bias, kept.clamp(min=0))
        hidden = hidden + attended if layer.in_size == layer.size else attended
        hidden = hidden + layer.feed_forward(layer.norm2(hidden))
    encoded: Tensor = encoder.after_norm(hidden) * exists
    return encoded


def _attend(attention: Any, hidden: Tensor, exists: Tensor, bias: Tensor, kept: Tensor) -> Tensor:
    """SAN-M: attention over the chunk and the kept keys, plus a convolution within the chunk."""
    batch, count, size, _ = hidden.shape
    heads, depth = attention.h, attention.d_k
    queries, keys, values = attention.linear_q_k_v(hidden).split(heads * depth, dim=-1)
    convolved = values * exists
    rows = attention.pad_fn(convolved.flatten(0, 1).transpose(1, 2))
    memory = (attention.fsmn_block(rows).transpose(1, 2).unflatten(0, (batch, count)) + convolved) * exists

    def with_past(projected: Tensor) -> Tensor:
        past = projected.flatten(1, 2)[:, kept.flatten()].reshape(batch, count, -1, heads * depth)
        return torch.cat([past, projected], dim=2).reshape(batch * count, -1, heads, depth).transpose(1, 2)

    mixed = functional.scaled_dot_product_attention(
        queries.reshape(batch * count, size, heads, depth).transpose(1, 2),
        with_past(keys),
        with_past(values),
        attn_mask=bias.to(queries.dtype),
    )
    attended: Tensor = attention.linear_out(mixed.transpose(1, 2).reshape(batch, count, size, heads * depth)) + memory
    return attended


def _alphas(predictor: Any, encoded: Tensor, valid: Tensor) -> Tensor:
    """How much of a token each frame holds, (B, N, S)."""
    batch, count, _, _ = encoded.shape
    rows = predictor.pad(encoded.flatten(0, 1).transpose(1, 2))
    weights = predictor.cif_output(torch.relu(predictor.cif_conv1d(rows)).transpose(1, 2))
    alphas = torch.sigmoid(weights).reshape(batch, count, -1)
    return alphas * valid


def _by_frame(alphas: Tensor, frames: int, chunking: Chunking) -> Tensor:
    """Alphas of the windows (B, N*S), which are zero but for the one window a frame fires in, as (B, T)."""
    place = torch.arange(alphas.shape[1])
    frame = place // chunking.size * chunking.stride + place % chunking.size - chunking.left - chunking.right
    inside = (frame >= 0) & (frame < frames)
    return torch.zeros(len(alphas), frames).index_add(1, frame[inside], alphas[:, inside])


def _integrate(hidden: Tensor, alphas: Tensor, token_counts: Tensor) -> tuple[Tensor, Tensor]:
    """Integrate and fire: tokens (B, L, D), and the flat frame in which each fired (B, L).

    Token l is the mean of the frames whose share of the running sum falls between l and l + 1.
    """
    end = alphas.cumsum(1)
    begin = end - alphas
    number = torch.arange(int(token_counts.max()))
    upper = torch.minimum(end[:, None], number[None, :, None] + 1.0)
    lower = torch.maximum(begin[:, None], number[None, :, None].to(begin))
    shares = (upper - lower).clamp(min=0.0)
    fired = (end[:, None] < number[None, :, None] + 1.0 - 1e-3).sum(2).clamp(max=alphas.shape[1] - 1)
    return shares.to(hidden.dtype) @ hidden, fired


def _memory_mask(fired: Tensor, token_counts: Tensor, valid: Tensor, chunking: Chunking) -> Tensor:
    """Which encoder frames each token may look at, (B, L, N*S).

    Its own chunk, and the end of the chunk that fired before it: chunks without a token leave
    nothing behind in the decoder.
    """
    length = fired.shape[1]
    size = chunking.size
    own = fired // size
    previous = torch.full_like(own, -1)
    for token in range(1, length):
        changed = own[:, token] != own[:, token - 1]
        previous[:, token] = torch.where(changed, own[:, token - 1], previous[:, token - 1])
    place = torch.arange(valid.shape[1] * size)
    chunk_of = place // size
    mask = chunk_of[None, None] == own[..., None]
    if chunking.decoder_look_back > 0:
        late = place % size >= size - chunking.decoder_look_back * chunking.stride
        mask = mask | ((chunk_of[None, None] == previous[..., None]) & late)
    mask = mask & valid.flatten(1)[:, None]
    beyond = torch.arange(length)[None] >= token_counts[:, None]
    return (mask | beyond[..., None]).float()
