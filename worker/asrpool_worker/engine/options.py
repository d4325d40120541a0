"""Which stream options the engine can serve, and the tensor shapes that follow from them.

A client's JSON must not decide how much memory a stream takes: every number is bounded here, and nothing behind this
module allocates from an unchecked option.
"""

from __future__ import annotations

from dataclasses import dataclass

from asrpool_worker.engine.messages import StreamOptions
from asrpool_worker.errors import OptionError

MAX_LOOK_BACK_FRAMES = 30
MAX_STRIDE_FRAMES = 60
MAX_LOOK_AHEAD_FRAMES = 30
MAX_CHUNK_LOOK_BACK = 10
MAX_CACHED_FRAMES = 120
"""Of encoder keys and of decoder memory: 24 MB a stream at most in the 220 M model, 8 MB with FunASR's defaults."""

STEP_OVERHEAD_FRAMES = 10
"""What a step costs beside its frames, in frames."""

MAX_FRAMES_PER_STRIDE_FRAME = 24.0
"""Eight times FunASR's default (30 frames for a stride of 10): a stride of 1 under long overlaps would cost as much as 24 streams."""


@dataclass(frozen=True, order=True)
class StepShape:
    """What rows must share to be stacked into one step of the streaming model; lengths in LFR frames of 60 ms."""

    look_back: int
    stride: int
    look_ahead: int
    encoder_chunks: int
    decoder_chunks: int

    @property
    def overlap(self) -> int:
        """Frames of earlier chunks at the head of each chunk."""
        return self.look_back + self.look_ahead

    @property
    def frames(self) -> int:
        """Frames in one chunk, as the encoder reads it."""
        return self.overlap + self.stride

    @property
    def cost(self) -> float:
        """Frames to compute for each frame of new audio. Keys looked back on cost little beside a frame's own layers."""
        return (self.frames + STEP_OVERHEAD_FRAMES) / self.stride

    @property
    def cached_per_chunk(self) -> int:
        """Encoder keys a chunk leaves behind. As in FunASR, a chunk without look-ahead leaves none."""
        return self.look_back + self.stride if self.look_ahead and self.encoder_chunks else 0

    @property
    def key_limit(self) -> int:
        """Most encoder keys that a chunk after the second one sees."""
        return self.encoder_chunks * self.stride if self.cached_per_chunk else 0

    @property
    def key_slots(self) -> int:
        """Room for the cached keys: the limit, or the first chunk, which FunASR keeps whole."""
        return max(self.key_limit, self.cached_per_chunk)

    @property
    def memory_frames(self) -> int:
        """Encoder output frames that the decoder looks back on."""
        return self.decoder_chunks * self.stride


@dataclass(frozen=True)
class Limits:
    """Bounds on what one stream may hold."""

    max_utterance_seconds: float
    max_backlog_seconds: float


def check_options(options: StreamOptions) -> StepShape:
    """The step shape of `options`. Raises `OptionError` with the allowed range."""
    names = ("look-back", "stride", "look-ahead")
    ranges = ((0, MAX_LOOK_BACK_FRAMES), (1, MAX_STRIDE_FRAMES), (0, MAX_LOOK_AHEAD_FRAMES))
    if len(options.chunk_size) != 3:
        raise OptionError(
            f"chunk_size needs three numbers (look-back, stride, look-ahead), not {len(options.chunk_size)}"
        )
    for name, value, (low, high) in zip(names, options.chunk_size, ranges, strict=True):
        _check(f"chunk_size: {name}", value, low, high)
    _check("encoder_chunk_look_back", options.encoder_chunk_look_back, 0, MAX_CHUNK_LOOK_BACK)
    _check("decoder_chunk_look_back", options.decoder_chunk_look_back, 0, MAX_CHUNK_LOOK_BACK)
    shape = StepShape(*options.chunk_size, options.encoder_chunk_look_back, options.decoder_chunk_look_back)
    if max(shape.key_slots, shape.memory_frames) > MAX_CACHED_FRAMES:
        raise OptionError(
            f"chunk_size and the chunk look-backs ask for {max(shape.key_slots, shape.memory_frames)} cached frames;"
            f" stride times look-back may be {MAX_CACHED_FRAMES} at most"
        )
    if shape.cost > MAX_FRAMES_PER_STRIDE_FRAME:
        raise OptionError(
            f"chunk_size {list(options.chunk_size)} computes {shape.cost:.0f} frames for each new one; at most"
            f" {MAX_FRAMES_PER_STRIDE_FRAME:g} are allowed: lengthen the stride or shorten look-back and look-ahead"
        )
    return shape


def _check(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise OptionError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
