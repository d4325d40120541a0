"""CAM++ (Wang et al., Interspeech 2023) as FunASR defines it, over windows of one length. Parameter names are FunASR's.

A residual head over the spectrum, then three densely connected blocks of dilated convolutions, each layer masked by
what the whole window and its segments sound like, then mean and deviation over time. Norms have fixed statistics
(evaluation), so a row knows nothing of the others.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from asrpool_worker.engine.speaker.dims import BLOCKS, HEAD_CHANNELS, SEGMENT_FRAMES, SpeakerDims

INPUTS = ("frames",)
OUTPUTS = ("embedding",)


class Residual(nn.Module):
    """Two convolutions over bands and time beside a shortcut; `stride` thins the bands."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        width = HEAD_CHANNELS
        self.conv1 = nn.Conv2d(width, width, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width, width, 1, stride=(stride, 1), bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 32, F, T) → (B, 32, F/stride, T)."""
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(out + self.shortcut(x))


class Head(nn.Module):
    """An eighth of the bands, 32 views of each."""

    def __init__(self, feature_size: int) -> None:
        super().__init__()
        width = HEAD_CHANNELS
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(Residual(2), Residual(1))
        self.layer2 = nn.Sequential(Residual(2), Residual(1))
        self.conv2 = nn.Conv2d(width, width, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.out_channels = width * (feature_size // 8)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, T) → (B, 32·F/8, T)."""
        x = torch.relu(self.bn1(self.conv1(x[:, None])))
        x = torch.relu(self.bn2(self.conv2(self.layer2(self.layer1(x)))))
        return x.flatten(1, 2)


class Norm(nn.Module):
    """A batch norm under FunASR's name for it, with a ReLU after it where `relu`."""

    def __init__(self, channels: int, relu: bool = True, affine: bool = True) -> None:
        super().__init__()
        self.batchnorm = nn.BatchNorm1d(channels, affine=affine)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) or (B, C) → the same."""
        out: Tensor = self.batchnorm(x)
        return torch.relu(out) if self.relu else out


class MaskedConvolution(nn.Module):
    """A convolution over time, each channel weighed by the context around it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int) -> None:
        super().__init__()
        padding = (kernel - 1) // 2 * dilation
        self.linear_local = nn.Conv1d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(inputs, inputs // 2, 1)
        self.linear2 = nn.Conv1d(inputs // 2, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, T) → (B, outputs, T); T is a fixed number when traced, and so are the segments."""
        segments = [x[..., first : first + SEGMENT_FRAMES] for first in range(0, x.shape[-1], SEGMENT_FRAMES)]
        means = [segment.mean(dim=-1, keepdim=True).expand_as(segment) for segment in segments]
        context = x.mean(dim=-1, keepdim=True) + torch.cat(means, dim=-1)
        mask = torch.sigmoid(self.linear2(torch.relu(self.linear1(context))))
        out: Tensor = self.linear_local(x) * mask
        return out


class DenseLayer(nn.Module):
    """One layer of a block: a few new channels from all channels before it."""

    def __init__(self, inputs: int, dims: SpeakerDims, kernel: int, dilation: int) -> None:
        super().__init__()
        bottleneck = dims.bottleneck_factor * dims.growth
        self.nonlinear1 = Norm(inputs)
        self.linear1 = nn.Conv1d(inputs, bottleneck, 1, bias=False)
        self.nonlinear2 = Norm(bottleneck)
        self.cam_layer = MaskedConvolution(bottleneck, dims.growth, kernel, dilation)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, T) → (B, growth, T)."""
        out: Tensor = self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))
        return out


class DenseBlock(nn.ModuleDict):
    """Layers each of which reads all that came before it."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) → (B, C + layers · growth, T)."""
        for layer in self.values():
            x = torch.cat((x, layer(x)), dim=1)
        return x


class FirstLayer(nn.Module):
    """Half the frames."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(inputs, outputs, 5, stride=2, padding=2, bias=False)
        self.nonlinear = Norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, T) → (B, outputs, T/2)."""
        out: Tensor = self.nonlinear(self.linear(x))
        return out


class Transit(nn.Module):
    """Between blocks: half the channels."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.nonlinear = Norm(inputs)
        self.linear = nn.Conv1d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) → (B, C/2, T)."""
        out: Tensor = self.linear(self.nonlinear(x))
        return out


class Statistics(nn.Module):
    """Mean and deviation over time."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) → (B, 2C)."""
        return torch.cat((x.mean(dim=-1), x.std(dim=-1, unbiased=True)), dim=-1)


class Projection(nn.Module):
    """To the embedding; a convolution in FunASR's weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.nonlinear = Norm(outputs, relu=False, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) → (B, outputs)."""
        out: Tensor = self.nonlinear(self.linear(x[..., None])[..., 0])
        return out


class SpeakerNetwork(nn.Module):
    """The whole model; its embeddings have no fixed length."""

    def __init__(self, dims: SpeakerDims) -> None:
        super().__init__()
        self.head = Head(dims.feature_size)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = dims.first_channels
        layers["tdnn"] = FirstLayer(self.head.out_channels, channels)
        for number, (count, kernel, dilation) in enumerate(BLOCKS, 1):
            block = {
                f"tdnnd{layer + 1}": DenseLayer(channels + layer * dims.growth, dims, kernel, dilation)
                for layer in range(count)
            }
            layers[f"block{number}"] = DenseBlock(block)
            channels += count * dims.growth
            layers[f"transit{number}"] = Transit(channels)
            channels //= 2
        layers["out_nonlinear"] = Norm(channels)
        layers["stats"] = Statistics()
        layers["dense"] = Projection(2 * channels, dims.embedding_size)
        self.xvector = nn.Sequential(layers)

    def forward(self, frames: Tensor) -> tuple[Tensor]:
        """Shapes: frames (B, T, features), T the same fixed number in all calls of a traced graph → (B, embedding)."""
        return (self.xvector(self.head(frames.transpose(1, 2))),)
