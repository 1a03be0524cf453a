"""Who answers: what of it is content, what it must not hold, and what a limit on money needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from builders.llm.request import Request
from schemas.errors import UserError
from schemas.llm import MOST_TOKENS, OpenAiLlm
from schemas.load import load_recipe
from schemas.recipe import LlavaRecipe

SOURCE = {"kind": "scenes", "count": 4}
PRICED = {"gpt-4.1-mini": {"input": 0.4, "output": 1.6, "cached_input": 0.1}}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def write(path: Path, llm: Any) -> None:
    path.write_text(yaml.safe_dump({"kind": "llava", "source": SOURCE, "llm": llm}))


def loaded(path: Path, *sets: str) -> OpenAiLlm:
    made = load_recipe(path, sets)
    assert isinstance(made, LlavaRecipe)
    assert isinstance(made.llm, OpenAiLlm)
    return made.llm


def refused(path: Path, *sets: str) -> str:
    """The one line that the user reads, without the file's name."""
    with pytest.raises(UserError) as error:
        load_recipe(path, sets)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


# ---- a good one ------------------------------------------------------------------------------------------------------


def test_a_model_alone_is_enough_and_the_endpoint_is_openais(recipe: Path) -> None:
    write(recipe, {"model": "gpt-4.1-mini"})

    llm = loaded(recipe)

    assert (llm.kind, llm.provider, llm.base_url) == ("openai", "openai", "https://api.openai.com/v1")
    assert (llm.api_key_env, llm.parameters, llm.max_usd, llm.price) == ("OPENAI_API_KEY", {}, None, None)


def test_the_price_is_that_of_the_model(recipe: Path) -> None:
    write(recipe, {"model": "gpt-4.1-mini", "prices": {**PRICED, "other": {"input": 9, "output": 9}}})

    price = loaded(recipe).price

    assert price is not None
    assert (price.input, price.output, price.cached_input, price.batch) == (0.4, 1.6, 0.1, 0.5)


@pytest.mark.parametrize(
    ("item", "field", "value"),
    [
        ("llm.parameters.temperature=0.2", "parameters", {"max_tokens": 5, "temperature": 0.2}),
        ("llm.parameters={}", "parameters", {}),
        ("llm.max_usd=1", "max_usd", 1.0),
        ("llm.concurrency=1", "concurrency", 1),
        ("llm.kind=openai_batch", "kind", "openai_batch"),
        ("llm.base_url=http://127.0.0.1:8000/v1/", "base_url", "http://127.0.0.1:8000/v1"),
        ("llm.model=other", "model", "other"),
        ("llm.requests_per_minute=null", "requests_per_minute", None),
    ],
)
def test_set_reaches_the_fields(recipe: Path, item: str, field: str, value: Any) -> None:
    write(recipe, {"model": "gpt-4.1-mini", "parameters": {"max_tokens": 5}, "prices": PRICED})

    assert getattr(loaded(recipe, item), field) == value


def test_prices_of_a_model_whose_name_holds_dots_are_set_in_a_mapping(recipe: Path) -> None:
    write(recipe, {"model": "gpt-4.1-mini"})

    price = loaded(recipe, "llm.prices={gpt-4.1-mini: {input: 1, output: 2}}").price

    assert price is not None
    assert (price.input, price.output) == (1, 2)


