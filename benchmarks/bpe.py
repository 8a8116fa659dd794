"""Our byte-pair encoding beside Hugging Face's `tokenizers`: the same merges, other speed.

Training, a first encoding, and one where ours has seen the words before, on the language
reference. Theirs is written in Rust, and also notes where in the text each token stands; ours
keeps every word that it has met, and most words come again.
"""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from bigmodel_lib.data.text import language_reference
from bigmodel_lib.models import bpe
from side_by_side import alternate, arguments, ratio, save, table

V = 1024
SECONDS = 8.0


def theirs(text: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=V, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def main() -> None:
    options = arguments(__doc__)
    text = language_reference()
    ours, oracle = bpe.train(text, V), theirs(text)
    assert len(ours.encode(text)) == len(oracle.encode(text).ids)
    merges = ours.merges
    jobs = {
        "training": (lambda: bpe.train(text, V), lambda: theirs(text)),
        "encoding, new words": (
            lambda: bpe.BytePairEncoding(merges).encode(text),
            lambda: oracle.encode(text),
        ),
        "encoding, known words": (lambda: ours.encode(text), lambda: oracle.encode(text)),
    }
    figures = {}
    for job, pair in jobs.items():
        candidates = dict(zip(("ours", "tokenizers"), pair, strict=True))
        times = alternate(candidates, seconds=SECONDS, device=torch.device("cpu"))
        figures[job] = {f"{name} s": min(values) for name, values in times.items()}
        figures[job]["ours / tokenizers"] = ratio(*times.values())["median"]
    rows = [[job, *(f"{value:.3g}" for value in row.values())] for job, row in figures.items()]
    print(table(["", *figures["training"]], rows))
    save(options.json, figures)


if __name__ == "__main__":
    main()
