"""What is tried again, for how long, and what is told at once."""

from __future__ import annotations

import pyarrow as pa
import pytest

from builders.places.persist import TRIES, persist, words
from schemas.errors import BuildError, UserError


class Ill:
    """A store that fails some times, then answers."""

    def __init__(self, *errors: Exception) -> None:
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


def test_before_each_try_it_is_asked_whether_the_call_may_still_be_made() -> None:
    class Lost(Exception):
        pass

    answers = [None, None, Lost()]

    def check() -> None:
        if error := answers.pop(0):
            raise error

    store = Ill(*[SLOW] * 99)
    with pytest.raises(Lost):
        persist("s3://bucket/a", store, lambda seconds: None, check)
    assert store.calls == 2


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


@pytest.mark.parametrize("kind", [pa.ArrowException, pa.ArrowInvalid, pa.ArrowNotImplementedError])
def test_what_the_sdk_says_before_it_asks_is_told_at_once_with_the_mend(kind: type[Exception]) -> None:
    store = Ill(kind("Unknown error: Unexpected end of Base64 encoded string."))
    with pytest.raises(UserError) as error:
        persist("az://container/a", store, lambda seconds: None)
    assert store.calls == 1
    assert str(error.value) == (
        "az://container/a: the store cannot be asked: Unknown error: Unexpected end of Base64 encoded string.; "
        "mend the credentials of this process (AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT and "
        "AZURE_STORAGE_KEY) or the address"
    )


def test_of_what_google_wraps_an_error_in_nothing_is_told() -> None:
    told = (
        "Status(UNKNOWN: Permanent error, with a last message of Could not log in. The underlying error message was: "
    )
    why = "Cannot open credentials file /x.json"
    assert (
        words(OSError(f"{told}{why} error_info={{reason=UNKNOWN, metadata={{message={told}{why}, version=2}}}})"))
        == why
    )


def test_long_words_are_cut() -> None:
    assert len(words(OSError("x" * 1000))) == 300
