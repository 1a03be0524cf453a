"""Which pairs are kept: every limit a field, and named presets that fill the fields as a paper did.

A limit that is not given (null) is a rule that is not applied. A preset's numbers become the recipe's own fields when
it is read, so that they are hashed with it; a field given beside the preset wins, null switches its rule off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from schemas.errors import UserError
from schemas.fields import Fields

PresetName = Literal["datacomp_basic", "laion400m", "cc3m", "cc12m", "qwen_vl"]
ImageFormat = Literal["jpg", "png", "webp"]
Script = Literal[
    "latin", "cjk", "hiragana", "katakana", "hangul", "bopomofo", "cyrillic", "greek", "arabic", "hebrew", "armenian",
    "georgian", "devanagari", "bengali", "gurmukhi", "gujarati", "oriya", "tamil", "telugu", "kannada", "malayalam",
    "sinhala", "thai", "lao", "khmer", "myanmar", "tibetan", "mongolian", "ethiopic", "cherokee",
]  # fmt: skip
"""Scripts in use today, by the first word of their letters' Unicode names."""

LANGUAGES = frozenset(
    """
    af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de
    diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo
    io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms
    mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn
    sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf
    yi yo yue zh
    """.split()
)
"""What fastText's lid.176 tells apart: ISO 639-1 codes, longer ones where there is none."""


@dataclass(frozen=True)
class Preset:
    """The `fields` that a paper's rules are; `unpublished` are those whose numbers its authors did not tell."""

    source: str
    fields: Mapping[str, Any]
    unpublished: tuple[str, ...] = ()


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # In their code: len(text.split()) > 2, len(text) > 5, smaller side >= 200, larger / smaller side <= 3.0, and
        # fastText's lid.176 says "en".
        "datacomp_basic": Preset(
            "DataComp, arXiv 2304.14108, basic filtering; mlfoundations/datacomp, baselines/apply_filter.py",
            {"languages": ["en"], "min_words": 3, "min_chars": 6, "min_side": 200, "max_aspect": 3.0},
        ),
        # "5 KB" is len(response.content) < 5000 in its crawler, which also kept English alone (`languages: [en]`).
        # Its CLIP score of 0.3 belongs to the stage that scores.
        "laion400m": Preset(
            "LAION-400M, arXiv 2111.02114, section 2; the Crawling@Home worker",
            {"min_chars": 5, "min_bytes": 5000},
        ),
        # Both sides are greater than 400 px. Left out for want of numbers: share of nouns, repetition, capitals, rare
        # words; and what needs classifiers: sentiment, adult content, labels of the image.
        "cc3m": Preset(
            "Conceptual Captions, Sharma et al., ACL 2018, section 3",
            {
                "formats": ["jpg"],
                "min_side": 401,
                "max_aspect": 2.0,
                "needs_noun": True,
                "needs_determiner": True,
                "needs_preposition": True,
            },
        ),
        # As CC3M, relaxed: no preposition needed; at most 0.2 of the words repeat others.
        "cc12m": Preset(
            "Conceptual 12M, arXiv 2102.08981, section 2",
            {
                "formats": ["jpg"],
                "min_side": 401,
                "max_aspect": 2.5,
                "min_words": 3,
                "max_words": 256,
                "max_repetition": 0.2,
                "needs_noun": True,
                "needs_determiner": True,
            },
        ),
        # Letters neither English nor Chinese, emoji; HTML, which they cut out, is rejected. Its CLIP score belongs to
        # the stage that scores.
        "qwen_vl": Preset(
            "Qwen-VL, arXiv 2308.12966, appendix A.1",
            {"scripts": ["latin", "cjk"], "max_emoji_share": 0.0, "max_html_share": 0.0},
            unpublished=("max_aspect", "min_side", "min_chars", "max_chars"),
        ),
    }
)

_share: Any = {"ge": 0, "le": 1}


class Rules(Fields):
    """What a pair must satisfy. Limits are inclusive: a value equal to the limit is kept.

    Shares and the aspect are compared as they are stored: rounded up to 4 decimals.
    """

    preset: PresetName | None = Field(None, description="fills the fields below as a paper did")
    formats: list[ImageFormat] | None = Field(None, min_length=1, description="encodings kept")
    min_bytes: int | None = Field(None, ge=0, description="bytes of the encoded image, at least")
    max_bytes: int | None = Field(None, ge=0, description="bytes of the encoded image, at most")
    min_side: int | None = Field(None, ge=1, description="pixels of the smaller side, at least")
    max_side: int | None = Field(None, ge=1, description="pixels of the larger side, at most")
    max_aspect: float | None = Field(None, ge=1, description="larger side / smaller side, at most")
    min_chars: int | None = Field(None, ge=0, description="characters of the caption, at least")
    max_chars: int | None = Field(None, ge=0, description="characters of the caption, at most")
    min_words: int | None = Field(None, ge=0, description="words between white space, at least")
    max_words: int | None = Field(None, ge=0, description="words between white space, at most")
    max_repetition: float | None = Field(None, **_share, description="share of words that stood before, at most")
    max_url_share: float | None = Field(None, **_share, description="share of characters in URLs, at most")
    max_html_share: float | None = Field(None, **_share, description="share of characters in tags, at most")
    max_emoji_share: float | None = Field(None, **_share, description="share of characters in emoji, at most")
    scripts: list[Script] | None = Field(None, min_length=1, description="every letter is of one of these, as latin")
    languages: list[str] | None = Field(None, min_length=1, description="codes of the languages kept, as en")
    min_language_score: float | None = Field(None, **_share, description="probability of the language, at least")
    needs_noun: bool = False
    needs_determiner: bool = False
    needs_preposition: bool = False

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        """A UserError, which pydantic lets through: its own would show the whole mapping as the field's value."""
        name = data.get("preset") if isinstance(data, dict) else None
        if not isinstance(name, str) or name not in PRESETS:
            return data
        preset = PRESETS[name]
        missing = [f"rules.{field}" for field in preset.unpublished if field not in data]
        if missing:
            raise UserError(
                f"rules.preset {name}: its authors published no numbers for {', '.join(missing)}; "
                "give each of them (null: no limit)"
            )
        return {**preset.fields, **data}

    @field_validator("*", mode="before")
    @classmethod
    def _null_needs_nothing(cls, value: Any, info: ValidationInfo) -> Any:
        return False if value is None and str(info.field_name).startswith("needs_") else value

    @field_validator("max_bytes", "max_side", "max_chars", "max_words")
    @classmethod
    def _over_least(cls, most: int | None, info: ValidationInfo) -> int | None:
        name = str(info.field_name).replace("max", "min")
        least = info.data.get(name)
        if most is not None and least is not None and most < least:
            raise PydanticCustomError(
                "limits", "under {name} {least}, so nothing could be kept", {"name": name, "least": least}
            )
        return most

    @field_validator("languages")
    @classmethod
    def _known(cls, languages: list[str] | None) -> list[str] | None:
        unknown = [code for code in languages or () if code not in LANGUAGES]
        if unknown:
            raise PydanticCustomError(
                "language",
                "must be codes that fastText's lid.176 knows, as en; {code} is none",
                {"code": repr(unknown[0])},
            )
        return languages
