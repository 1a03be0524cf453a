"""What is tried again, for how long, and what is told at once."""

from __future__ import annotations

import pytest

from builders.places.persist import TRIES, persist, words
from schemas.errors import BuildError, UserError


class Ill:
    """A store that fails some times, then answers."""

    def __init__(self, *errors: OSError) -> None:
        self.left, self.calls = list(errors), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.left:
            raise self.left.pop(0)
        return "well"


SLOW = OSError("When reading: AWS Error SLOW_DOWN during GetObject operation: x (Request ID: ab/c+d)")


def test_what_may_pass_is_tried_again_after_longer_and_longer_waits() -> None:
    waits: list[float] = []
    store = Ill(*[SLOW] * (TRIES - 1))
    assert persist("s3://bucket/a", store, waits.append) == "well"
    assert store.calls == TRIES
    least = [0.5 * 2**n for n in range(TRIES - 1)]
    assert all(low <= wait <= 2 * low for low, wait in zip(least, waits, strict=True))
    assert waits != least, "workers part"


def test_what_does_not_pass_ends_with_one_line_without_the_ids_of_requests() -> None:
    store = Ill(*[SLOW] * 99)
    with pytest.raises(BuildError) as error:
        persist("s3://bucket/a", store, lambda seconds: None)
    assert store.calls == TRIES
    assert str(error.value) == (
        f"s3://bucket/a: the store failed {TRIES} times: When reading: AWS Error SLOW_DOWN during GetObject operation: "
        "x; run the same command again when it is well"
    )


@pytest.mark.parametrize(
    ("told", "kind", "line"),
    [
        ("AWS Error NO_SUCH_BUCKET during PutObject", UserError, "there is no such bucket"),
        ("ContainerNotFound: the container", UserError, "there is no such bucket"),
        ("AWS Error UNKNOWN (HTTP status 301) during HeadObject", UserError, "in another region; export AWS_REGION"),
        ("AWS Error ACCESS_DENIED during GetObject", PermissionError, "access is denied"),
        ("AWS Error INVALID_ACCESS_KEY_ID during GetObject", PermissionError, "access is denied"),
        ("Status(UNAUTHENTICATED: …)", PermissionError, "access is denied"),
    ],
)
def test_what_the_user_has_to_mend_is_told_at_once(told: str, kind: type[Exception], line: str) -> None:
    store = Ill(OSError(told))
    with pytest.raises(kind, match=line):
        persist("s3://bucket/a", store, lambda seconds: None)
    assert store.calls == 1


def test_what_is_not_there_is_told_at_once() -> None:
    store = Ill(FileNotFoundError(2, "Path does not exist 'bucket/a'"))
    with pytest.raises(FileNotFoundError):
        persist("s3://bucket/a", store, lambda seconds: None)
    assert store.calls == 1


def test_long_words_are_cut() -> None:
    assert len(words(OSError("x" * 1000))) == 300
