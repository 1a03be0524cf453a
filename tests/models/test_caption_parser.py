"""The English caption parser: what it reads right, and how its converter and its grammar keep trees whole."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.lang.en import English
from spacy.lang.en.syntax_iterators import SYNTAX_ITERATORS
from spacy.language import Language
from spacy.tokens import Doc

MODEL = Path(__file__).resolve().parents[2] / "models" / "caption_parser"
sys.path.insert(0, str(MODEL))

from convert import LABELS, parse_rows, to_clear  # noqa: E402
from corpus import Mix, caption_like_fragments, to_doc, training_documents  # noqa: E402
from evaluate import read_gold, score_captions  # noqa: E402
from grammar import LONGEST, CaptionGrammar  # noqa: E402
from tree import POS_OF_TAG, ROOT, Tree, check, pick, subtree  # noqa: E402

from builders.grounding.expressions import expand  # noqa: E402

ENGLISH = English()
SEEDS = st.integers(0, 2**32)
RELATIONS = [*LABELS, "case", "cop", "mark", "punct", "fixed", "list", "obl:unmarked", "flat:foreign"]
UPOS = {"NN": "NOUN", "NNP": "PROPN", "VBZ": "VERB", "VBG": "VERB", "JJ": "ADJ", "RB": "ADV", "IN": "ADP", "TO": "PART"}


@pytest.fixture(scope="module")
def nlp() -> Language:
    return spacy.load(MODEL / "pipeline")


def chunks(doc: Doc) -> list[tuple[int, int]]:
    return [(chunk.start_char, chunk.end_char) for chunk in doc.noun_chunks]


# ---- the trained pipeline --------------------------------------------------------------------------------------------


def test_a_dog_in_a_field_of_flowers(nlp: Language) -> None:
    doc = nlp("a dog in a field of flowers")
    found = list(doc.noun_chunks)
    assert [chunk.text for chunk in found] == ["a dog", "a field", "flowers"]
    assert expand(found[0]) == (0, len(doc.text))


def test_the_caption_of_a_released_grit_record(nlp: Language) -> None:
    doc = nlp("a wire hanger with a paper cover that reads we heart our customers")
    found = {(chunk.start_char, chunk.end_char): chunk for chunk in doc.noun_chunks}
    assert {(0, 13), (19, 32)} <= set(found)
    assert expand(found[0, 13]) == (0, 66)
    assert expand(found[19, 32]) == (19, 66)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gold", "chunks_right", "expressions_right"),
    [
        ("gold40.txt", 38, 36),
        ("gold_coco.txt", 95, 91),
        ("gold_coco_dev.txt", 76, 72),
        ("gold_coco_test.txt", 75, 74),
        ("gold_web_dev.txt", 62, 64),
        ("gold_web_test.txt", 68, 64),
    ],
)
def test_as_good_as_the_readme_says(nlp: Language, gold: str, chunks_right: int, expressions_right: int) -> None:
    score = score_captions(nlp, read_gold(MODEL / gold))
    assert score.chunks_right >= chunks_right
    assert score.expressions_right >= expressions_right


def test_noun_chunks_is_spacys_own_iterator(nlp: Language) -> None:
    assert nlp.vocab.get_noun_chunks is SYNTAX_ITERATORS["noun_chunks"]


def test_loads_without_custom_code_and_parses_the_same_in_any_batch(nlp: Language) -> None:
    assert nlp.pipe_names == ["tok2vec", "tagger", "parser", "attribute_ruler"]
    texts = [gold.caption for gold in read_gold(MODEL / "gold40.txt")]
    alone = [chunks(nlp(text)) for text in texts]
    assert [chunks(doc) for doc in nlp.pipe(texts, batch_size=16)] == alone


def test_meta_names_licence_and_sources_and_no_path_of_a_machine() -> None:
    meta = json.loads((MODEL / "pipeline" / "meta.json").read_text())
    assert meta["license"] == "CC BY-SA 4.0"
    assert "Stanford University" in meta["author"]
    assert any("UD_English-EWT" in source["name"] for source in meta["sources"])
    config = spacy.util.load_config(MODEL / "pipeline" / "config.cfg")
    assert set(config["paths"].values()) == {None}


# ---- the converter ---------------------------------------------------------------------------------------------------


def clear(*rows: str) -> list[tuple[str, str, str]]:
    """(word, label, head word) of a sentence given as "form upos xpos head relation" rows."""
    tree = to_clear(parse_rows(_conllu(rows)))
    return [(token.text, token.label, "" if token.head == ROOT else tree[token.head].text) for token in tree]


def _conllu(rows: tuple[str, ...]) -> list[list[str]]:
    split = [row.split() for row in rows]
    return [
        [str(i), form, form, upos, xpos, "_", head, rel, "_", "_"]
        for i, (form, upos, xpos, head, rel) in enumerate(split, 1)
    ]


def test_a_preposition_stands_above_its_noun() -> None:
    assert clear("dog NOUN NN 0 root", "in ADP IN 4 case", "the DET DT 4 det", "park NOUN NN 1 nmod") == [
        ("dog", "ROOT", ""),
        ("in", "prep", "dog"),
        ("the", "det", "park"),
        ("park", "pobj", "in"),
    ]


def test_a_copula_stands_above_its_predicate() -> None:
    assert clear("dogs NOUN NNS 3 nsubj", "are AUX VBP 3 cop", "black ADJ JJ 0 root") == [
        ("dogs", "nsubj", "are"),
        ("are", "ROOT", ""),
        ("black", "acomp", "are"),
    ]


def test_conjuncts_form_a_chain() -> None:
    rows = (
        "cats NOUN NNS 0 root",
        ", PUNCT , 3 punct",
        "dogs NOUN NNS 1 conj",
        "and CCONJ CC 5 cc",
        "birds NOUN NNS 1 conj",
    )
    assert clear(*rows) == [
        ("cats", "ROOT", ""),
        (",", "punct", "cats"),
        ("dogs", "conj", "cats"),
        ("and", "cc", "dogs"),
        ("birds", "conj", "dogs"),
    ]


def test_a_name_is_headed_by_its_last_word() -> None:
    assert clear("George PROPN NNP 3 nsubj", "Bush PROPN NNP 1 flat", "spoke VERB VBD 0 root") == [
        ("George", "compound", "Bush"),
        ("Bush", "nsubj", "spoke"),
        ("spoke", "ROOT", ""),
    ]


def test_a_gerund_after_a_preposition_is_its_complement() -> None:
    assert clear("left VERB VBD 0 root", "without SCONJ IN 3 mark", "paying VERB VBG 1 advcl")[1:] == [
        ("without", "prep", "left"),
        ("paying", "pcomp", "without"),
    ]


def test_contractions_and_empty_nodes_leave_plain_words_and_spaces() -> None:
    rows = ["1-2 don't", "1 do AUX VB 3 aux", "2 n't PART RB 3 advmod", "2.1 x X X 0 x", "3 go VERB VB 0 root"]
    table = []
    for row in rows:
        number, form, *rest = row.split()
        upos, xpos, head, relation = rest or ["_"] * 4
        table.append([number, form, form, upos, xpos, "_", head, relation, "_", "_"])
    assert [(word.form, word.space) for word in parse_rows(table)] == [("do", False), ("n't", True), ("go", True)]


@st.composite
def ud_sentences(draw: st.DrawFn) -> list[list[str]]:
    """Any tree over any words with any relations, sensible or not."""
    size = draw(st.integers(1, 12))
    order = draw(st.permutations(range(size)))
    heads = {order[0]: ROOT}
    for place in range(1, size):
        heads[order[place]] = order[draw(st.integers(0, place - 1))]
    rows = []
    for index in range(size):
        xpos = draw(st.sampled_from(sorted(UPOS)))
        relation = "root" if heads[index] == ROOT else draw(st.sampled_from(RELATIONS))
        form = draw(st.sampled_from(["dog", "be", "by", ",", "not"]))
        rows.append([str(index + 1), form, form, UPOS[xpos], xpos, "_", str(heads[index] + 1), relation, "_", "_"])
    return rows


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(ud_sentences())
def test_any_tree_stays_a_tree_with_all_its_words(rows: list[list[str]]) -> None:
    tree = to_clear(parse_rows(rows))
    check(tree)
    assert [token.text for token in tree] == [row[1] for row in rows]


def test_two_roots_are_refused() -> None:
    with pytest.raises(ValueError, match="2 roots"):
        clear("a NOUN NN 0 root", "b NOUN NN 0 root")


# ---- the grammar -----------------------------------------------------------------------------------------------------


def captions(seed: int, count: int) -> list[Tree]:
    grammar = CaptionGrammar(random.Random(seed))
    return [grammar.caption() for _ in range(count)]


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_every_caption_is_one_projective_tree_with_known_tags(seed: int) -> None:
    for tree in captions(seed, 10):
        check(tree)
        assert 3 <= len(tree) <= LONGEST
        assert {token.tag for token in tree} <= set(POS_OF_TAG)
        for top in range(len(tree)):
            span = subtree(tree, top)
            assert span[-1] - span[0] + 1 == len(span)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_every_label_is_one_that_the_parser_knows(nlp: Language, seed: int) -> None:
    known = set(nlp.get_pipe("parser").labels) | {"ROOT"}  # type: ignore[attr-defined]
    assert {token.label for tree in captions(seed, 20) for token in tree} <= known


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_words_are_those_that_the_tokenizer_will_see(seed: int) -> None:
    for tree in captions(seed, 10):
        doc = to_doc([tree], ENGLISH.vocab)
        assert [token.text for token in ENGLISH.tokenizer(doc.text)] == [token.text for token in tree]


def test_the_same_seed_draws_the_same_captions() -> None:
    assert captions(7, 50) == captions(7, 50)
    assert captions(7, 50) != captions(8, 50)


# ---- the corpus ------------------------------------------------------------------------------------------------------


def test_a_clause_becomes_a_title() -> None:
    rows = "Dogs NOUN NNS 3 nsubj", "are AUX VBP 3 aux", "chasing VERB VBG 0 root", "cats NOUN NNS 3 obj"
    (title,) = caption_like_fragments(to_clear(parse_rows(_conllu(rows))))
    assert [(token.text, token.label) for token in title] == [("Dogs", "ROOT"), ("chasing", "acl"), ("cats", "dobj")]


def test_words_that_do_not_hang_together_are_no_tree() -> None:
    (tree,) = captions(0, 1)
    children = [index for index, token in enumerate(tree) if token.head != ROOT and tree[token.head].head == ROOT]
    assert pick(tree, range(len(tree))) == tree
    assert len(children) < 2 or pick(tree, children) is None


def test_training_documents_depend_on_the_seed_alone() -> None:
    sentences, mix = captions(1, 40), Mix(captions=30, fragments=10, double_space=0.5)
    first = training_documents(sentences, random.Random(3), mix)
    assert first == training_documents(sentences, random.Random(3), mix)
    for trees in first:
        for tree in trees:
            check(tree)
        assert len(to_doc(trees, ENGLISH.vocab)) == sum(map(len, trees))
