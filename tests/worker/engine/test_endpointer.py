"""Where utterances begin and end, from tables; FunASR's own state machine is compared in test_funasr_parity."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrpool_worker.engine.vad.endpointer import Begin, Boundary, End, Endpointer, EndpointTimes

SPEECH, SILENCE = 0.05, 0.95
QUICK = EndpointTimes(max_end_silence_ms=500)


def frames(*stretches: tuple[float, int]) -> list[float]:
    """(probability of silence, length in ms), one after the other."""
    return [probability for probability, milliseconds in stretches for _ in range(milliseconds // 10)]


@pytest.mark.parametrize(
    ("silence", "final", "expected"),
    [
        pytest.param(frames((SILENCE, 3000)), True, [], id="silence only"),
        pytest.param(frames((SILENCE, 1000), (SPEECH, 140), (SILENCE, 2000)), True, [], id="a click is not speech"),
        pytest.param(frames((SPEECH, 1000)), False, [Begin(0)], id="speech from the first frame, still going on"),
        pytest.param(frames((SPEECH, 1000)), True, [Begin(0), End(100, 99)], id="the audio's end ends the utterance"),
        pytest.param(
            frames((SILENCE, 1000), (SPEECH, 1000)), False, [Begin(74)], id="begins a window and a look-back earlier"
        ),
        pytest.param(
            frames((SILENCE, 1000), (SPEECH, 1000), (SILENCE, 1000)),
            False,
            [Begin(74), End(216, 239)],
            id="ends when silence has lasted",
        ),
        pytest.param(
            frames((SPEECH, 1000), (SILENCE, 240), (SPEECH, 600)), False, [Begin(0)], id="a short pause ends nothing"
        ),
        pytest.param(
            frames((SPEECH, 1000), (SILENCE, 450), (SPEECH, 900), (SILENCE, 1000)),
            True,
            [Begin(0), End(116, 139), Begin(119), End(251, 274)],
            id="two utterances, the second not inside the first",
        ),
    ],
)
def test_boundaries(silence: list[float], final: bool, expected: list[Boundary]) -> None:
    assert Endpointer(QUICK).push(silence, final) == expected


def test_a_monologue_is_cut_at_the_longest_segment() -> None:
    """Memory and the second pass stay bounded however long somebody speaks."""
    boundaries = Endpointer(EndpointTimes(max_segment_ms=2000)).push([SPEECH] * 1000)
    ends = [boundary.frame for boundary in boundaries if isinstance(boundary, End)]
    begins = [boundary.frame for boundary in boundaries if isinstance(boundary, Begin)]
    assert ends[0] == 201
    assert all(end - begin <= 202 for begin, end in zip(begins, ends, strict=False))
    assert begins[1:] == ends[: len(begins) - 1], "no speech is lost between the pieces"


SCORES = st.lists(st.tuples(st.sampled_from([SPEECH, SILENCE, 0.3, 0.5]), st.integers(1, 120)), max_size=25)


@settings(deadline=None)
@given(SCORES, st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_pieces_make_no_difference_and_boundaries_are_in_order(
    stretches: list[tuple[float, int]], cuts: list[int]
) -> None:
    """However the frames are handed over, the same boundaries come; they alternate and never overlap."""
    silence = [probability for probability, count in stretches for _ in range(count)]
    whole = Endpointer(QUICK).push(silence, final=True)
    endpointer = Endpointer(QUICK)
    found: list[Boundary] = []
    rest, turn = silence, 0
    while rest:
        size = cuts[turn % len(cuts)]
        earliest = endpointer.earliest_begin
        pushed = endpointer.push(rest[:size])
        assert all(boundary.frame >= earliest for boundary in pushed if isinstance(boundary, Begin))
        found += pushed
        rest, turn = rest[size:], turn + 1
    found += endpointer.push((), final=True)
    assert found == whole
    assert [type(boundary) for boundary in found] == [Begin, End] * (len(found) // 2)
    assert [boundary.frame for boundary in found] == sorted(boundary.frame for boundary in found)
    assert not found or found[-1].frame <= len(silence)
