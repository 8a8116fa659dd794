"""A training in a folder: plan, tokeniser, checkpoint; begun, continued, sampled from.

The folder holds `plan.json`, `tokenizer.json` and, after the first checkpoint,
`run.safetensors`. Killed at any moment, the training goes on from its last checkpoint to the
very weights that it would have reached undisturbed.
"""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE

from bigmodel_lib.data.text import bits_per_character
from bigmodel_lib.models.sampling import Sampler, cached_next_logits, generate
from bigmodel_lib.models.transformer import GPT, GPTConfig
from bigmodel_lib.train_gpt.plan import Plan
from bigmodel_lib.training.checkpoint import CheckpointError, load_tensors
from bigmodel_lib.training.run import Record
from bigmodel_lib.training.text import TextRun, text_nats


class ProjectError(CheckpointError):
    """A folder that cannot be used as asked; says what to do."""


class Project:
    """One GPT in a folder, from raw text to sampling.

    Args:
        folder: made if needed.
        text: to learn from; the same one whenever the training goes on.
        plan: of a new training; None goes on with the one in the folder.
        device: to train on.

    Raises:
        ProjectError: there is no plan, another plan or another text in the folder, or the text
            is too short for the plan.
    """

    def __init__(
        self, folder: Path, text: str, plan: Plan | None = None, device: torch.device | str = "cpu"
    ):
        self.folder = Path(folder)
        self.plan = self._agreed(plan)
        cut = int(len(text) * (1 - self.plan.held_out))
        self.train_text, self.test_text = text[:cut], text[cut:]
        self.tokenizer = self._tokenizer()
        self.text_hash = hashlib.sha256(text.encode()).hexdigest()
        self.run = self._run(torch.device(device))
        if self.checkpoint.exists():
            self._continue()

    @property
    def checkpoint(self) -> Path:
        """The file that the training goes on from."""
        return self.folder / "run.safetensors"

    @property
    def model(self) -> GPT:
        """The network as it is now."""
        return self.run.model

    def steps(self) -> Iterator[Record]:
        """The rest of the training, a record a step; writes a checkpoint every `save_every`."""
        while self.run.step < self.plan.steps:
            record = next(self.run)
            if record.step % self.plan.save_every == 0 or record.step == self.plan.steps:
                self.run.save(self.checkpoint, text=self.text_hash)
            yield record

    def measure(self, characters: int | None = None) -> float:
        """Bits a character of the held-out text, each token behind those before it.

        Args:
            characters: how many of them, from the beginning; None is all.
        """
        text = self.test_text[:characters]
        known = self.tokenizer.encode(self.train_text[-10 * self.plan.T :]).ids
        ids = torch.tensor(known + self.tokenizer.encode(text).ids, device=self.run.device)
        return bits_per_character(text_nats(self.model, ids, len(known), self.plan.T), text)

    def write(self, prompt: str, tokens: int, sampler: Sampler, seed: int = 0) -> str:
        """The prompt and its continuation.

        Args:
            prompt: at least one character.
            tokens: to write.
            sampler: how they are drawn.
            seed: of the draw.

        Raises:
            ValueError: an empty prompt.
        """
        ids = self.tokenizer.encode(prompt).ids
        if not ids:
            raise ValueError("need a prompt of at least one character, got none")
        start = torch.tensor([ids], device=self.run.device)
        draw = torch.Generator(self.run.device).manual_seed(seed)
        self.model.eval()
        drawn = generate(cached_next_logits(self.model), start, sampler, generator=draw)
        written = [int(token) for token in itertools.islice(drawn, tokens)]
        self.model.train()
        return self.tokenizer.decode(ids + written)

    # --- what is in the folder, and what is new

    def _agreed(self, plan: Plan | None) -> Plan:
        path = self.folder / "plan.json"
        if not path.exists():
            if plan is None:
                raise ProjectError(f"need a plan for a new training, {path} is not there")
            self.folder.mkdir(parents=True, exist_ok=True)
            plan.write(path)
            return plan
        kept = Plan.read(path)
        if plan not in (None, kept):
            raise ProjectError(f"{self.folder} holds another plan, {kept}: take another folder")
        return kept

    def _tokenizer(self) -> Tokenizer:
        """The folder's, or one learned now from the training text: bytes joined pair by pair."""
        path = self.folder / "tokenizer.json"
        if path.exists():
            return Tokenizer.from_file(str(path))
        tokenizer = Tokenizer(BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.plan.V,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(self.train_text.splitlines(keepends=True), trainer)
        part = path.with_suffix(".part")  # a kill while it is written leaves no half of it
        tokenizer.save(str(part))
        part.replace(path)
        return tokenizer

    def _run(self, device: torch.device) -> TextRun:
        plan = self.plan
        ids = torch.tensor(self.tokenizer.encode(self.train_text).ids)
        if len(ids) <= plan.T or not self.test_text:
            raise ProjectError(
                f"need a text with more than T={plan.T} tokens to train on and something held "
                f"out, got {len(ids)} tokens and {len(self.test_text)} characters"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            model = GPT(GPTConfig(plan.V, plan.T, plan.L, plan.D, plan.H), plan.dropout)
        return TextRun(
            model.to(device), ids, settings=plan.settings(), seed=plan.seed, keep_every=10_000
        )

    def _continue(self) -> None:
        _, facts = load_tensors(self.checkpoint)
        if facts.get("text") != self.text_hash:
            raise ProjectError(f"{self.checkpoint} was trained on another text than this one")
        self.run.load(self.checkpoint)
