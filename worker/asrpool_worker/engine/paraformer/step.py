"""One chunk of streaming Paraformer for many sessions at once: the function both engines run.

A row is a session anywhere in its stream: its first chunk, its thousandth or its last. All that differs between rows is
in the inputs (caches and masks), so a row's result does not depend on the other rows. Traced to ONNX as it stands.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asrpool_worker.engine.paraformer.cif import token_shares
from asrpool_worker.engine.paraformer.dims import ParaformerDims, cache_names
from asrpool_worker.engine.paraformer.layers import Paraformer, Past, key_bias

ROW_INPUTS = (
    "frames",
    "frame_mask",
    "alpha_mask",
    "tail",
    "key_mask",
    "cif_hidden",
    "cif_alpha",
    "tokens_past",
    "memory_past",
    "memory_past_mask",
    "slots",
)
ROW_OUTPUTS = ("token_ids", "counts", "new_cif_hidden", "new_cif_alpha", "new_tokens_past", "new_memory_past")


def input_names(dims: ParaformerDims) -> tuple[str, ...]:
    """The inputs in order: those above, then each encoder block's cached keys and values."""
    return (*ROW_INPUTS, *cache_names(dims))


def output_names(dims: ParaformerDims) -> tuple[str, ...]:
    """The outputs in order: those above, then each encoder block's new keys and values."""
    return (*ROW_OUTPUTS, *(f"new_{name}" for name in cache_names(dims)))


class StreamingStep(nn.Module):
    """The streaming step over the weights of one model."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.dims = dims
        self.model = Paraformer(dims)

    def forward(
        self,
        frames: Tensor,
        frame_mask: Tensor,
        alpha_mask: Tensor,
        tail: Tensor,
        key_mask: Tensor,
        cif_hidden: Tensor,
        cif_alpha: Tensor,
        tokens_past: Tensor,
        memory_past: Tensor,
        memory_past_mask: Tensor,
        slots: Tensor,
        *caches: Tensor,
    ) -> tuple[Tensor, ...]:
        """B rows, T frames a chunk, S cached keys, M frames of look-back memory, P past tokens.

        frames (B, T, f), frame_mask (B, T), alpha_mask (B, T): frames that may carry tokens now, tail (B,): weight
        added after the last frame of a stream, key_mask (B, S), cif_hidden (B, d), cif_alpha (B,),
        tokens_past (B, blocks, P, d), memory_past (B, M, d), memory_past_mask (B, M), slots (B,): where each row's caches
        are, then for each encoder block the keys and values of all slots (slots, heads, S, w) → token_ids (B, U), counts (B,), the new state in the order of the inputs, and the
        chunk's keys and values (B, heads, T, w) of each block.
        """
        past_bias = key_bias(key_mask)
        # Taken block by block: a block's keys are still in the processor's cache when they are used, and no step holds all.
        taken = [cache.index_select(0, slots) for cache in caches]
        past = [Past(key, value, past_bias) for key, value in zip(taken[::2], taken[1::2], strict=True)]
        encoded, new_caches = self.model.encoder(frames, frame_mask, past)

        alphas = self.model.predictor(encoded * frame_mask[..., None]) * alpha_mask
        alphas = torch.cat((cif_alpha[:, None], alphas, tail[:, None]), dim=1).float()
        hidden = torch.cat((cif_hidden[:, None], encoded, torch.zeros_like(cif_hidden)[:, None]), dim=1)
        shares, counts, left = token_shares(alphas, self.dims.cif_threshold)
        new_cif_alpha = left.sum(dim=1)
        new_cif_hidden = (left[:, None, :] @ hidden.float()).squeeze(1) / torch.clamp(new_cif_alpha, min=1e-20)[:, None]

        embeds = shares.to(frames.dtype) @ hidden
        numbers = torch.arange(embeds.shape[1], device=counts.device)
        token_mask = (numbers[None, :] < counts[:, None]).to(frames.dtype)
        memory = torch.cat((memory_past, encoded), dim=1)
        memory_mask = torch.cat((memory_past_mask, frame_mask), dim=1)
        logits, seen = self.model.decoder(embeds, token_mask, memory, memory_mask, tokens_past)

        kept = counts[:, None] + torch.arange(self.dims.fsmn_frames, device=counts.device)[None, :]
        index = kept[:, None, :, None].expand(-1, seen.shape[1], -1, seen.shape[3])
        spoke = (counts > 0)[:, None, None]
        newest = memory[:, memory.shape[1] - memory_past.shape[1] :]
        new_memory_past = torch.where(spoke, newest, memory_past)
        return (
            logits.argmax(dim=-1),
            counts,
            new_cif_hidden.to(frames.dtype),
            new_cif_alpha.to(frames.dtype),
            seen.gather(2, index),
            new_memory_past,
            *(array for key_value in new_caches for array in key_value),
        )