def test_the_ledger_lies_beside_the_recipe_or_where_set_is_written(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    write(recipe, {"model": "m", "ledger": "paid"})

    assert loaded(recipe).ledger == str(tmp_path / "paid")
    assert loaded(recipe, "llm.ledger=paid").ledger == str(tmp_path.parent / "paid")
    assert loaded(recipe, "llm.ledger=").ledger is None


# ---- what does not fit -----------------------------------------------------------------------------------------------

KINDS = "openai, openai_batch, template"


@pytest.mark.parametrize(
    ("llm", "told"),
    [
        ({"modle": "x"}, "there is no field llm.modle; did you mean llm.model?"),
        ({"kind": "gpt"}, f"llm.kind is 'gpt', but must be one of: {KINDS}"),
        ({"kind": None}, f"llm.kind is None, but must be one of: {KINDS}"),
        ({}, "llm.model is not given; set it in the recipe or with --set llm.model=…"),
        (None, "llm is None: must be a mapping of fields"),
        ("template", "llm is 'template': must be a mapping of fields"),
        ({"kind": "template", "model": "x"}, "llm.model is a field of another llm.kind; the fields here are llm.kind"),
        ({"model": ""}, "llm.model is '': "),
        ({"model": 4}, "llm.model is 4: must be text; put it in quotes"),
        ({"model": "m", "api_key": "x"}, "there is no field llm.api_key; did you mean llm.api_key_env?"),
        ({"model": "m", "concurrency": 0}, "llm.concurrency is 0: "),
        ({"model": "m", "retries": True}, "llm.retries is True: must be a number"),
        ({"model": "m", "timeout": 0}, "llm.timeout is 0: "),
        ({"model": "m", "max_usd": 0}, "llm.max_usd is 0: "),
        ({"model": "m", "max_usd": float("inf")}, "llm.max_usd is inf: "),
        ({"model": "m", "prices": {"gpt": {"in": 1}}}, "there is no field llm.prices.gpt.in; did you mean llm."),
        ({"model": "m", "prices": {"gpt": {"input": 1}}}, "llm.prices.gpt.output is not given; set it in the recipe "),
        ({"model": "m", "prices": {"gpt": 3}}, "llm.prices.gpt is 3: must be a mapping of fields"),
        ({"model": "m", "prices": {"gpt": None}}, "llm.prices.gpt is None: must be a mapping of fields"),
        ({"model": "m", "prices": [1]}, "llm.prices is [1]: must be a mapping"),
        (
            {"model": "m", "prices": {"gpt-4.1-mini": {"input": "x", "output": 1}}},
            "llm.prices.gpt-4.1-mini.input is 'x': must be a number",
        ),
        ({"model": "m", "prices": {"gpt-4.1": {"input": -1, "output": 1}}}, "llm.prices.gpt-4.1.input is -1: "),
    ],
)
def test_what_does_not_fit_is_told_by_its_dotted_field(recipe: Path, llm: Any, told: str) -> None:
    write(recipe, llm)

    assert refused(recipe).startswith(told)


def test_a_recipe_that_does_not_say_who_answers_is_refused(recipe: Path) -> None:
    recipe.write_text("kind: llava\nsource: {kind: scenes}\n")

    assert refused(recipe) == "llm is not given; set it in the recipe or with --set llm=…"


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("llm.kind=gpt", f"--set: llm.kind is 'gpt', but must be one of: {KINDS}"),
        ("llm.modle=x", "--set: there is no field llm.modle; did you mean llm.model?"),
        ("llm.concurrency=many", "--set: llm.concurrency is 'many': must be a whole number"),
        ("llm.max_usd=1", "--set: llm.max_usd: needs llm.prices with the prices of 'm'"),
        ("llm.parameters.max_tokens=0", "--set: llm.parameters: max_tokens must be a whole number above 0"),
    ],
)
def test_a_set_that_does_not_fit_is_told_as_one(recipe: Path, item: str, told: str) -> None:
    write(recipe, {"model": "m"})

    assert refused(recipe, item) == told


@pytest.mark.parametrize(
    "item",
    [
        "llm.prices.gpt-4.1-mini.input=1",
        "llm.prices.gpt-4.1-mini={input: 1, output: 2}",
        "llm.prices.gpt.inptu=1",
        "llm.prices.gpt.input.deep=1",
    ],
)
def test_a_set_that_is_cut_at_the_dots_of_a_models_name_says_how_to_write_it(recipe: Path, item: str) -> None:
    write(recipe, {"model": "gpt-4.1-mini", "prices": PRICED})

    assert refused(recipe, item) == (
        f"--set {item.partition('=')[0]}: there is no such field; llm.prices.NAME has input, output, cached_input, "
        "batch, and a NAME with dots is set in a mapping, as --set 'llm.prices={NAME: {input: …}}'"
    )


