"""A comparison as text: lines of 80 columns for a terminal, and a Markdown page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from harness.report.compare import Comparison, Figure, Pair, Spread
from harness.report.summary import escape
from harness.report.words import counted

WIDTH = 80

LARGE_PERCENT = 1000
"""From here on a change is told as a factor."""


def lines(comparison: Comparison) -> Iterator[str]:
    """Yield the comparison for a terminal."""
    yield f"A  {comparison.a}"
    yield f"B  {comparison.b}"
    for pair in comparison.pairs:
        yield ""
        yield from _pair_lines(pair)
    yield ""
    yield from textwrap.wrap(claim(comparison), WIDTH)
    yield from _behind(comparison)


def claim(comparison: Comparison) -> str:
    """Return what the words better and worse are worth."""
    tested = [pair for pair in comparison.pairs if pair.test and pair.test.method]
    if not tested:
        return "Nothing is said of speed: nowhere were there enough repeats to tell a change."
    figures = sum(one.p_value is not None for pair in tested for one in pair.figures)
    return (
        f"Of comparisons of equal sides at most {comparison.false_alarm_rate:.0%} call any figure "
        f"better or worse ({counted(figures, 'figure')} tested together, p adjusted for all). No "
        "call is no proof that nothing changed. `tallystick explain compare` says more."
    )


def method_texts(pair: Pair) -> list[str]:
    """Return how a pair's figures were tested, or how many repeats that would take."""
    test = pair.test
    if test is None:
        return []
    sides = f"A {counted(pair.whole_a, 'run')}, B {counted(pair.whole_b, 'run')}"
    if test.method is None:
        enough = (
            f"at least {test.runs_needed} per side would do"
            if test.runs_needed
            else "no number would do for so many scenarios: compare fewer at once"
        )
        return [f"TOO FEW REPEATS TO TELL a change of speed ({sides}): {enough}."]
    how = {
        "permutation": "permutation test of the largest difference",
        "sign flips": "sign-flip test of the largest difference, runs paired by seed",
    }[test.method]
    texts = [f"Tested: {how} ({sides})."]
    if test.one_after_the_other:
        texts.append(
            "One side ran after the other: what the machine did meanwhile looks like a change of "
            "the system, so the rate of false alarms holds only on a steady machine."
        )
    return texts


def _pair_lines(pair: Pair) -> Iterator[str]:
    yield f"{pair.scenario}: A {counted(pair.runs_a, 'run')}, B {counted(pair.runs_b, 'run')}"
    worse = "  WORSE" if pair.verdicts.worse else ""
    yield f"  verdict    {_tally(pair.verdicts.a)} -> {_tally(pair.verdicts.b)}{worse}"
    for label, texts in (("differs", pair.differences), ("check", _check_texts(pair))):
        for text in texts:
            yield from textwrap.wrap(
                text, WIDTH, initial_indent=f"  {label:<11}", subsequent_indent=" " * 15,
                break_on_hyphens=False,
            )  # fmt: skip
    for side, runs, whole in (("A", pair.runs_a, pair.whole_a), ("B", pair.runs_b, pair.whole_b)):
        if whole < runs:
            yield f"  cut off    {side}: {runs - whole} of {runs}, of which only the verdict counts"
    if not (pair.whole_a and pair.whole_b):
        return
    changed = [
        f"{one.name} {one.a:,.12g} -> {one.b:,.12g}" for one in pair.counts if one.a != one.b
    ]
    same = "the same" if not changed else "; ".join(changed)
    yield from textwrap.wrap(
        same, WIDTH, initial_indent="  counts     ", subsequent_indent=" " * 13
    )
    for figure in pair.figures:
        yield (
            f"  {figure.metric:<19}{_spread(figure.a):>20}  {_spread(figure.b):>20}"
            f"{_change(figure):>9} {_note(figure)}"
        ).rstrip()
    for text in method_texts(pair):
        yield from textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _behind(comparison: Comparison) -> Iterator[str]:
    for side, names in (("A", comparison.only_a), ("B", comparison.only_b)):
        if names:
            yield f"\nOnly in {side}: {', '.join(names)}"
    for side, names in (("A", comparison.broken_a), ("B", comparison.broken_b)):
        if names:
            yield f"\nERROR, without a result, in {side}: {', '.join(names)}"
    if comparison.exceeded:
        yield ""
        yield from (f"WORSE  {line}" for line in comparison.exceeded)


