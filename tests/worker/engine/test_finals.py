"""One stream's utterances on their way to being told; the models are small fakes of our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest

from asrpool_worker.engine.finals import Finals
from asrpool_worker.engine.messages import Final, StreamOptions
from asrpool_worker.engine.model_set import ModelSet
from asrpool_worker.engine.modeldir import FrontendConfig
from asrpool_worker.engine.passes import Utterance
from asrpool_worker.engine.punctuation.model import PuncRow, Punctuated
from asrpool_worker.engine.recogniser import OfflineRow, Recognised
from asrpool_worker.engine.scheduler import Stage
from asrpool_worker.engine.speaker.roster import Roster

ANNA, BEN = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


@dataclass
class Says:
    """A recogniser that says what it is told to, and remembers what it was asked."""

    answers: list[Recognised]
    reads_samples: bool = False
    rows: list[OfflineRow] = field(default_factory=list)

    def run(self, rows: Sequence[OfflineRow]) -> list[Recognised]:
        self.rows += rows
        return [self.answers.pop(0) for _ in rows]


class Marks:
    """A realtime punctuation model: a comma after each text, and the text itself is the open sentence."""

    def run(self, rows: Sequence[PuncRow]) -> list[Punctuated]:
        return [
            Punctuated(f" {row.text}，", (*row.past, row.text), tuple(row.text), (*[""] * (len(row.text) - 1), "，"))
            for row in rows
        ]


class Voices:
    """The first sample says who it is."""

    def embed(self, samples: Sequence[Any]) -> list[Any]:
        return [ANNA if row[0] > 0 else BEN for row in samples]


def models(answers: list[Recognised], **parts: Any) -> ModelSet:
    frontend = FrontendConfig("hamming", 80, 400, 160, 7, 6)
    return ModelSet(frontend, None, cast("Any", Says(answers)), None, **parts)


def utterance(begin: int = 0, voice: float = 1.0, seconds: float = 2.0, had_partial: bool = False) -> Utterance:
    samples = np.full(int(16_000 * seconds), voice, np.float32)
    return Utterance(begin, begin + 200, np.zeros((3, 560), np.float32), 10.0, had_partial, samples)


def work(finals: Finals, now: float = 11.0) -> tuple[list[Final], list[Stage]]:
    """Run all that is asked; the finals, and which model work it took."""
    told: list[Final] = []
    stages = []
    while (stage := finals.stage) is not None:
        stages.append(stage)
        match stage:
            case Stage.OFFLINE:
                told += finals.on_offline(finals.models.needed_offline.run([finals.offline_row()])[0], now)
            case Stage.SPEAKER:
                told += finals.on_speaker(finals.models.needed_speaker.embed([finals.speaker_row()])[0], now)
            case Stage.PUNC:
                told += finals.on_punc(finals.models.needed_punc.run([finals.punc_row()])[0], now)
            case _:
                raise AssertionError(stage)
    return told, stages


def said(words: str, **fields: Any) -> Recognised:
    return Recognised(tuple(words), tuple((100 * place, 100 * place + 90) for place in range(len(words))), **fields)


ALL = {"punc": Marks(), "speaker": Voices(), "roster": Roster({"anna": ANNA})}


def test_each_utterance_goes_through_all_models_in_order() -> None:
    finals = Finals(models([said("开灯"), said("关窗")], **ALL), StreamOptions())
    finals.add(utterance(0, voice=1.0))
    finals.add(utterance(300, voice=-1.0))
    told, stages = work(finals)
    assert stages == [Stage.OFFLINE, Stage.SPEAKER, Stage.PUNC] * 2
    assert [(final.text, final.speaker) for final in told] == [("开灯，", "anna"), ("关窗，", "speaker-1")]
    assert told[1].timestamps_ms == ((3000, 3090), (3100, 3190)), "from the stream's start"
    assert [(one.text, one.punctuation, one.begin_ms) for one in told[1].sentences] == [("关窗", "，", 3000)]
    assert told[0].latency_seconds == pytest.approx(1.0)


def test_an_open_sentence_goes_on_in_the_next_utterance() -> None:
    """The realtime model reads the words of the sentence that is not closed again."""
    finals = Finals(models([said("开灯"), said("关窗")], punc=Marks()), StreamOptions())
    finals.add(utterance())
    work(finals)
    finals.add(utterance(300))
    finals.on_offline(finals.models.needed_offline.run([finals.offline_row()])[0], 1.0)
    assert finals.punc_row() == PuncRow("关窗", ("开灯",))


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        ({}, [Stage.OFFLINE, Stage.SPEAKER, Stage.PUNC]),
        ({"punctuation": False}, [Stage.OFFLINE, Stage.SPEAKER]),
        ({"speakers": False}, [Stage.OFFLINE, Stage.PUNC]),
        ({"speakers": False, "punctuation": False}, [Stage.OFFLINE]),
    ],
    ids=["all", "no punctuation", "no speakers", "text only"],
)
def test_a_session_may_do_without(options: dict[str, bool], stages: list[Stage]) -> None:
    finals = Finals(models([said("开灯")], **ALL), StreamOptions(**options))  # type: ignore[arg-type]
    finals.add(utterance())
    assert work(finals)[1] == stages


def test_too_short_to_tell_who_speaks() -> None:
    finals = Finals(models([said("开灯")], **ALL), StreamOptions())
    finals.add(utterance(seconds=0.3))
    (final,), stages = work(finals)
    assert Stage.SPEAKER not in stages
    assert (final.speaker, final.speaker_score) == ("", None)


@pytest.mark.parametrize("had_partial", [True, False])
def test_nothing_said_is_told_only_to_take_partials_back(had_partial: bool) -> None:
    finals = Finals(models([said("")], **ALL), StreamOptions())
    finals.add(utterance(had_partial=had_partial))
    told, stages = work(finals)
    assert stages == [Stage.OFFLINE]
    assert [final.text for final in told] == ([""] if had_partial else [])


@pytest.mark.parametrize(("itn", "expected"), [(True, "<一 of zh>"), (False, "一")], ids=["asked", "not asked"])
def test_figures_where_the_worker_writes_them_and_the_session_wants_them(itn: bool, expected: str) -> None:
    finals = Finals(
        models([said("一", language="zh")], inverse=lambda text, language: f"<{text} of {language}>"),
        StreamOptions(itn=itn),
    )
    finals.add(utterance())
    assert work(finals)[0][0].text == expected


def test_text_that_carries_its_marks_is_left_as_it_is() -> None:
    """SenseVoice and Whisper write punctuation and figures themselves."""
    parts = ALL | {"inverse": lambda text, _: f"<{text}>"}
    finals = Finals(models([said("开灯", text="开灯。", punctuated=True, emotion="happy")], **parts), StreamOptions())
    finals.add(utterance())
    (final,), stages = work(finals)
    assert stages == [Stage.OFFLINE, Stage.SPEAKER]
    assert (final.text, final.emotion) == ("开灯。", "happy")


def test_what_a_session_asks_reaches_the_recogniser() -> None:
    recogniser = Says([said("一")], reads_samples=True)
    whole = models([])
    finals = Finals(
        ModelSet(whole.frontend, None, cast("Any", recogniser), None),
        StreamOptions(hotwords={"小新": 20}, language="zh", itn=False),
    )
    assert finals.wants_samples
    finals.add(utterance())
    work(finals)
    (row,) = recogniser.rows
    assert (row.hotwords, row.language, row.itn) == (("小新",), "zh", False)
    assert row.samples is not None


def test_a_stream_that_ends_asks_for_nothing_more() -> None:
    finals = Finals(models([said("开灯")], **ALL), StreamOptions())
    finals.add(utterance())
    finals.on_offline(finals.models.needed_offline.run([finals.offline_row()])[0], 1.0)
    finals.clear()
    assert (finals.stage, finals.oldest) == (None, None)
