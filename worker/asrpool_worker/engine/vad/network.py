"""The FSMN network of FunASR's VAD, many sessions at once, each with its own past. Parameter names are FunASR's."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from asrpool_worker.engine.vad.dims import VadDims

INPUTS = ("frames", "lengths", "past")
OUTPUTS = ("silence", "new_past")


class Affine(nn.Module):
    """FunASR's wrapper of a linear layer."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, inputs) → (B, T, outputs)."""
        out: Tensor = self.linear(x)
        return out


class Memory(nn.Module):
    """A causal depth-wise convolution over time, FunASR's (D, 1, order, 1) weights."""

    def __init__(self, dims: VadDims) -> None:
        super().__init__()
        self.stride = dims.stride
        self.conv_left = nn.Conv2d(
            dims.projection, dims.projection, (dims.order, 1), groups=dims.projection, bias=False
        )

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes: x (B, T, D), past (B, P, D) → (B, T, D), past and x together (B, P+T, D)."""
        seen = torch.cat((past, x), dim=1)
        weight = self.conv_left.weight.squeeze(-1)
        remembered = functional.conv1d(seen.transpose(1, 2), weight, dilation=self.stride, groups=weight.shape[0])
        return x + remembered.transpose(1, 2), seen


class Block(nn.Module):
    """Projection, memory, affine."""

    def __init__(self, dims: VadDims) -> None:
        super().__init__()
        self.linear = Affine(dims.linear, dims.projection, bias=False)
        self.fsmn_block = Memory(dims)
        self.affine = Affine(dims.projection, dims.linear)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes: x (B, T, linear) → (B, T, linear), what its memory has seen."""
        x, seen = self.fsmn_block(self.linear(x), past)
        return torch.relu(self.affine(x)), seen


class Fsmn(nn.Module):
    """The whole network."""

    def __init__(self, dims: VadDims) -> None:
        super().__init__()
        self.in_linear1 = Affine(dims.feature_size, dims.input_affine)
        self.in_linear2 = Affine(dims.input_affine, dims.linear)
        self.fsmn = nn.ModuleList([Block(dims) for _ in range(dims.blocks)])
        self.out_linear1 = Affine(dims.linear, dims.output_affine)
        self.out_linear2 = Affine(dims.output_affine, dims.outputs)

    def forward(self, frames: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes: frames (B, T, f), past (B, blocks, P, D) → probabilities (B, T, outputs), seen (B, blocks, P+T, D)."""
        x = torch.relu(self.in_linear2(self.in_linear1(frames)))
        kept = []
        for index, block in enumerate(self.fsmn):
            x, seen = block(x, past[:, index])
            kept.append(seen)
        return torch.softmax(self.out_linear2(self.out_linear1(x)), dim=-1), torch.stack(kept, dim=1)


class VadStep(nn.Module):
    """Silence probabilities of new frames, and the past to keep."""

    def __init__(self, dims: VadDims) -> None:
        super().__init__()
        self.dims = dims
        self.encoder = Fsmn(dims)

    def forward(self, frames: Tensor, lengths: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes: frames (B, T, f), lengths (B,) int64, past (B, blocks, P, D) → silence (B, T), new past (B, blocks, P, D).

        Rows shorter than T are padded at the end: the network looks back only, so padding changes nothing before it.
        """
        probabilities, seen = self.encoder(frames, past)
        silence = probabilities[..., list(self.dims.silence_outputs)].sum(dim=-1)
        kept = lengths[:, None] + torch.arange(self.dims.past_frames, device=lengths.device)[None, :]
        index = kept[:, None, :, None].expand(-1, seen.shape[1], -1, seen.shape[3])
        return silence, seen.gather(2, index)
