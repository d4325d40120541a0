"""The espeak-ng voices: which ones are learnt from, which ones are kept back for measuring.

The two lists share no voice: an error rate is always one of voices the models never heard.
Left out of both: voices made to be strange (whispers, robots, croaks), of which a listener
would not understand much either.
"""

from __future__ import annotations

TRAINING: tuple[str, ...] = (
    "adam", "Alicia", "Andy", "Annie", "aunty", "benjamin", "boris", "caleb", "david", "Diogo",
    "ed", "edward", "edward2", "Gene", "Gene2", "gustave", "Henrique", "iven", "iven2", "iven3",
    "Jacky", "john", "kaukovalta", "Lee", "marcelo", "Mario", "michel", "miguel", "Mike", "pablo",
    "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph", "steph2", "steph3",
    "travis", "victor", "norbert", "grandma", "grandpa", "klatt2", "klatt3",
    "f1", "f2", "f3", "f5", "m1", "m2", "m3", "m4", "m5", "m7",
)  # fmt: skip

HELD_OUT: tuple[str, ...] = (
    "Alex", "Andrea", "belinda", "Denis", "Hugo", "linda", "max", "Michael", "zac", "f4", "m6", "m8",
)  # fmt: skip