# ---- money -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MOST_TOKENS)
def test_a_limit_on_money_needs_a_price_and_a_longest_answer(recipe: Path, name: str) -> None:
    write(recipe, {"model": "gpt-4.1-mini", "max_usd": 1, "prices": {"other": {"input": 1, "output": 1}}})
    assert refused(recipe) == "llm.max_usd: needs llm.prices with the prices of 'gpt-4.1-mini'"
    write(recipe, {"model": "gpt-4.1-mini", "max_usd": 1, "prices": PRICED})
    assert refused(recipe).startswith("llm.max_usd: needs llm.parameters.max_tokens (or max_completion_tokens)")
    write(recipe, {"model": "gpt-4.1-mini", "max_usd": 1, "prices": PRICED, "parameters": {name: 5}})
    assert loaded(recipe).max_usd == 1


# ---- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "https://miller:hidden@api.openai.com/v1",
        "https://hidden@api.openai.com/v1",
        "https://:hidden@api.openai.com/v1",
        "https://api.openai.com/v1?api_key=hidden",
        "https://api.openai.com/v1#hidden",
        "https://api.openai.com:hidden/v1",
        "ftp://miller:hidden@api.openai.com",
        "http://[hidden/v1",
        "hidden",
    ],
)
def test_an_address_with_a_secret_is_refused_and_the_secret_not_told(recipe: Path, address: str) -> None:
    write(recipe, {"model": "m", "base_url": address})
    for told in (refused(recipe), refused(recipe, f"llm.base_url={address}")):
        assert "llm.base_url: must " in told
        assert "hidden" not in told


@pytest.mark.parametrize("address", ["", "api.openai.com/v1", "file:///etc/passwd", "http://", "https:///v1"])
def test_what_is_no_address_of_the_web_is_refused(recipe: Path, address: str) -> None:
    write(recipe, {"model": "m", "base_url": address})

    assert refused(recipe) == "llm.base_url: must be an address, as https://api.openai.com/v1"


@pytest.mark.parametrize("address", ["http://localhost:8000/v1", "http://[::1]:8000", "https://10.0.0.7/a/b"])
def test_an_address_that_the_recipe_names_may_be_private(recipe: Path, address: str) -> None:
    write(recipe, {"model": "m", "base_url": f"{address}/"})

    assert loaded(recipe).base_url == address


@pytest.mark.parametrize("key", ["sk-hidden-1234", "hidden key", "", "1hidden"])
def test_a_key_in_place_of_its_variables_name_is_refused_and_not_told(recipe: Path, key: str) -> None:
    write(recipe, {"model": "m", "api_key_env": key})

    assert refused(recipe) == (
        "llm.api_key_env: must be the name of a variable, as OPENAI_API_KEY, which holds the key itself"
    )


# ---- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2020-01-01", "must be JSON: "),
        (".nan", "must be JSON: "),
        ("[1, .inf]", "must be JSON: "),
        ("!!binary aGk=", "must be JSON: "),
        ("!!set {x}", "must be JSON: "),
    ],
)
def test_a_parameter_that_is_no_json_is_refused(recipe: Path, value: str, told: str) -> None:
    recipe.write_text(f"kind: llava\nsource: {{kind: scenes}}\nllm: {{model: m, parameters: {{a: {value}}}}}\n")

    assert refused(recipe).startswith(f"llm.parameters: {told}")


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n", "input"])
def test_a_parameter_that_gristmill_sets_itself_is_refused(recipe: Path, name: str) -> None:
    write(recipe, {"model": "m", "parameters": {name: 1}})

    assert refused(recipe) == f"llm.parameters: {name} is not a parameter of the recipe: gristmill sets it"


@pytest.mark.parametrize("name", MOST_TOKENS)
@pytest.mark.parametrize("value", [0, -1, 1.5, "7", True, None])
def test_the_longest_answer_is_a_whole_number_above_0(recipe: Path, name: str, value: Any) -> None:
    write(recipe, {"model": "m", "parameters": {name: value}})

    assert refused(recipe) == f"llm.parameters: {name} must be a whole number above 0"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=6,
)


@pytest.mark.slow
@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name not in ("model", *MOST_TOKENS)), JSON))
def test_whatever_json_the_parameters_are_a_request_holds_them_and_has_a_hash(parameters: dict[str, Any]) -> None:
    try:
        kept = OpenAiLlm(model="m", parameters=parameters).parameters
    except ValidationError:
        return
    assert json.loads(json.dumps(kept)) == kept
    assert json.loads(json.dumps(parameters)) == kept
    assert Request("openai", "chat/completions", {"model": "m", "messages": [], **kept}).hash
