"""`transformers serve`, somebody else's OpenAI-compatible server, with a tiny language model of random weights.

A tokenizer is trained on the spot on what gristmill's prompts say. Nothing is downloaded.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builders.instruct.prompting import OURS
from builders.torchvision_fix import complete_torchvision

TIME_OUT_S = 120
TOKENS = 512
ENDS = tuple(f"<|end {n}|>" for n in range(10))
"""Each ends an answer. All tokens are about equally likely."""
MOST_TOKENS = 48
"""Of answers of at most so many, 6 in 10 end by themselves: 1 - (1 - 10 / 512) ** 48."""
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end 0|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_RUN = (
    "from builders.torchvision_fix import complete_torchvision; complete_torchvision()\n"
    "from transformers.cli.transformers import app; app()"
)
"""The command `transformers` without its look for a newer version of itself."""
_RUNNING = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")


@dataclass(frozen=True)
class Server:
    """`log`: what it writes, a line for each request among it."""

    base_url: str
    log: Path

    @property
    def asked(self) -> int:
        """How many completions it was asked for so far."""
        return self.log.read_text(errors="replace").count('"POST /v1/chat/completions ')


def make_model(folder: Path) -> Path:
    """Write a Llama of 2 layers and its tokenizer, as `from_pretrained` reads them. It draws its words at random."""
    complete_torchvision()
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENS,
        special_tokens=["<|system|>", "<|user|>", "<|assistant|>", *ENDS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((file.read_text() for file in sorted(OURS.rglob("*.txt"))), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=ENDS[0], pad_token=ENDS[0])
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)

    ends = tokenizer.convert_tokens_to_ids(list(ENDS))
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=16_384,
        bos_token_id=None,
        eos_token_id=ends[0],
        pad_token_id=ends[0],
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(do_sample=True, eos_token_id=ends, pad_token_id=ends[0])
    model.save_pretrained(folder)
    return folder


@contextmanager
def serve(model: Path, log: Path) -> Iterator[Server]:
    """A server of the model in that folder alone, on a free port of this machine, once it is ready to answer."""
    command = [sys.executable, "-c", _RUN, "serve"]
    options = (str(model), "--host", "127.0.0.1", "--port", "0", "--device", "cpu", "--default-seed", "0")
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    with log.open("wb") as file:
        process = subprocess.Popen([*command, *options], stdout=file, stderr=file, env=os.environ | quiet)
    try:
        yield Server(_address(process, log) + "/v1", log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + TIME_OUT_S
    while not (found := _RUNNING.search(log.read_text(errors="replace"))):
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < end, f"no server after {TIME_OUT_S} s: {log.read_text(errors='replace')}"
        time.sleep(0.1)
    return found[1]
