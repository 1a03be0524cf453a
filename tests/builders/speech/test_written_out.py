"""What is written out for the voice, and in which words."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders.speech.speakable import MAX_CHARS
from builders.speech.written_out import spoken


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It costs $5.", "It costs 5 dollars."),
        ("$1, £2.50, $0.99, €1.00, $0", "1 dollar, 2 pounds and 50 pence, 99 cents, 1 euro, 0 dollars"),
        ("saved $5,000 or $2.5 million or $20k", "saved 5,000 dollars or 2.5 million dollars or 20 thousand dollars"),
        ("30€ or ¥500 or US$5", "30 euros or 500 yen or 5 dollars"),
        ("in 1999, 1905 and 1800", "in 19 99, 19 oh 5 and 18 hundred"),
        ("in 2024 and in 1492", "in 2024 and in 1492"),
        ("the 1990s, the '80s, the 2000s", "the 19 nineties, the eighties, the two thousands"),
        ("from 1990-1995, 20–30 times", "from 19 90 to 19 95, 20 to 30 times"),
        ("555-1234", "555-1234"),
        ("1,999 or 1999.5 or 1999/2000", "1,999 or 1999.5 or 1999/2000"),
        ("1/2 cup, open 24/7, and/or", "a half cup, open 24 7, and or"),
        ("#1 and No. 5", "number 1 and number 5"),
        ("Dr. Lee, Mr. Ray vs. Prof. Oh, Jr.", "Doctor Lee, Mister Ray versus Professor Oh, Junior"),
        ("fruit (e.g. figs, etc.)", "fruit (for example figs, et cetera)"),
        ("St. Paul is on Elm St. today", "Saint Paul is on Elm Street today"),
        ("10 km at 20°C, 5 m²", "10 kilometers at 20 degrees Celsius, 5 m squared"),
        ("“It’s”  —  well – so", '"It\'s", well, so'),
        (" \n two\n\nlines ", "two lines"),
        # amounts
        ("$10/month, $9/hr, £5/kg", "10 dollars per month, 9 dollars per hour, 5 pounds per kilogram"),
        ("10/month and 24/7", "10 per month and 24 7"),
        ("$5-10, $5-$10, $5–10", "5 to 10 dollars, 5 to 10 dollars, 5 to 10 dollars"),
        ("$5k-10k or $2-3 million", "5 thousand to 10 thousand dollars or 2 to 3 million dollars"),
        ("$1.50-$2.25", "1 dollar and 50 cents to 2 dollars and 25 cents"),
        ("100$, 20-30€ and 5 $ or 6.", "100 dollars, 20 to 30 euros and 5 dollars or 6."),
        ("€1.000,50 or €5,50", "1,000 euros and 50 cents or 5 euros and 50 cents"),
        ("1.000.000 people at 1.234,5 m", "1,000,000 people at 1,234.5 m"),
        # numbers
        ("3 1/2 cups, 3½ cups, ½ cup", "3 and a half cups, 3 and a half cups, a half cup"),
        ("2 3/8 inches, 1-1/4 inches, 7/10", "2 and 3 eighths inches, 1 and a quarter inches, 7/10"),
        ("from 1990–95, 2010-11, 2023-10", "from 19 90 to 95, 2010 to 11, 2023-10"),
        ("a 3:2 ratio, 16:9, 1:100, at 9:30", "a 3 to 2 ratio, 16 to 9, 1 to 100, at 9:30"),
        ("The 3:2 ratio in John 3:2", "The 3 to 2 ratio in John 3 2"),
        ("No. 5, Fig. 5, Vol. 2, pp. 3-5", "number 5, Figure 5, Volume 2, pages 3 to 5"),
        # dates
        ("12/25/2020, 25/12/2020, 2023-01-15", "December 25, 2020, December 25, 2020, January 15, 2023"),
        ("5/5/1999 and 12/25/05", "May 5, 19 99 and December 25, oh 5"),
        ("05/06/2020 is unclear, 2023-13-45 none", "05/06/2020 is unclear, 2023-13-45 none"),
        ("9/11, 50/50 and 9/110", "9 11, 50 50 and 9/110"),
        ("Jan. 5, Dec 25, 3 Mar. and Sept. or Oct.", "January 5, December 25, 3 March and September or October"),
        ("Jan. is her name in Jan.", "Jan. is her name in January"),
        # names and places
        ("A dog on Main St. The dog", "A dog on Main Street. The dog"),
        ("On 5th St. and Elm St., St. Louis", "On 5th Street and Elm Street, Saint Louis"),
        (
            "Visit St. Ives. Visiting St. Louis by Main St. Bridge",
            "Visit Saint Ives. Visiting Saint Louis by Main Street Bridge",
        ),
        ("By Mount St. Helens. Elm St.", "By Mount Saint Helens. Elm Street."),
        ("Dr. Lee of Ocean Dr. is Dr. Who", "Doctor Lee of Ocean Drive is Doctor Who"),
        ("Mt. Hood, Ft. Worth, Sunset Blvd.", "Mount Hood, Fort Worth, Sunset Boulevard"),
        ("Lt. A, Sgt. B, Capt. C and Gen. D", "Lieutenant A, Sergeant B, Captain C and General D"),
        ("Gov. A, Sen. B and Rev. C", "Governor A, Senator B and Reverend C"),
        # units and signs
        ("5 in. wide, 6 ft. tall, 5 lb, 5 lbs", "5 inches wide, 6 feet tall, 5 pounds, 5 pounds"),
        ("1 lb, 1/2 lb, 3 1/2 lb, 11 lb", "1 pound, a half pound, 3 and a half pounds, 11 pounds"),
        ("a 10-ft pole of 5 ft. The end", "a 10 foot pole of 5 feet. The end"),
        (
            "10 oz, 60 mph, 90 km/h, in km/h",
            "10 ounces, 60 miles an hour, 90 kilometers an hour, in kilometers an hour",
        ),
        ("tea w/o milk, w/ sugar, w/lemon", "tea without milk, with sugar, with lemon"),
        ("Ctrl+C, Ctrl-V, Ctrl + Alt + Del, Alt+F4", "control C, control V, control Alt delete, Alt F4"),
        ("Node.js on an AC-DC line", "Node.js on an AC-DC line"),
        (
            "50% of A & B, 3rd, 9:30, 3.14, 1,234, NASA, 2 + 2 = 4",
            "50% of A & B, 3rd, 9:30, 3.14, 1,234, NASA, 2 + 2 = 4",
        ),
    ],
)
def test_english_is_written_as_it_is_said(text: str, said: str) -> None:
    assert spoken(text) == said == spoken(said)


def test_another_language_keeps_its_words() -> None:
    kept = "St. 3 1/2 km/h 25/12/2020 Ctrl+C €1.000,50 $5-10 w/o 3:2 5 lb ½"
    assert spoken(kept, "de") == kept != spoken(kept, "en-gb")
    assert spoken("Dr. Maier zahlte  „$5“ — 1999.", "de") == 'Dr. Maier zahlte "$5", 1999.'


TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="0123456789$€.,-–—/#'’sS ²k ", max_size=30),
    st.lists(
        st.sampled_from(
            [
                "$5",
                "1999",
                "Dr.",
                "e.g.",
                "2–3",
                "—",
                "#",
                "1/2",
                "km",
                "€",
                "0s",
                " ",
                "\u0308",
                "²",
                "St.",
                "½",
                "Jan.",
                "Ctrl+A",
            ]
        )
    ).map("".join),
)


@given(TEXTS, st.sampled_from(["en", "en-gb", "de", "cmn"]))
@example("$$$5", "en")
@example("d²\u030c", "en")
@example("\ud800", "en")
def test_whatever_is_written_out_is_on_one_line_and_is_not_changed_again(text: str, language: str) -> None:
    said = spoken(text, language)
    assert spoken(said, language) == said
    assert len(said.splitlines()) <= 1 and said == said.strip() and said == unicodedata.normalize("NFC", said)


@pytest.mark.slow
def test_hostile_texts_are_written_out_in_time() -> None:
    units = [
        "1",
        "$",
        "$5",
        "$5-",
        "1-",
        "—",
        "²",
        "1½",
        "1/1/",
        "12/25/2020",
        "3:2 ",
        "w/",
        "St. ",
        "A St. A ",
        "Ctrl+A+",
    ]
    for unit in [*units, "1.000", "1.000 €", "1,", "1990-95-", "5 in. ", "1 1/2 ", "Jan. 5", "$1/a", "9/11/", "1 Mar."]:
        said = spoken(unit * (MAX_CHARS // len(unit)))
        assert spoken(said) == said
