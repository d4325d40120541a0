"""The second pass: whole utterances, padded to the longest of the batch, to tokens and the weights that place them in time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asrpool_worker.engine.hotword_bias import CANDIDATES
from asrpool_worker.engine.paraformer.cif import token_shares
from asrpool_worker.engine.paraformer.dims import ParaformerDims
from asrpool_worker.engine.paraformer.layers import Paraformer

INPUTS = ("frames", "frame_mask", "tail_mask")
OUTPUTS = ("token_ids", "counts", "alphas", "candidates", "scores")


class OfflinePass(nn.Module):
    """Whole-utterance recognition over the weights of one model."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.dims = dims
        self.model = Paraformer(dims)

    def forward(self, frames: Tensor, frame_mask: Tensor, tail_mask: Tensor) -> tuple[Tensor, ...]:
        """Shapes: frames (B, T, f), frame_mask (B, T), tail_mask (B, T+1): 1 right after each row's last frame
        → token_ids (B, U), counts (B,), alphas (B, T+1), and the likely tokens of each place, best first: candidates (B, U, 8)
        and their log-probabilities, scores.
        """
        encoded, _ = self.model.encoder(frames, frame_mask, None)
        alphas = self.model.predictor(encoded * frame_mask[..., None]) * frame_mask
        alphas = (torch.cat((alphas, torch.zeros_like(alphas[:, :1])), dim=1) + tail_mask * self.dims.cif_tail).float()
        hidden = torch.cat((encoded, torch.zeros_like(encoded[:, :1])), dim=1)
        hidden = hidden * (1.0 - tail_mask)[..., None]
        shares, counts, _ = token_shares(alphas, self.dims.cif_threshold)
        numbers = torch.arange(shares.shape[1], device=counts.device)
        token_mask = (numbers[None, :] < counts[:, None]).to(frames.dtype)
        logits, _ = self.model.decoder(shares.to(frames.dtype) @ hidden, token_mask, encoded, frame_mask, None)
        scores, candidates = torch.log_softmax(logits.float(), dim=-1).topk(CANDIDATES, dim=-1)
        return logits.argmax(dim=-1), counts, alphas, candidates, scores
