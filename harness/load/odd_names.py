"""Names of inboxes that a system must tell apart and often does not. Pure.

One that differs in case only, one that another begins with, letters outside of ASCII, two ways to
write one letter, what means something in patterns, paths, queries and keys, and the longest.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator

from harness.definitions import name as wrong_name
from harness.systems.takes import Takes

_FOREIGN = ("größe", "почта", "受信箱", "صندوق", "ñandú", "📬 post", "İstanbul", "ﬀ", "ΣΑΣ")
_TWO_WAYS = ("caf\u00e9", "cafe\u0301")
_MARKED = (
    "a.b", "a/b", "a b", "a%41", "a*", "a:b", "o'brien", 'say "hi"', "a\\b", "a{b}", "a>b", "a,b",
    "a@b", "..", "%", "_", "-", "0", "null", "$1", "#tag", "a;b", "?", "[a]",
)  # fmt: skip
_PLAIN_MARKED = ("_", "-", "0", "null", "a-b", "a_b", "None", "01")
_LONG_OF = ("L", "é", "箱")


def odd_names(
    rng: random.Random, taken: Collection[str], takes: Takes, count: int
) -> tuple[str, ...]:
    """Return `count` names that the system takes, none of them `taken`, each once.

    Names beside a taken one come first: in capitals, longer by a letter, shorter by one.
    """
    found: list[str] = []
    for candidate in _candidates(rng, sorted(taken), takes):
        fits = len(candidate.encode()) <= takes.inbox_bytes_max and not wrong_name(candidate)
        if fits and candidate not in taken and candidate not in found:
            found.append(candidate)
            if len(found) == count:
                break
    return tuple(found)


def _candidates(rng: random.Random, taken: list[str], takes: Takes) -> Iterator[str]:
    beside = [one for one in taken if takes.any_names or _is_plain(one)]
    base = rng.choice(beside) if beside else "inbox"
    yield base.upper() if base.upper() != base else base.lower()
    longer = base + rng.choice(("0", "_", "x", "00"))
    shorter = base[:-1]
    yield from rng.sample((longer, shorter), 2)
    kinds = [_long(rng, takes), rng.choice(_MARKED if takes.any_names else _PLAIN_MARKED)]
    if takes.any_names:
        kinds += [rng.choice(_FOREIGN), *_TWO_WAYS]
    yield from rng.sample(kinds, len(kinds))
    number = 0
    while True:
        yield f"EXTRA_{number}"
        number += 1


def _is_plain(name: str) -> bool:
    return name.isascii() and name.replace("_", "").replace("-", "").isalnum()


def _long(rng: random.Random, takes: Takes) -> str:
    letter = rng.choice(_LONG_OF) if takes.any_names else "L"
    count, left = divmod(takes.inbox_bytes_max, len(letter.encode()))
    return letter * count + "L" * left
