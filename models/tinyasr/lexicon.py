"""The vocabulary of the tiny models: which words exist, how they sound, how sentences are drawn.

Every character stands for one syllable of its own, so that a wrong character is always a wrong
sound. Words come in free order: nothing but the word itself helps the model to guess.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

DIGITS: dict[str, str] = {
    "零": "ling2",
    "一": "yi1",
    "二": "er4",
    "三": "san1",
    "四": "si4",
    "五": "wu3",
    "六": "liu4",
    "七": "qi1",
    "八": "ba1",
    "九": "jiu3",
    "十": "shi2",
}

WORDS: dict[str, str] = {
    "打开": "da3 kai1",
    "关闭": "guan1 bi4",
    "停止": "ting2 zhi3",
    "取消": "qu3 xiao1",
    "继续": "ji4 xu4",
    "提醒": "ti2 xing3",
    "增强": "zeng1 qiang2",
    "走廊": "zou3 lang2",
    "阳台": "yang2 tai2",
    "房间": "fang2 jian1",
    "厨房": "chu2 fang2",
    "车库": "che1 ku4",
    "空调": "kong1 tiao2",
    "电灯": "dian4 deng1",
    "电话": "dian4 hua4",
    "窗帘": "chuang1 lian2",
    "风扇": "feng1 shan4",
    "热水": "re4 shui3",
    "冰箱": "bing1 xiang1",
    "闹钟": "nao4 zhong1",
    "分钟": "fen1 zhong1",
    "音乐": "yin1 yue4",
    "声音": "sheng1 yin1",
    "温度": "wen1 du4",
    "最高": "zui4 gao1",
    "快速": "kuai4 su4",
    "今天": "jin1 tian1",
    "明早": "ming2 zao3",
    "晚上": "wan3 shang4",
    "马上": "ma3 shang4",
    "红色": "hong2 se4",
    "蓝色": "lan2 se4",
    "白色": "bai2 se4",
    "回家": "hui2 jia1",
    "离开": "li2 kai1",
    "左转": "zuo3 zhuan3",
    "右转": "you4 zhuan3",
    "咖啡": "ka1 fei1",
    "牛奶": "niu2 nai3",
    "帮我": "bang1 wo3",
}

BLANK, SOS, EOS, UNK = "<blank>", "<s>", "</s>", "<unk>"


def characters() -> list[str]:
    """Every character that can be spoken, digits first, in a fixed order."""
    return sorted(DIGITS, key=list(DIGITS).index) + sorted(set("".join(WORDS)))


def token_list() -> list[str]:
    """The output alphabet in FunASR's order: blank, start, end, characters, unknown."""
    return [BLANK, SOS, EOS, *characters(), UNK]


@dataclass(frozen=True)
class Sentence:
    """What is said (``text``, no spaces) and how it is spelled for the synthesiser (``pinyin``)."""

    text: str
    pinyin: str


def draw_sentence(rng: random.Random, fewest_units: int = 2, most_units: int = 6) -> Sentence:
    """A random sequence of commands and digit groups, now and then with a short pause between."""
    texts: list[str] = []
    sounds: list[str] = []
    for _ in range(rng.randint(fewest_units, most_units)):
        if rng.random() < 0.3:
            digits = rng.choices(list(DIGITS), k=rng.randint(1, 4))
            texts.append("".join(digits))
            sounds.append(" ".join(DIGITS[digit] for digit in digits))
        else:
            word = rng.choice(list(WORDS))
            texts.append(word)
            sounds.append(WORDS[word].replace(" ", ""))
        if rng.random() < 0.12:
            sounds[-1] += ","
    return Sentence("".join(texts), " ".join(sounds))


def encode(text: str, tokens: Sequence[str]) -> list[int]:
    """Token ids of ``text``; raises KeyError on a character outside the vocabulary."""
    ids = {token: index for index, token in enumerate(tokens)}
    return [ids[character] for character in text]
