"""No client's options decide how much memory its stream takes."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrpool_worker.engine.messages import StreamOptions
from asrpool_worker.engine.options import MAX_CACHED_FRAMES, StepShape, check_options
from asrpool_worker.errors import OptionError


def test_funasrs_defaults_are_served() -> None:
    shape = check_options(StreamOptions())
    assert shape == StepShape(5, 10, 5, 4, 1)
    assert (shape.frames, shape.overlap, shape.key_slots, shape.memory_frames) == (20, 10, 40, 10)


@pytest.mark.parametrize(
    "chunk_size", [(0, 1, 0), (5, 1, 5), (0, 10, 5), (5, 10, 5), (0, 8, 4), (10, 20, 10), (30, 60, 30)]
)
def test_shapes_that_people_use_are_served(chunk_size: tuple[int, int, int]) -> None:
    assert check_options(StreamOptions(chunk_size=chunk_size, encoder_chunk_look_back=2)).stride == chunk_size[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"chunk_size": (5, 10, 200_000)}, "look-ahead must be a whole number from 0 to 30"),
        ({"chunk_size": (-1, 10, 5)}, "look-back"),
        ({"chunk_size": (5, 0, 5)}, "stride"),
        ({"chunk_size": (5, 10)}, "three numbers"),
        ({"chunk_size": (5, 10.5, 5)}, "stride"),
        ({"chunk_size": (5, True, 5)}, "stride"),
        ({"encoder_chunk_look_back": -1}, "encoder_chunk_look_back"),
        ({"encoder_chunk_look_back": 10**9}, "encoder_chunk_look_back"),
        ({"decoder_chunk_look_back": 11}, "decoder_chunk_look_back"),
        ({"chunk_size": (5, 60, 5), "encoder_chunk_look_back": 10}, "stride times look-back"),
        ({"chunk_size": (30, 1, 30)}, r"chunk_size \[30, 1, 30\] computes 71 frames for each new one; at most 24"),
    ],
    ids=str,
)
def test_out_of_range(change: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        check_options(dataclasses.replace(StreamOptions(), **change))  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    st.tuples(st.integers(-5, 70), st.integers(-5, 70), st.integers(-5, 70)), st.integers(-2, 12), st.integers(-2, 12)
)
def test_whatever_is_accepted_is_bounded(chunk_size: tuple[int, int, int], encoder: int, decoder: int) -> None:
    try:
        shape = check_options(
            StreamOptions(chunk_size=chunk_size, encoder_chunk_look_back=encoder, decoder_chunk_look_back=decoder)
        )
    except OptionError:
        return
    assert shape.frames <= 120
    assert shape.cost <= 8 * StepShape(5, 10, 5, 4, 1).cost
    assert shape.key_slots <= MAX_CACHED_FRAMES
    assert shape.memory_frames <= MAX_CACHED_FRAMES