def markdown(comparison: Comparison) -> str:
    """Return the comparison as a Markdown page."""
    parts = [f"# Comparison\n\nA: `{comparison.a}`  \nB: `{comparison.b}`\n"]
    parts += [f"**Worse: {escape(line)}**\n" for line in comparison.exceeded]
    parts.append(f"{escape(claim(comparison))}\n")
    for pair in comparison.pairs:
        parts.append("\n".join(_pair_markdown(pair)))
    for side, names in (("A", comparison.only_a), ("B", comparison.only_b)):
        if names:
            parts.append(f"Only in {side}: {escape(', '.join(names))}\n")
    for side, names in (("A", comparison.broken_a), ("B", comparison.broken_b)):
        if names:
            parts.append(f"ERROR, without a result, in {side}: {escape(', '.join(names))}\n")
    return "\n".join(parts)


def _pair_markdown(pair: Pair) -> Iterator[str]:
    yield f"## {escape(pair.scenario)}\n"
    yield "| | A | B | change | |"
    yield "|---|---:|---:|---:|---|"
    worse = "worse" if pair.verdicts.worse else ""
    yield f"| runs | {pair.runs_a} | {pair.runs_b} | | |"
    yield f"| verdict | {_tally(pair.verdicts.a)} | {_tally(pair.verdicts.b)} | | {worse} |"
    for one in pair.checks:
        yield f"| {one.id} {one.name} | {one.a or '-'} | {one.b or '-'} | | |"
    for count in pair.counts:
        if count.a or count.b:
            more = count.b - count.a
            yield f"| {count.name} | {count.a:,.12g} | {count.b:,.12g} | {more:+,.12g} | |"
    for figure in pair.figures:
        yield (
            f"| {figure.metric} | {_spread(figure.a)} | {_spread(figure.b)} | {_change(figure)} "
            f"| {_note(figure)} |"
        )
    yield ""
    yield from (f"- differs: {escape(text)}" for text in pair.differences)
    for side, runs, whole in (("A", pair.runs_a, pair.whole_a), ("B", pair.runs_b, pair.whole_b)):
        if whole < runs:
            yield f"- of {side} {runs - whole} did not reach the end; only verdicts count of it"
    yield from (f"- {escape(text)}" for text in method_texts(pair))
    yield ""


def _check_texts(pair: Pair) -> list[str]:
    return [
        f"{one.id} {one.name}: {one.a or '-'} ({one.instances_a:,}) -> "
        f"{one.b or '-'} ({one.instances_b:,})"
        for one in pair.checks
    ]


def _tally(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{word} x{n}" if n > 1 else word for word, n in counts.items())


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    if spread.runs == 1:
        return _number(spread.median)
    return f"{_number(spread.median)} ({_number(spread.minimum)}..{_number(spread.maximum)})"


def _number(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / limit * (10 if unit == 'k' else 1):.3g}{unit}"
    return f"{value:.4g}"


def _change(figure: Figure) -> str:
    change = figure.change_percent
    if change is None:
        return ""
    if change >= LARGE_PERCENT:
        return f"x{1 + change / 100:.0f}"
    return f"{change:+.1f} %"


def _note(figure: Figure) -> str:
    if figure.exceeded:
        return "WORSE"
    if figure.a is None or figure.b is None:
        return "missing"
    if figure.p_value is None:
        return ""
    if not figure.changed:
        return f"p {figure.p_value:.2f}"
    return "worse" if figure.worse else "better"
