"""SpeechGPT's data (arXiv 2305.11000): a unit vocabulary, cross-modal turns, and chains of modality."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import pyarrow as pa

from builders import rows
from builders.shards.unit import Layout, Member
from builders.sources.pairs import Pairs
from builders.sources.speech import open_speech
from builders.sources.speech_read import ReadUtterance
from builders.sources.speech_rows import SpeechFields
from builders.sources.text_instructions import CheckExchange, Names, open_text_instructions
from builders.speech.ask_instruction import AskInstruction
from builders.speech.chain import ChainSample, ChooseForm
from builders.speech.checks import AudioLimits, CheckAudio
from builders.speech.crossmodal import ChooseTask, ComposeTurn, DrawInstruction
from builders.speech.espeak import Espeak, find_voice
from builders.speech.extract import Extractor, HubertLayer, Mfcc
from builders.speech.fit_units import FitUnits
from builders.speech.hubert import find_hubert
from builders.speech.lengths import CheckLength, length_of
from builders.speech.openai_speech import AskSpeech, OpenAiSpeech
from builders.speech.pack import PackTurns
from builders.speech.speak import Part, SpeakText
from builders.speech.steps import HALVED, AddFeatures, CountFrames, HearSpeech, ToUnits
from builders.speech.templates import FORMS
from builders.speech.vits import Vits, find_vits
from builders.speech.vocabulary import FACTS, TENSORS, Vocabulary, find_vocabulary, load_vocabulary
from builders.step import Step
from pipelines.dag import Asking, Dag, Fitting, Stage
from schemas.errors import UserError
from schemas.speech import ApplyUnits, Audio, SpeechSource, fields_of
from schemas.speech_recipes import SpeechChainRecipe, SpeechCrossmodalRecipe, SpeechUnitsRecipe
from schemas.tts import EspeakTts, VitsTts

PACKAGES = ("soundfile", "soxr", "numpy", "kaldi-native-fbank", "scikit-learn")
"""Those whose versions decide samples, features and centres."""
MODEL_PACKAGES = ("torch", "transformers")
UTTERANCES = 256
"""Handed to a step at once: a HuBERT sorts them by length for its batches, and their features are held."""
ALL = 100_000
"""Records handed to a step at once: all of a unit."""
MOST_ASKING = 8
"""Units that wait for answers at once."""
PARTS = tuple(Part(name, f"_{name}_speech", f"{name}_") for name in ("instruction", "response"))
"""The texts of an exchange, and where their speech stands."""
SPEAKERS = {"espeak": ("espeakng-loader",), "vits": MODEL_PACKAGES, "openai": ()}
"""Packages whose versions decide how a text sounds."""
LISTED = ("task", "instruction", "audio_sha256", "text_sha256", "speaker", "license")
"""What the index tells of each turn of a sample."""

Models = dict[str, Path | tuple[Path, ...]]


def speech_units(recipe: SpeechUnitsRecipe) -> Dag:
    """The DAG that fits unit vocabularies. Raises UserError where the recipe names what is not there."""
    source, units = _utterances(recipe.source, recipe.output.unit), recipe.units
    extractor: Extractor = Mfcc(units.subtract_mean)
    models: Models = {}
    if units.features == "hubert":
        assert units.model is not None and units.layer is not None
        files = find_hubert(units.model, units.layer)
        extractor, models = HubertLayer(files), {"units.model": files.decisive}
    read, limits = ReadUtterance(source.folder, needs_text=False), _limits(recipe.audio)
    gpus = 1 if units.features == "hubert" else 0
    again = (
        Stage("speech", (read, CheckAudio(limits))),
        Stage("features", (AddFeatures(extractor),), gpus=gpus, batch=UTTERANCES),
    )
    return Dag(
        name=recipe.name or "speech_units",
        source=source,
        stages=(Stage("speech", (read, CheckAudio(limits, wave=False), CountFrames(extractor))),),
        layout=Layout(()),
        models=models,
        packages=_packages(extractor),
        fit=Fitting(FitUnits(extractor, units.ks, recipe.seed), again, Member("_features", "npy")),
    )


def speech_crossmodal(recipe: SpeechCrossmodalRecipe) -> Dag:
    """The DAG of turns to write down or to speak, packed. Raises UserError where the recipe names what is not there."""
    source, limits = _utterances(recipe.source, recipe.output.unit), _limits(recipe.audio)
    vocabulary, extractor, models = _vocabulary(recipe.units)
    read = (ReadUtterance(source.folder), CheckAudio(limits), ChooseTask(recipe.asr, recipe.seed))
    stages = [Stage("speech", read), _to_units(ToUnits(extractor, vocabulary))]
    told = ["task", "instruction", "text", "_units", "_durations", "seconds", "audio_sha256"]
    draw: tuple[Step, ...] = (DrawInstruction(recipe.seed),)
    asks = None
    if recipe.llm:
        llm, draw = recipe.llm, ()
        ask = AskInstruction(recipe.instructions, recipe.seed, llm.provider, llm.model, llm.parameters)
        asks = Asking(ask, llm, distinct=2 * recipe.instructions)
        stages.append(Stage("ask", (ask,), batch=ALL, cpus=0, at_once=MOST_ASKING))
        told += ["model", "request"]
    length = length_of(recipe.pack.tokenizer, vocabulary.k, "pack.tokenizer")
    if recipe.pack.tokenizer:
        models["pack.tokenizer"] = Path(recipe.pack.tokenizer)
    most = recipe.pack.max_length
    stages.append(Stage("turns", (*draw, ComposeTurn(recipe.style), CheckLength(length, most))))
    return Dag(
        name=recipe.name or "speech_crossmodal",
        source=source,
        stages=tuple(stages),
        pack=PackTurns(length, most, tuple(told), dict.fromkeys(LISTED, pa.string())),
        layout=Layout((Member("json", "json"),), (*_halved(extractor), "n_turns", "sample_length", "sample_room")),
        models=models,
        packages=_packages(extractor),
        asks=asks,
    )


def speech_chain(recipe: SpeechChainRecipe) -> Dag:
    """The DAG of chains of modality. Raises UserError where the recipe names what is not there."""
    given = recipe.source
    names = Names(**fields_of(given, but=("kind", "path", "limit")))
    source = open_text_instructions(given.path, recipe.output.unit, given.kind, names, given.limit)
    vocabulary, extractor, models = _vocabulary(recipe.units)
    check = Stage("texts", (CheckExchange(recipe.max_words),))
    speak, spoken_by, asks = _speaking(recipe)
    hear = Stage("speech", (HearSpeech({part.prefix: part.speech for part in PARTS}),))
    units = _to_units(ToUnits(extractor, vocabulary, [part.prefix for part in PARTS]))
    forms = ChooseForm({form: getattr(recipe.weights, form) for form in FORMS}, recipe.templates == "all", recipe.seed)
    added = [item for stage in (check, speak, hear, units) for step in stage.steps for item in step.adds.items()]
    texts = {part.column for part in PARTS}
    told = tuple(name for name, kind in added if rows.is_scalar(name, kind) and name not in texts)
    sample = ChainSample(told, vocabulary.spec.hz, recipe.style)
    return Dag(
        name=recipe.name or "speech_chain",
        source=source,
        stages=(check, speak, hear, units, Stage("samples", (forms, sample))),
        layout=Layout(
            (*(Member(part.speech, f"{part.column}.flac") for part in PARTS), Member("json", "json")),
            _halved(extractor),
        ),
        models=models | spoken_by,
        packages=tuple(dict.fromkeys((*_packages(extractor), *SPEAKERS[recipe.tts.kind]))),
        asks=asks,
    )


def _speaking(recipe: SpeechChainRecipe) -> tuple[Stage, Models, Asking | None]:
    """The stage in which the texts are spoken, the files of its model, and who is asked."""
    tts, seed = recipe.tts, recipe.seed
    if isinstance(tts, EspeakTts):
        for voice in tts.voices:
            find_voice(voice)
        return Stage("speak", (SpeakText(Espeak(tts.voices, tts.rate, tts.pitch), seed, PARTS),)), {}, None
    if isinstance(tts, VitsTts):
        folder, files = find_vits(tts.model)
        chance = (tts.noise_scale, tts.noise_scale_duration, tts.speaking_rate)
        engine = Vits(folder, files, tts.voices, tts.language, *chance)
        return Stage("speak", (SpeakText(engine, seed, PARTS),), gpus=1), {"tts.model": files}, None
    asked = OpenAiSpeech(tts.model, tts.voices, tts.provider, tts.language, tts.instructions, tts.speed)
    step = AskSpeech(asked, seed, PARTS)
    units = min(2 + math.ceil(3 * tts.concurrency / recipe.output.unit), MOST_ASKING)
    return Stage("speak", (step,), batch=ALL, cpus=0, at_once=units), {}, Asking(step, tts, per_input=len(PARTS))


def _utterances(source: SpeechSource, unit: int) -> Pairs:
    named = SpeechFields(**{field.name: getattr(source, field.name) for field in fields(SpeechFields)})
    return open_speech(source.path, source.kind, unit, source.limit, named)


def _limits(audio: Audio) -> AudioLimits:
    return AudioLimits(**fields_of(audio))


def _vocabulary(units: ApplyUnits) -> tuple[Vocabulary, Extractor, Models]:
    """The vocabulary, what makes the features that it was fitted on, and the files of both."""
    folder = find_vocabulary(units.vocabulary)
    vocabulary = load_vocabulary(str(folder))
    spec, models = vocabulary.spec, Models({"units.vocabulary": (folder / FACTS, folder / TENSORS)})
    if spec.features == "mfcc":
        if units.model is not None:
            raise UserError(f"units.model: {folder} is fitted on mfcc, so there is no model; leave it out")
        return vocabulary, Mfcc(spec.subtract_mean), models
    assert spec.model is not None and spec.layer is not None
    if units.model is None and "/" not in spec.model:
        raise UserError(
            f"units.model: is not given, but {folder} was fitted on a model in a folder {spec.model}; give that"
        )
    files = find_hubert(units.model or spec.model, spec.layer)
    found = files.spec()
    if spec.model_sha256 not in (None, found.model_sha256):
        raise UserError(
            f"units.model: {files.folder} is not the model that {folder} was fitted on (other digest); give that one"
        )
    if files.dimensions != vocabulary.dimensions:  # no digest is known of a vocabulary that was imported
        raise UserError(
            f"units.model: {files.folder} has {files.dimensions} dimensions, but {folder} {vocabulary.dimensions}; "
            "give the model that it was fitted on"
        )
    return vocabulary, HubertLayer(files), {**models, "units.model": files.decisive}


def _to_units(step: ToUnits) -> Stage:
    return Stage("units", (step,), gpus=0 if isinstance(step.extractor, Mfcc) else 1, batch=UTTERANCES)


def _halved(extractor: Extractor) -> tuple[str, ...]:
    return () if extractor.halved is None else (HALVED,)


def _packages(extractor: Extractor) -> tuple[str, ...]:
    return PACKAGES if isinstance(extractor, Mfcc) else (*PACKAGES, *MODEL_PACKAGES)
