"""Continuous integrate-and-fire over a whole batch at once.

FunASR walks the frames one by one and asks the device after each; here the running sum of weights says at once which
share of which frame belongs to which token. Token u is the weighted sum of frames over the stretch [u, u+1) of that
running sum; what is left over after the last whole token is handed to the next chunk as one frame of that weight.
Method: Dong and Xu, "CIF" (2020), arXiv:1905.11235.
"""

from __future__ import annotations

import torch
from torch import Tensor


def token_shares(alphas: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Which share of which frame each token takes.

    alphas (B, T) float32, since half precision cannot add up many of them → shares (B, U, T), token counts (B,) int64, remainder shares (B, T); U is the most tokens of a row,
    at least 1 so that no tensor is empty.
    """
    ends = torch.cumsum(alphas.double(), dim=1).to(alphas.dtype) / threshold
    begins = torch.cat((torch.zeros_like(ends[:, :1]), ends[:, :-1]), dim=1)
    counts = torch.floor(ends[:, -1])
    most = torch.clamp(counts.max(), min=1.0)  # stays a tensor: a traced graph must not hold the example's number
    tokens = torch.arange(most, device=alphas.device, dtype=alphas.dtype)[None, :, None]  # type: ignore[call-overload]
    shares = torch.minimum(ends[:, None, :], tokens + 1.0) - torch.maximum(begins[:, None, :], tokens)
    left = torch.minimum(ends - counts[:, None], ends - begins)
    return torch.relu(shares) * threshold, counts.long(), torch.relu(left) * threshold
