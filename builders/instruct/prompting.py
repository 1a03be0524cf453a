"""The prompts that a language model is asked with, read from a folder in LLaVA's layout.

    {conversation,detail_description,complex_reasoning}/{system_message.txt,NNN_caps.txt,NNN_conv.txt}

A caps file is the context of an example and the conv file of the same number the answer that it deserves. What stands
in the files is sent as it is, down to the last byte.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builders.instruct.parse import Kind
from builders.llm.money import about_tokens
from schemas.errors import UserError

if TYPE_CHECKING:
    from builders.uri import Place

FOLDERS: Mapping[Kind, str] = {
    "conversation": "conversation",
    "detail": "detail_description",
    "complex": "complex_reasoning",
}
"""The folder of each kind of answer."""

OURS = Path(__file__).parent / "prompts"
"""The prompts that gristmill brings: two examples of a conversation, three each of the others, on the demo's photos."""

MAX_BYTES = 100_000
"""Of one file. Each is sent with every request of its kind, and ours have at most 2,400."""

_UNSHOWN_TOKENS = 250.0


@dataclass(frozen=True)
class Example:
    """A context, and an answer worth imitating."""

    context: str
    answer: str


@dataclass(frozen=True)
class Prompt:
    """What precedes the context that an answer is wanted for."""

    system: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Prompts:
    """The prompt of each kind, and the files that they were read from, in the order in which they are sent."""

    prompts: Mapping[Kind, Prompt]
    files: tuple[Place, ...]

    def messages(self, kind: Kind, context: str) -> list[dict[str, str]]:
        """A chat: the system message, each example as a question and its answer, the context as the last question."""
        prompt = self.prompts[kind]
        chat = [{"role": "system", "content": prompt.system}]
        for example in prompt.examples:
            chat.append({"role": "user", "content": example.context})
            chat.append({"role": "assistant", "content": example.answer})
        return [*chat, {"role": "user", "content": context}]

    def answer_tokens(self, kind: Kind) -> float:
        """How long an answer may be expected to be, in tokens: the examples' mean, about; 250 where there is none."""
        examples = self.prompts[kind].examples
        shown = sum(about_tokens(example.answer) for example in examples)
        return shown / len(examples) if examples else _UNSHOWN_TOKENS


def load_prompts(folder: Place, kinds: Collection[Kind] = tuple(FOLDERS)) -> Prompts:
    """The prompts in a folder for these kinds; other kinds' folders may be missing. Raises UserError."""
    if not folder.is_dir():
        raise UserError(f"prompts_dir: {folder} is not a folder")
    prompts: dict[Kind, Prompt] = {}
    files: list[Place] = []
    for kind, name in FOLDERS.items():
        if kind not in kinds:
            continue
        if not (folder / name).is_dir():
            raise UserError(f"prompts_dir: {folder} has no folder {name}; add it or set weights.{kind} to 0")
        paths = _paths(folder / name)
        system, *told = map(_text, paths)
        prompts[kind] = Prompt(system, tuple(map(Example, told[::2], told[1::2])))
        files += paths
    return Prompts(prompts, tuple(files))


def _paths(folder: Place) -> list[Place]:
    """The system message, then each example's two files by number. Raises UserError where one of them is missing."""
    paths = [folder / "system_message.txt"]
    names = {
        path.name.removesuffix(end)
        for end in ("_caps.txt", "_conv.txt")
        for path in folder.iterdir()
        if path.name.endswith(end)
    }
    for name in sorted((name for name in names if not name.startswith(".")), key=_place):
        paths += [folder / f"{name}_caps.txt", folder / f"{name}_conv.txt"]
    for path in paths:
        if not path.is_file():
            raise UserError(f"prompts_dir: {folder} has no file {path.name}{_wanted_by(path)}")
    return paths


def _place(name: str) -> tuple[bool, int, str]:
    """Numbers first, by what they count."""
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name


def _wanted_by(path: Place) -> str:
    """What a missing file belongs to, and the mend."""
    number, _, part = path.name.rpartition("_")
    if part == "caps.txt":
        return f": add the context that {number}_conv.txt answers, or take that file away"
    if part == "conv.txt":
        return f": add the answer to {number}_caps.txt, or take that file away"
    return ": add the instructions that open each request"


def _text(path: Place) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"prompts_dir: {path}: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise UserError(f"prompts_dir: {path}: larger than {MAX_BYTES:,} bytes, too long to send with every request")
    if not raw.strip():
        raise UserError(f"prompts_dir: {path}: empty")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"prompts_dir: {path}, byte {error.start}: not UTF-8; save it as UTF-8") from None
