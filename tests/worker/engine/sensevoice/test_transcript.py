"""Reading a greedy path: text, words, times and what was heard besides speech."""

from __future__ import annotations

import pytest

from asrpool_worker.engine.sensevoice.transcript import Span, read, spans
from asrpool_worker.engine.sensevoice.vocabulary import ListedVocabulary, SentencepieceVocabulary, Vocabulary
from tests.worker.engine.sensevoice import sensevoice_dirs

PIECES: tuple[str, ...] = (
    "<unk>",
    "<s>",
    "</s>",
    "<|zh|>",
    "<|en|>",
    "<|nospeech|>",
    "<|HAPPY|>",
    "<|EMO_UNKNOWN|>",
    "<|Speech|>",
)
PIECES += ("<|BGM|>", "<|Event_UNK|>", "<|withitn|>", "<|woitn|>", "▁turn", "▁on", "▁it", "'", "s", "▁", "打", "开")
PIECES += ("，", "▁The", ".")
NUMBERS = {piece: number for number, piece in enumerate(PIECES)}


def path(text: str) -> list[int]:
    """A greedy path from pieces parted by spaces; _ is a blank."""
    return [0 if piece == "_" else NUMBERS[piece] for piece in text.split()]


HEARD = {
    "Chinese, happy": ("<|zh|> <|HAPPY|> <|Speech|> <|withitn|>", ("zh", "happy", "speech")),
    "English, music": ("<|en|> <|EMO_UNKNOWN|> <|BGM|> <|woitn|>", ("en", "unknown", "bgm")),
    "nothing": ("<|nospeech|> <|EMO_UNKNOWN|> <|Event_UNK|> <|woitn|>", ("nospeech", "unknown", "unknown")),
    "not said": ("_ _ _ _", ("", "", "")),
}


@pytest.mark.parametrize(("queries", "heard"), HEARD.values(), ids=HEARD)
def test_language_emotion_and_event_are_plain_words(queries: str, heard: tuple[str, str, str]) -> None:
    found = read(path(queries + " 打"), ListedVocabulary(PIECES), blank=0, itn=True)
    assert (found.language, found.emotion, found.sound_event) == heard
    assert found.text == "打"


def test_marks_in_the_speech_are_neither_text_nor_what_was_heard() -> None:
    found = read(path("<|zh|> _ _ _ 打 <|en|> <|HAPPY|> 开"), ListedVocabulary(PIECES), blank=0, itn=False)
    assert (found.text, found.tokens) == ("打开", ("打", "开"))
    assert (found.language, found.emotion) == ("zh", "")


def test_blanks_part_repeats() -> None:
    assert spans([5, 5, 0, 0, 7, 7, 0, 7, 0], blank=0) == [Span(5, -4, -2), Span(7, 0, 2), Span(7, 3, 4)]
    assert spans([5, 5, 0, 0, 7], blank=5) == [Span(0, -2, 0), Span(7, 0, 1)]


TIMES = {
    "each token its frames, half a frame earlier": ("_ 打 打 _ 开", (("打", (30, 150)), ("开", (210, 270)))),
    "no time before the beginning": ("打 _", (("打", (0, 30)),)),
    "pieces of a word are one": ("_ ▁it ' _ s ▁on", (("it's", (30, 270)), ("on", (270, 330)))),
    "a character ends a word": ("▁on 打 ▁turn", (("on", (0, 30)), ("打", (30, 90)), ("turn", (90, 150)))),
    "a lone space is no word": ("▁ ▁on ▁ s", (("on", (30, 90)), ("s", (150, 210)))),
    "a mark of punctuation has its place": ("打 ， 开", (("打", (0, 30)), ("，", (30, 90)), ("开", (90, 150)))),
}


@pytest.mark.parametrize(("spoken", "expected"), TIMES.values(), ids=TIMES)
def test_words_and_their_times(spoken: str, expected: tuple[tuple[str, tuple[int, int]], ...]) -> None:
    found = read(path("_ _ _ _ " + spoken), ListedVocabulary(PIECES), blank=0, itn=True)
    assert tuple(zip(found.tokens, found.times_ms, strict=True)) == expected


def test_a_token_that_began_with_the_queries_has_a_time_in_the_utterance() -> None:
    found = read(path("_ _ _ 打 打 开"), ListedVocabulary(PIECES), blank=0, itn=True)
    assert found.times_ms == ((0, 30), (30, 90))


def test_what_the_released_weights_write_for_noise_is_dropped() -> None:
    found = read(path("<|en|> _ <|BGM|> _ ▁The ."), ListedVocabulary(PIECES), blank=0, itn=True)
    assert (found.text, found.tokens, found.times_ms) == ("", (), ())
    assert found.sound_event == "bgm"
    assert read(path("_ _ _ _ ▁The ▁on"), ListedVocabulary(PIECES), blank=0, itn=True).text == "The on"


@pytest.mark.parametrize("itn", [True, False])
def test_only_a_text_that_was_asked_for_with_itn_is_punctuated(itn: bool) -> None:
    assert read(path("_ _ _ _ 打"), ListedVocabulary(PIECES), blank=0, itn=itn).punctuated is itn


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SentencepieceVocabulary:
    file = tmp_path_factory.mktemp("pieces") / "bpe.model"
    file.write_bytes(sensevoice_dirs.sentencepiece_model())
    return SentencepieceVocabulary(file)


@pytest.mark.parametrize("sentence", sensevoice_dirs.SENTENCES)
@pytest.mark.parametrize("listed", [False, True], ids=["sentencepiece", "tokens.json"])
def test_both_vocabularies_give_the_sentence_back(
    trained: SentencepieceVocabulary, sentence: str, listed: bool
) -> None:
    numbers = trained._processor.encode(sentence)
    vocabulary: Vocabulary = trained
    if listed:
        vocabulary = ListedVocabulary(tuple(trained.piece(number) for number in range(len(trained))))
    assert len(vocabulary) == len(trained) > 50
    token_ids = [number for token in numbers for number in (token, 0)]
    found = read([0, 0, 0, 0, *token_ids], vocabulary, blank=0, itn=True)
    assert found.text == trained._processor.decode(numbers).strip()
    assert "".join(found.tokens) == str(found.text).replace(" ", "")


def test_an_unknown_token_reads_the_same_in_both(trained: SentencepieceVocabulary) -> None:
    vocabulary = ListedVocabulary(tuple(trained.piece(number) for number in range(len(trained))))
    numbers = [*trained._processor.encode("turn on"), 0, 1, 2]
    assert vocabulary.text(numbers).strip() == trained.text(numbers).strip()
