"""Captions as BERT's tokens, and the tokens of each phrase. A phrase is a span of characters, wherever its words recur.

A caption of more than 256 tokens is read in several passes, each over as much of it as fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import BertWordPieceTokenizer, Encoding, Tokenizer

from builders.grounding.glip.config import MAX_TOKENS
from builders.grounding.glip.files import GlipFiles
from schemas.errors import UserError, first_line

Span = tuple[int, int]

_ENDS = ("[CLS]", "[SEP]")
_ROOM = MAX_TOKENS - len(_ENDS)
_TRIED = 3
"""Characters at either end of a span: a space belongs to no token."""


@dataclass(frozen=True)
class Text:
    """What one pass reads: `ids` with [CLS] and [SEP].

    `phrases` tells for the spans that lie in it, by their position in the query, which of `ids` are theirs.
    """

    ids: tuple[int, ...]
    phrases: dict[int, tuple[int, ...]]


class CaptionTokenizer:
    """BERT's WordPiece. Raises UserError where the files hold none, or not one of `words` words."""

    def __init__(self, files: GlipFiles, words: int) -> None:
        told = f"{files.where}.tokenizer: {files.vocabulary}"
        try:
            if files.vocabulary.suffix == ".json":
                self._wordpiece = Tokenizer.from_file(str(files.vocabulary))
            else:
                self._wordpiece = BertWordPieceTokenizer(str(files.vocabulary), lowercase=True)
            self._wordpiece.no_truncation()
            self._wordpiece.no_padding()
        except Exception as error:  # tokenizers raises nothing more special
            raise UserError(f"{told} is no tokenizer: {first_line(error)}; give BERT's (uncased)") from None
        size = self._wordpiece.get_vocab_size()
        ends = [found for token in _ENDS if (found := self._wordpiece.token_to_id(token)) is not None]
        if size != words or len(ends) != len(_ENDS):
            raise UserError(f"{told} has {size:,} words, not BERT's {words:,} with {' and '.join(_ENDS)}; give BERT's")
        self._start, self._stop = ends

    def __call__(self, caption: str, spans: Sequence[Span]) -> list[Text]:
        """The passes that a caption takes: one, unless it is long; none where no span has a token.

        Each span with a token is in one of them, whole unless it is longer than a pass itself.
        """
        encoding = self._wordpiece.encode(caption, add_special_tokens=False)
        left = sorted((*tokens, i) for i, span in enumerate(spans) if (tokens := tokens_of(encoding, span)))
        texts = []
        while left:
            first, last, _ = left[0]
            start = 0 if last < _ROOM else max(0, min(first, len(encoding.ids) - _ROOM))
            stop = start + _ROOM
            held = [(a, min(b, a + _ROOM - 1), i) for a, b, i in left if a >= start and min(b, a + _ROOM - 1) < stop]
            phrases = {i: tuple(range(a - start + 1, b - start + 2)) for a, b, i in held}
            texts.append(Text((self._start, *encoding.ids[start:stop], self._stop), phrases))
            left = [one for one in left if one[2] not in phrases]
        return texts


def tokens_of(encoding: Encoding, span: Span) -> tuple[int, int] | None:
    """The first and the last token of a span of characters, or None: as GLIP's own code finds them."""
    start, end = span
    first = _token(encoding, range(start, start + _TRIED))
    last = _token(encoding, range(end - 1, end - 1 - _TRIED, -1))
    return None if first is None or last is None or first > last else (first, last)


def _token(encoding: Encoding, characters: Iterable[int]) -> int | None:
    """Of the first of these characters that has one."""
    found = (encoding.char_to_token(character) for character in characters if character >= 0)
    return next((token for token in found if token is not None), None)
