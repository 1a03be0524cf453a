"""Thresholds on scores."""

from __future__ import annotations

from builders.filters.score import MinScore
from builders.step import Rejected


def test_the_threshold_itself_is_kept() -> None:
    assert MinScore(0.3)([{"clip_score": 0.3}, {"clip_score": 0.299999}]) == [
        {},
        Rejected("low_score", "0.299999 < 0.3"),
    ]


def test_languages_have_thresholds_of_their_own() -> None:
    step = MinScore(0.26, by_language={"en": 0.28})
    assert step.reads == ("clip_score", "language")
    told = [("en", 0.27), ("en", 0.28), ("de", 0.27), (None, 0.27), ("de", 0.2)]
    assert step([{"clip_score": score, "language": language} for language, score in told]) == [
        Rejected("low_score", "0.270000 < 0.28 (en)"),
        {},
        {},
        {},
        Rejected("low_score", "0.200000 < 0.26 (de)"),
    ]


def test_only_the_named_languages_may_have_a_threshold() -> None:
    step = MinScore(None, by_language={"en": 0.28})
    kept, lost = step([{"clip_score": -1.0, "language": "de"}, {"clip_score": 0.0, "language": "en"}])
    assert kept == {} and isinstance(lost, Rejected)


def test_any_score_can_have_an_upper_bound() -> None:
    step = MinScore(None, "nsfw", max_score=0.5)
    assert (step.name, step.reads, dict(step.adds)) == ("range_nsfw", ("nsfw",), {})
    assert step([{"nsfw": 0.5}, {"nsfw": 0.6}, {"nsfw": None}]) == [
        {},
        Rejected("high_score", "0.600000 > 0.5"),
        Rejected("no_score", "nsfw is null"),
    ]
