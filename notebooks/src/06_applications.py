# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,nbgrader,slideshow,-all
#     notebook_metadata_filter: kernelspec,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6 Applications · 实际应用场景
#
# **The question:** the article lists what large models are used for: language, vision, speech. What does it take to build each of these, small but whole, and does it beat the cheap method that was there before?

# %% [markdown]
# **You will be able to** generate and translate text, and say what a bit per character is; recognise, draw and find digits in pictures; turn sound into words and words into sound; and choose for each the opponent that a result must be measured against.
#
# **It takes** two hours to read, about a minute to run on two cores, and under 1.2 GB of memory.

# %% [markdown]
# Eleven models, each with a baseline that could win. What trains for seconds trains here. What trains for minutes was trained once, from scratch and from a fixed seed, by `make models`; the chapter loads the small file, prints how it was made, and shows the first steps of making it anew. The last table puts all of them side by side.

# %%
import math
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from bigmodel_lib import plots
from bigmodel_lib.claims import claim
from bigmodel_lib.device import seed_everything

seed_everything(0)
torch.set_num_threads(1)  # small networks: a second thread costs more than it brings
board = {}  # each model's figure beside its baseline's, for the last table

# %% [markdown]
# ## 6.1 Natural language · 自然语言处理
#
# The article names three tasks: **text generation**, **machine translation** and **sentiment analysis**. Each gets a model here, and an opponent that costs next to nothing. A number means little until you know what counting, copying or compressing would have reached.
#
# ### Text generation · 文本生成
#
# A **language model** gives every possible next piece of text a probability. To write, it draws a piece, puts it behind the text, and asks itself again. First question: what is a piece?

# %% [markdown]
# Whole words are too many, and tomorrow brings a new one. Letters are few, but a text of them is long. **Byte-pair encoding** lies between: start with the 256 bytes; find the pair of neighbours that occurs most often; make it one **token**; repeat until the vocabulary holds $V$ tokens (Sennrich et al. 2016). The text is CPython's language reference, every paragraph once, its last tenth held out.

# %%
from tokenizers import Tokenizer, pre_tokenizers, trainers
from tokenizers import models as tokenizer_models

from bigmodel_lib.cached.language import LanguageGPT
from bigmodel_lib.data.text import (
    bits_per_character,
    compressed_bits,
    docstrings,
    language_reference,
    split_paragraphs,
)
from bigmodel_lib.models import bpe
from bigmodel_lib.models.ngram import KneserNey
from bigmodel_lib.models.sampling import (
    GREEDY,
    Sampler,
    beam_search,
    cached_next_logits,
    generate,
    next_logits,
)
from bigmodel_lib.training.muon import newton_schulz
from bigmodel_lib.training.text import token_nats
from bigmodel_lib.widgets import SamplerLab

# %%
text = language_reference()
train_text, test_text = split_paragraphs(text)
start = time.perf_counter()
learned = bpe.train(train_text, V=LanguageGPT.settings["config"]["V"])
ours_s = time.perf_counter() - start
print("the first merges:", [learned.tokens[256 + i].decode() for i in range(12)])
print("the last:", [token.decode(errors="replace") for token in learned.tokens[-8:]])
print([learned.decode([token]) for token in learned.encode("An unparenthesized expression")])

# %% [markdown]
# Ours is for reading. For work there is Hugging Face's `tokenizers`, written in Rust; it is also the oracle: from the same text it must learn the same vocabulary, and cut a text that neither has seen in the same places.

# %%
theirs = Tokenizer(tokenizer_models.BPE())
theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=learned.V, initial_alphabet=alphabet, show_progress=False)
start = time.perf_counter()
theirs.train_from_iterator([train_text], trainer)
theirs_s = time.perf_counter() - start
cuts = [end for _, end in theirs.encode(test_text).offsets]
lengths = torch.tensor([len(learned.tokens[token]) for token in learned.encode(test_text)])
different = len(set(cuts) ^ set(lengths.cumsum(0).tolist())) if test_text.isascii() else 0
claim("places where the two cut the held-out text differently", different, 0, 0)

# %% tags=["machine"]
print(f"to learn {learned.V} tokens: ours {ours_s:.2f} s, theirs {theirs_s:.2f} s")

# %% [markdown]
# #### The model · 模型
#
# The **GPT** is that of chapter 2, small. The reference alone would be too little to read: a network of this size soon knows it by heart, and learns no more that would hold elsewhere. So three quarters of what it reads is a second text that every Python has, the **docstrings** of the standard library, each once and without any paragraph of the reference.
#
# Training took long, so it was done once, and the weights lie in the package. The file says how it was made:

# %%
gpt, facts = LanguageGPT().load()
encoding = bpe.BytePairEncoding(facts.vocabulary)
print(f"{facts.parameters:,} parameters, {facts.seconds:.0f} s of training, torch {facts.torch}")
print(f"memory at the highest: {facts.peak_mib:.0f} MiB, Python and PyTorch included")
print(f"Python {facts.python}'s text; the same here: {facts.data == LanguageGPT().data_hash()}")
print(facts.settings["config"], facts.settings["training"])

# %%
further_text = docstrings()
print(f"characters to learn from: {len(train_text):,} and {len(further_text):,} of docstrings")


# %% [markdown]
# **Has it read the answers?** If whole phrases of the held-out part stood in what the GPT learned from, the test would be one of memory. How many of its runs of eight words do?

# %%
def runs(text: str, n: int = 8) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


asked = runs(test_text)
seen = asked & (runs(train_text) | runs(further_text))
claim("share of the held-out runs of eight words that it read", len(seen) / len(asked), high=0.02)

# %% [markdown]
# **Train it anew?** `make models NAME=language_gpt` does all of it. Here are the first steps, live: the same recipe, from random weights. The loss is $-\ln p$ of the next token, in *nats*; divided by $\ln 2$, it is in bits.

# %%
recipe = LanguageGPT()
torch.manual_seed(0)
fresh = recipe.run(recipe.make(facts.vocabulary), facts.vocabulary)
first = [record["loss"] for record in fresh.take(2)]
print("loss of the first steps, nats a token:", [round(loss, 2) for loss in first])
claim("at first all tokens are alike: loss over ln V", first[0] / math.log(encoding.V), 0.95, 1.05)

# %% [markdown]
# The recipe's optimiser is **Muon** (Jordan et al. 2024). The gradient $G$ of a matrix is mostly a few directions: its first *singular values*, the strengths of its directions, are many times the others. Muon brings them all near 1, so that a step also learns what is rare. It never computes them: five rounds of
#
# $$X \leftarrow aX + \bigl(bXX^\top + c(XX^\top)^2\bigr)X, \quad\text{from } X = G/\lVert G\rVert$$
#
# come close; $a, b, c$ are three numbers chosen for that.

# %%
G = fresh.model.blocks[0].mlp.wide.weight.grad  # (4D, D)
before, after = (torch.linalg.svdvals(matrix) for matrix in (G, newton_schulz(G)))
figure, ax = plt.subplots(figsize=(7, 2.8))
ax.semilogy(range(1, len(before) + 1), before / before[0], color=plots.ORANGE, label="gradient")
ax.semilogy(range(1, len(after) + 1), after / after[0], color=plots.BLUE, label="Muon's step")
ax.set(xlabel="direction", ylabel="strength over the first's", ylim=(5e-3, 1.5))
ax.legend(frameon=False)
alt = "Strengths of 192 directions: the gradient's fall to some hundredths, Muon's stay near 1."
plots.show(figure, alt=alt)

# %%
weak_before, weak_after = ((s < s[0] / 10).float().mean() for s in (before, after))
claim("share of directions under a tenth of the strongest: gradient", weak_before, low=0.5)
claim("the same in Muon's step", weak_after, high=0.2)

# %% [markdown]
# *In the picture:* the gradient's directions (orange) soon fall below a tenth of the first; in Muon's step (blue) nearly all count alike. The last direction has no gradient at all: the norm before this layer takes the mean out.

# %% [markdown]
# #### How good? Against counting and against zip files · 与压缩程序相比
#
# A model that gives the text probability $p$ could store it in $-\log_2 p$ bits (Shannon 1948). So **bits per character** compares models with different tokens, and a language model with a compressor.

# %% [markdown]
# The opponents:
#
# - a **5-gram** counts which letter followed the last four (interpolated Kneser-Ney, Chen & Goodman 1999);
# - **gzip** and **xz** find repeats; what counts is how much their file grows when the held-out text comes behind the training text;
# - **xz, docstrings too**, may look into the second text as well: as much as the GPT has read.
#
# **Predict:** who wins? And does xz gain much from the docstrings?

# %%
letters = {letter: number for number, letter in enumerate(sorted(set(text)))}
ids = [letters[letter] for letter in text]
five_gram = KneserNey(ids[: len(train_text)], 5, len(letters))
known, held_out = encoding.encode(train_text), encoding.encode(test_text)
tokens, T = torch.tensor(known + held_out), gpt.config.T
by_gpt = token_nats(gpt, tokens, len(known), T)  # (held-out tokens,)
rows = {
    "gzip": compressed_bits("gzip", test_text, train_text),
    "xz": compressed_bits("xz", test_text, train_text),
    "xz, docstrings too": compressed_bits("xz", test_text, further_text + train_text),
    "5-gram": bits_per_character(five_gram.nats(ids, len(train_text)), test_text),
    "GPT": bits_per_character(float(by_gpt.sum()), test_text),
}
plots.table({name: {"bits a character": value} for name, value in rows.items()})

# %%
best = min(rows["gzip"], rows["xz"], rows["5-gram"])
claim("GPT: bits a character less than the best of 5-gram, gzip and xz", best - rows["GPT"], low=0)
rival = rows["xz, docstrings too"]
board["language_gpt"] = "bits a character ↓", rows["GPT"], rival, "xz with the same texts"
claim("GPT: less than xz that was given the docstrings, too", rival - rows["GPT"], low=0)
claim("what the docstrings saved xz, bits a character", rows["xz"] - rival, low=0)

# %% [markdown]
# The GPT beats them all, xz with the same texts included. A compressor finds the *same* phrase again; that saves it something in docstrings, but a manual's sentences are seldom found there word for word. The network can use what is only *alike*: how English goes, how Python is written.

# %% [markdown]
# One advantage the compressors had: they go on learning from what they have just read. So can a network, by one step of training on each window that it has paid for (*dynamic evaluation*, Krause et al. 2018). On the first windows:

# %%
count = 10 * T
moving = token_nats(gpt, tokens[: len(known) + count], len(known), T, lr=5e-4)
saved = 1 - float(moving.sum() / by_gpt[:count].sum())
claim("learning as it reads: share of the bits saved", saved, low=0.002)

# %% [markdown]
# #### Decoding with a cache · 键值缓存
#
# Attention needs keys and values of all earlier tokens. They do not change, so a **KV cache** keeps them: each new token costs one position instead of all. It must not change a single choice.

# %%
prompt = torch.tensor([encoding.encode("The following is an")])


def write(source, steps: int = 60, sampler: Sampler = GREEDY, seed: int = 0) -> list[int]:
    drawn = generate(source(gpt), prompt, sampler, generator=torch.Generator().manual_seed(seed))
    return [int(token) for token, _step in zip(drawn, range(steps), strict=False)]


start = time.perf_counter()
plain = write(next_logits)
plain_s = time.perf_counter() - start
cached = write(cached_next_logits)
cached_s = time.perf_counter() - start - plain_s
claim(
    "greedy tokens that the cache changes, of 60",
    sum(a != b for a, b in zip(plain, cached, strict=True)),
    0,
    0,
)

# %% tags=["machine"]
print(f"60 tokens: {plain_s:.2f} s without, {cached_s:.2f} s with a cache")

# %% [markdown]
# #### From scores to text · 采样
#
# **Greedy** takes the most probable token each time. **Sampling** draws. The **temperature** divides the scores before the softmax: below 1 sharper, above 1 flatter. Filters cut the long tail of improbable tokens, each of which is rarely drawn but together often: **top-k** keeps $k$; **top-p** the fewest that hold probability $p$; **min-p** those at least min-p times as probable as the first. **Beam search** keeps several beginnings and looks for the most probable whole.
#
# **Predict:** which of these will repeat itself?

# %%
ways = {
    "greedy": GREEDY,
    "temperature 1": Sampler(),
    "temperature 2": Sampler(temperature=2),
    "top-k 10": Sampler(k=10),
    "top-p 0.8": Sampler(p=0.8),
    "min-p 0.1": Sampler(min_p=0.1),
}
written = {name: write(cached_next_logits, 40, sampler) for name, sampler in ways.items()}
beam = beam_search(next_logits(gpt), prompt[0], width=4, steps=40)[0]
written["beam of 4"] = list(beam.ids)
for name, ids in written.items():
    print(f"{name:>14} ▸ {' '.join(encoding.decode(ids).split())}")


# %%
def log_probability(ids: list[int]) -> float:
    whole = torch.cat((prompt[0], torch.tensor(ids)))
    return -float(token_nats(gpt, whole, prompt.shape[1], T).sum())


chosen = {name: log_probability(ids) for name, ids in written.items()}
claim(
    "beam's text over the greedy one, in log probability",
    chosen["beam of 4"] - chosen["greedy"],
    low=-5,
)
claim(
    "greedy over temperature 2, in log probability",
    chosen["greedy"] - chosen["temperature 2"],
    low=20,
)

# %%
drawn, likeliest = (len(set(written[name])) for name in ("temperature 1", "greedy"))
claim("different tokens at temperature 1 over those of greedy", drawn / likeliest, low=1.2)

# %% [markdown]
# The likeliest text is not the best one: greedy and beam run into phrases that repeat (Holtzman et al. 2020). Text that people write carries surprise, about as much as the model's own entropy.
#
# **Try it.** Your own prompt, at most 96 tokens:
#
# 1. *temperature* 0, then 3. What becomes of the entropy, and of the text?
# 2. *top-k* 5 behind `The`, then behind `import`. Where does a fixed number cut too much, where too little? Compare *top-p* 0.9.
# 3. *temperature* 3 with *min-p* 0.3.

# %%
SamplerLab(gpt, encoding, temperature=0.8, p=0.9)

# %% [markdown]
# *In the picture:* left, the likeliest next tokens, ␣ a space, ⏎ a new line. Grey is what the model says, blue what is drawn from; orange was cut. Right, three continuations behind ▸.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 1. At 0 the entropy is 0 and sampling is greedy; at 3 hundreds of tokens are nearly alike, and so is the text.
# 2. Where one token is nearly certain, five are too many; where dozens are possible, too few. Top-p follows the distribution.
# 3. Min-p keeps the flattened tail out: only tokens near the top survive, so the text holds longer.
#
# </details>

# %% [markdown]
# ### Machine translation · 机器翻译
#
# Number words, from English to Chinese and back. The truth is exact, and no word-by-word translation will do: English groups by thousands, Chinese by 万, ten thousands. *Twelve | thousand three hundred* is 一万 | 二千三百.
#
# An **encoder** reads the whole source; a **decoder** writes the target token by token, and at each step looks back into the source by **cross-attention** (Vaswani et al. 2017). One network does both directions: the first token says which.

# %%
from matplotlib.font_manager import FontProperties

from bigmodel_lib.cached.language import NumberTranslator
from bigmodel_lib.data import numbers
from bigmodel_lib.plots.fonts import font_for
from bigmodel_lib.training.translation import (
    TranslationMemory,
    draw_numbers,
    exact_match,
    text_translator,
)
from bigmodel_lib.widgets import TranslatorLab

translator, facts = NumberTranslator().load()
print(f"{facts.parameters:,} parameters; training: {facts.seconds:.0f} s, {facts.peak_mib:.0f} MiB")
seed_everything(0)
tested = draw_numbers(200, digits=7, held_out=True)
longer = [n for n in draw_numbers(400, digits=8, held_out=True) if n >= 10**7]
known_pairs = draw_numbers(1000, digits=7)
for n in tested[:4]:
    source = numbers.to_english(n)
    print(f"{n:>9,}  {source}  →  {text_translator(translator, 'zh')([source])[0]}")

# %% [markdown]
# One number in ten is **held out**: training never draws it. The opponent is a **translation memory**, as translators used before: find the most similar of 1,000 known sources, and take its target over. The measure is **exact match**: every sign right. **Predict:** numbers of one digit more than training ever showed?

# %%
table = {}
for to, name in (("zh", "to Chinese"), ("en", "to English")):
    ours, memory = text_translator(translator, to), TranslationMemory(known_pairs, to)
    table[name] = {
        "exact match": exact_match(ours, tested, to),
        "memory": exact_match(memory, tested[:60], to),
        "one digit longer": exact_match(ours, longer, to),
    }
plots.table(table)

# %%
row = table["to Chinese"]
board["number_translator"] = "exact match ↑", row["exact match"], row["memory"], "nearest known"
for name, row in table.items():
    claim(f"{name}: exact match on held-out numbers", row["exact match"], low=0.99)
    claim(f"{name}: ahead of the memory", row["exact match"] - row["memory"], low=0.5)
    claim(
        f"{name}: exact match, one digit longer than ever seen", row["one digit longer"], high=0.2
    )

# %% [markdown]
# Within seven digits it learned the rule. One digit beyond, it fails nearly always: nothing in training said how to go on there, and the network does not say that it does not know. What does it write?

# %%
for n in longer[:3]:
    source = numbers.to_english(n)
    print(
        source,
        "→",
        text_translator(translator, "zh")([source])[0],
        "· right:",
        numbers.to_chinese(n),
    )


# %% [markdown]
# **Beam search** keeps the four most probable beginnings instead of one. **Predict:** how many translations does it change, of numbers that the model knows well?

# %%
def by_beam(n: int) -> str:
    source = torch.tensor([numbers.encode(numbers.to_english(n))])
    first = torch.tensor([numbers.TO_CHINESE])
    with torch.no_grad():
        read = translator.next_logits(source)
    return numbers.decode(list(beam_search(read, first, 4, 40, end=numbers.END)[0].ids))


some = tested[:25]
greedy = text_translator(translator, "zh")([numbers.to_english(n) for n in some])
changed = sum(by_beam(n) != a for n, a in zip(some, greedy, strict=True))
claim("translations that a beam of 4 changes, of 25", changed, high=1)

# %% [markdown]
# Hardly any: where one token has nearly all the probability at each step, there is nothing to search. Beam pays where several wordings compete.
#
# **Where does it look?** The cross-attention of the last layer, mean over its heads:

# %%
n = 1_203_040
source = torch.tensor([numbers.encode(numbers.to_english(n))])
target = [numbers.TO_CHINESE, *numbers.encode(numbers.to_chinese(n))]
with torch.no_grad():
    _scores, looks = translator.decode(torch.tensor([target]), *translator.encode(source))
weights = looks[-1][0].mean(dim=0)  # (T, S): row t is where token t + 1 was looked for
names = [numbers.VOCABULARY[token] for token in source[0].tolist()]
written = [numbers.VOCABULARY[token] for token in target[1:]] + ["⟨end⟩"]

# %%
figure, ax = plt.subplots(figsize=(6, 4.2))
shown = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
font = FontProperties(family=font_for("".join(written)), size=10)
ax.set_xticks(range(len(names)), names, rotation=30, ha="right")
ax.set_yticks(range(len(written)), written, fontproperties=font)
ax.set(xlabel="source", ylabel="written, from top to bottom")
figure.colorbar(shown, label="attention weight")
alt = (
    "Attention from each Chinese sign to the English words of 1,203,040: 一 looks at one, 二 at "
    "two, 三 at three, 四 at forty; the unit signs look at hundred and thousand."
)
plots.show(figure, alt=alt)

# %%
looked = [names[i] for i in weights.argmax(dim=1).tolist()]
pairs = {"一": "one", "二": "two", "三": "three", "四": "forty"}
hits = sum(looked[written.index(sign)] == word for sign, word in pairs.items())
claim("digits that looked mostly at their own word, of 4", hits, low=3)

# %% [markdown]
# *In the picture:* each row is a sign being written, and the dark cell the word it was looked up in. Nobody told the model which word belongs to which sign: this **alignment** came out of translating (Bahdanau et al. 2015). The units 百, 十, 万 spread over several words, since their place depends on all of them.

# %% [markdown]
# **Try it:** your own number, in digits or words. (1) Set *tokens written* to 0 and press *next token*. (2) Find a number of eight digits that comes out right. (3) Look at single *heads*: do they share the work?

# %%
TranslatorLab(translator, text="1203040")

# %% [markdown]
# *In the picture:* left, the alignment so far; right, the candidates for the next token with their probabilities. The line below says whether the translation is right.

# %% [markdown]
# ### Sentiment analysis · 情感分析
#
# Is a review positive? The usual cheap answer is a **bag of words**: count each word, weigh the counts (logistic regression). It cannot know which word *not* belongs to. These reviews are composed, so that this decides: negation turns a word and halves it, *very* adds to it, and of two clauses the one behind *but* counts. Negation, intensity and adjective that stand together in the test stand together in no training review, though each word does.

# %%
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from torch import nn

from bigmodel_lib.data.sentiment import Clause, Review, reviews
from bigmodel_lib.data.words import Words
from bigmodel_lib.models.rnn import GRU
from bigmodel_lib.models.sequence import SequenceClassifier
from bigmodel_lib.training.classifier import ClassifierSettings, StreamRun

train_reviews, test_reviews = reviews(4000, held_out=False), reviews(1000, held_out=True)
train_texts, test_texts = ([r.text for r in part] for part in (train_reviews, test_reviews))
train_labels, test_labels = (
    torch.tensor([r.is_positive for r in part]).long() for part in (train_reviews, test_reviews)
)
for review in test_reviews[:5]:
    print(f"{'+' if review.is_positive else '−'}  {review.text}")

# %%
accuracy = {}
for n, name in ((1, "bag of words"), (2, "bag of words and pairs"), (3, "… and triples")):
    counts = CountVectorizer(ngram_range=(1, n), token_pattern=r"\S+")
    bag = make_pipeline(counts, LogisticRegression(max_iter=1000)).fit(train_texts, train_labels)
    accuracy[name] = {
        "training reviews": bag.score(train_texts, train_labels),
        "held-out combinations": bag.score(test_texts, test_labels),
    }


# %% [markdown]
# Our reader is a **GRU** (chapter 2): it takes the words in order, rewrites its state at each, and answers at the last one. It trains here, in a few seconds. **Predict:** pairs of words know *not good*. Will they help on new combinations?

# %%
def train_reader(words, texts, labels, steps: int, width: int = 32):
    torch.manual_seed(0)
    body = SequenceClassifier(GRU(width, width), width, C=2)
    net = nn.Sequential(nn.Embedding(words.V, width, padding_idx=0), body)

    def draw(count):
        index = torch.randint(len(texts), (count,))
        return words.encode([texts[i] for i in index.tolist()]), labels[index]

    settings = ClassifierSettings(lr=5e-3, batch_size=64)
    run = StreamRun(net, draw, settings=settings, keep_every=10_000)
    return net, list(run.take(steps))


def score(net, words, texts, labels) -> float:
    with torch.no_grad():
        return float((net(words.encode(texts)).argmax(dim=1) == labels).float().mean())


# %%
words = Words(train_texts)
start = time.process_time()
reader, records = train_reader(words, train_texts, train_labels, steps=400)
reader_s = time.process_time() - start
accuracy["GRU"] = {
    "training reviews": score(reader, words, train_texts, train_labels),
    "held-out combinations": score(reader, words, test_texts, test_labels),
}
plots.table(accuracy)

# %%
right = accuracy["GRU"]["held-out combinations"]
best_bag = max(accuracy[name]["held-out combinations"] for name in list(accuracy)[:3])
board["GRU, trained here"] = "share right ↑", right, best_bag, "best bag of words"
pairs = accuracy["bag of words and pairs"]["held-out combinations"]
claim("GRU, share right on held-out combinations", right, low=0.95)
claim("its lead over the best bag", right - best_bag, low=0.15)
claim("pairs of words: right on held-out combinations, less than a coin", pairs, high=0.5)

# %% [markdown]
# Pairs and triples do better on what they have seen, and worse than a coin on what they have not: where plain *very good* is held out, training showed *very good* behind *not* only, so the pair counts as blame. The GRU learned how the parts act, and applies it to parts in new company.
#
# One word at a time, what does it think?

# %%
clauses = Clause("the food", "not", "very", "good"), Clause("the view", "", "", "superb")
example = Review(*clauses, "but").text
parts = example.split()
with torch.no_grad():
    logits = [reader(words.encode([" ".join(parts[: i + 1])]))[0] for i in range(len(parts))]
lean = [float(s.softmax(dim=0)[1]) for s in logits]

# %%
figure, ax = plt.subplots(figsize=(8, 2.6))
colours = [plots.BLUE if p > 0.5 else plots.ORANGE for p in lean]
ax.bar(range(len(parts)), [p - 0.5 for p in lean], bottom=0.5, color=colours)
ax.axhline(0.5, color=plots.GREY, lw=1)
ax.set_xticks(range(len(parts)), parts, rotation=30, ha="right")
ax.set(ylim=(0, 1), ylabel="p(positive) so far")
alt = f"Bars of the probability of positive after each word of: {example}"
plots.show(figure, alt=alt)
claim("p(positive) at the end", lean[-1], low=0.8)

# %% [markdown]
# *In the picture:* the probability of "positive" after each word. It was trained on whole reviews only, so the early bars are guesses; the clause behind *but* has the last word.
#
# ### Real reviews · 真实影评
#
# SST-2 holds sentences of film critics (Socher et al. 2013). It is a download of 7 MB, so this cell only uses it where it is: `python -m bigmodel_lib --fetch sst-2` gets it.

# %%
from bigmodel_lib.data.catalogue import DATASETS
from bigmodel_lib.data.download import is_cached
from bigmodel_lib.data.sst2 import load_sst2

(archive,) = DATASETS["sst-2"]
if is_cached(archive):
    (texts, labels), (others, truth) = load_sst2("train"), load_sst2("test")
    labels, truth = torch.tensor(labels), torch.tensor(truth)
    bag = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=200)).fit(texts, labels)
    film_words = Words(texts, least=2)
    film_reader, _records = train_reader(film_words, texts, labels, steps=300, width=64)
    print(f"bag of words {bag.score(others, truth):.3f}")
    print(f"GRU, 300 steps {score(film_reader, film_words, others, truth):.3f}")
else:
    print("SST-2 is not here; the composed reviews above need no download.")

# %% [markdown]
# **Sources of 6.1.** Sennrich, Haddow & Birch 2016, [arXiv:1508.07909](https://arxiv.org/abs/1508.07909); Vaswani et al. 2017, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762); Jordan et al. 2024, *Muon*, [kellerjordan.github.io/posts/muon](https://kellerjordan.github.io/posts/muon/), and Liu et al. 2025, [arXiv:2502.16982](https://arxiv.org/abs/2502.16982); Krause et al. 2018, [arXiv:1709.07432](https://arxiv.org/abs/1709.07432); Holtzman et al. 2020, [arXiv:1904.09751](https://arxiv.org/abs/1904.09751); Bahdanau, Cho & Bengio 2015, [arXiv:1409.0473](https://arxiv.org/abs/1409.0473).
#
# **The code:** [models/bpe.py](../bigmodel_lib/models/bpe.py), [models/transformer.py](../bigmodel_lib/models/transformer.py), [training/muon.py](../bigmodel_lib/training/muon.py), [models/sampling.py](../bigmodel_lib/models/sampling.py), [models/translator.py](../bigmodel_lib/models/translator.py), [cached/language.py](../bigmodel_lib/cached/language.py).

# %% [markdown]
# ## 6.2 Computer vision · 计算机视觉
#
# Three tasks on one set of handwritten digits (Alpaydin & Kaynak 1998): say **which** digit an image shows (*recognition*), **draw** a wanted digit (*generation*), and find **which digits are where** in a picture of several (*detection*).
#
# The models were trained once, on one thread, from seeds; their files lie in the package, and `make models` makes them anew. `load` gives a model and its facts. *Peak memory* is the most that the process which trained it held, Python and PyTorch included:

# %%
from bigmodel_lib.cached import vision
from bigmodel_lib.data.digits import load_digits

train, test = load_digits("digits", "train"), load_digits("digits", "test")
kinds = (
    *(vision.RecogniserCNN, vision.RecogniserViT, vision.DigitDetector),
    *(vision.DigitGAN, vision.DigitVAE, vision.DigitDiffusion),
)
recipes = {kind.name: kind() for kind in kinds}
loaded = {name: recipe.load() for name, recipe in recipes.items()}
models = {name: model for name, (model, _facts) in loaded.items()}
fields = {"parameters": "parameters", "training, s": "seconds", "peak memory, MiB": "peak_mib"}
plots.table({
    name: {title: getattr(facts, field) for title, field in fields.items()}
    for name, (_model, facts) in loaded.items()
})  # fmt: skip
print("trained with torch", loaded["digit_cnn"][1].torch)

# %% [markdown]
# **Train one anew?** A few steps here show how it goes; set `steps` to `recipe.settings["steps"]` for the whole way. The rate of learning falls along a half cosine that ends at the last step.

# %%
steps = 20
recipe = recipes["digit_cnn"]
torch.manual_seed(recipe.settings["seed"])
fresh = recipe.make(None)
run = recipe.run(fresh, None)
records = [record["loss"] for _, record in zip(range(steps), recipe.steps(run), strict=False)]
progress = records[-1] / records[0]
claim("loss after 20 steps of training anew, over that of the first", progress, high=0.8)

# %% [markdown]
# ### Recognition · 图像识别
#
# A **convolutional network** (chapter 2) slides small filters over the image. A **Vision Transformer** (ViT; Dosovitskiy et al. 2020) cuts the image into 16 *patches* of 7 by 7 pixels and treats them as the words of a sentence: each patch looks at all others by attention (chapter 4). Both learned from 1,437 digits that were moved by up to three pixels at random, so that place does not matter.

# %% [markdown]
# **Predict.** Two methods without hidden layers: *k-nearest neighbours* takes the majority of the 3 most similar training images; *logistic regression* weighs each pixel for each digit. How far behind will they be?

# %%
from sklearn.neighbors import KNeighborsClassifier

from bigmodel_lib.data.digits import shrink


def accuracy(answers: torch.Tensor) -> float:
    return float((answers == test.labels).double().mean())


def pixels(images: torch.Tensor):
    return shrink(images).flatten(1).numpy()  # the 64 numbers that each image was made of


# %%
answers = {}
with torch.no_grad():
    for name, key in (("CNN", "digit_cnn"), ("Vision Transformer", "digit_vit")):
        answers[name] = models[key](test.images).argmax(dim=1)
for name, method in (
    ("3 nearest neighbours", KNeighborsClassifier(3)),
    ("logistic regression", LogisticRegression(max_iter=500)),
):
    method.fit(pixels(train.images), train.labels)
    answers[name] = torch.from_numpy(method.predict(pixels(test.images)))
right = {name: accuracy(answer) for name, answer in answers.items()}
plots.table({name: {"right, %": 100 * share} for name, share in right.items()})

# %%
claim("held-out digits that the CNN reads right", right["CNN"], low=0.98)
vit = right["Vision Transformer"]
claim("held-out digits that the Vision Transformer reads right", vit, low=0.98)
lead = right["CNN"] - right["logistic regression"]
claim("the CNN's lead over logistic regression", lead, low=0.0)
for name, key in (("CNN", "digit_cnn"), ("Vision Transformer", "digit_vit")):
    board[key] = "share right ↑", right[name], right["3 nearest neighbours"], "3 neighbours"

# %% [markdown]
# On digits this small and clean, the nearest neighbours are nearly as good as the networks: a strong, honest baseline. Networks pull ahead where pictures vary in ways that pixel distance does not forgive. Move each test digit two pixels to the right, and ask again:

# %%
moved = torch.roll(test.images, 2, dims=3)
moved[..., :2] = -1  # what came round the edge
shares = {}
with torch.no_grad():
    for name, key in (("CNN", "digit_cnn"), ("Vision Transformer", "digit_vit")):
        shares[name] = accuracy(models[key](moved).argmax(dim=1))
neighbours = KNeighborsClassifier(3).fit(pixels(train.images), train.labels)
shares["3 nearest neighbours"] = accuracy(torch.from_numpy(neighbours.predict(pixels(moved))))
plots.table({name: {"right when moved, %": 100 * share} for name, share in shares.items()})
claim(
    "the CNN's lead over nearest neighbours on moved digits",
    shares["CNN"] - shares["3 nearest neighbours"],
    low=0.01,
)

# %% [markdown]
# *In the picture:* every held-out digit that CNN or ViT got wrong; above each the truth, then what the CNN and the ViT say. Would you have read them?

# %%
wrong = (answers["CNN"] != test.labels) | (answers["Vision Transformer"] != test.labels)
rows = wrong.nonzero()[:12, 0].tolist()
figure, axes = plt.subplots(1, max(len(rows), 2), figsize=(1.1 * max(len(rows), 2), 1.7))
for ax, row in zip(axes, rows, strict=False):
    ax.imshow(test.images[row, 0], cmap="gray", vmin=-1, vmax=1)
    said = f"{answers['CNN'][row]}, {answers['Vision Transformer'][row]}"
    ax.set_title(f"is {test.labels[row]}\n{said}", fontsize=9)
for ax in axes:
    ax.set_axis_off()
alt = f"{len(rows)} digits that at least one of the networks misread, most of unusual shape."
plots.show(figure, alt=alt)

# %% [markdown]
# ### Generation · 图像生成
#
# Three ways to draw a wanted digit from noise:
#
# - the conditional **GAN** of chapter 5: noise and label, one pass;
# - a conditional **VAE** (chapter 2): a random code and the label go through the decoder, one pass;
# - **diffusion** (chapter 3): begin with pure noise, and take many small steps back, each by a network that predicts the noise from the picture $x_t$, the time $t$ and the label.
#
# The diffusion works on the digits' own 8 by 8 pixels, and its results are enlarged as the digits were.

# %% [markdown]
# A picture at time $t$ is a mixture, $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$: $x_0$ the digit, $\varepsilon$ the noise, $\bar\alpha_t$ the share of the digit's variance that is left (Ho et al. 2020, eq. 4).

# %% [markdown]
# From the predicted noise follows a guess $\hat x_0$; a step mixes it anew, with less noise, for an earlier time $s$:
#
# $$x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s-\sigma^2}\;\varepsilon_\theta + \sigma z$$
#
# $\varepsilon_\theta$ is the network's answer, $z$ fresh noise, and $\sigma$ grows with $\eta$ (Song et al. 2021, eq. 12). $\eta = 1$ is **DDPM**, $\eta = 0$ **DDIM**, which draws nothing anew and can take large steps.

# %%
from bigmodel_lib.metrics import GeneratorJudge, frechet_distance
from bigmodel_lib.widgets import DenoisingLab

labels = torch.arange(10).repeat(30)
judge = GeneratorJudge(train, test)
drawn, seconds = {}, {}
for name, key, how in (
    ("GAN", "digit_gan", {}),
    ("VAE", "digit_vae", {}),
    ("diffusion, 50 steps", "digit_diffusion", {"steps": 50}),
):
    start = time.process_time()
    drawn[name] = recipes[key].draw(models[key], labels, **how)
    seconds[name] = time.process_time() - start
reports = {name: judge(images) for name, images in drawn.items()}
reports["real, held out"] = judge(test.images)

# %% [markdown]
# **Predict.** Which of the three is best, by which measure? The judge is a classifier (chapter 5): *Fréchet distance* in its feature space (0: like the training data), *precision* (do images look real?), *recall* (is every kind of real image there?), *as wanted* (does the classifier read the digit that was asked for?).

# %%
wanted = {
    name: float((judge.look(images)[1].argmax(dim=1) == labels).double().mean())
    for name, images in drawn.items()
}
read = judge.look(test.images)[1].argmax(dim=1)
wanted["real, held out"] = float((read == test.labels).double().mean())

# %%
plots.table({
    name: {
        "Fréchet distance": report.frechet,
        "precision": report.precision,
        "recall": report.recall,
        "as wanted": wanted[name],
        "novelty": report.novelty if name in drawn else "–",
    }
    for name, report in reports.items()
})  # fmt: skip

# %%
share = wanted["diffusion, 50 steps"]
claim("share of diffusion's digits that are read as wanted", share, low=0.95)
gan, diffusion = reports["GAN"], reports["diffusion, 50 steps"]
claim("precision of diffusion minus the GAN's", diffusion.precision - gan.precision, low=0.0)
claim("Fréchet distance of the GAN over diffusion's", gan.frechet / diffusion.frechet, high=0.8)
claim("novelty of diffusion (1: no copying)", diffusion.novelty, high=0.9)
real = reports["real, held out"].frechet
for name, key in (("GAN", "digit_gan"), ("VAE", "digit_vae")):
    board[key] = "Fréchet distance ↓", reports[name].frechet, real, "real digits"
board["digit_diffusion"] = "Fréchet distance ↓", diffusion.frechet, real, "real digits"

# %% [markdown]
# No model wins everywhere. Diffusion's digits are the surest to be what was asked for, and most of them pass for real; but they lie nearer to the images it learned from than chance would have it (*novelty* below 1), so in part it copies. The GAN comes closest in Fréchet distance, which compares mean and spread of the features: a small shift of all images counts there, and precision forgives it. One number is not enough.

# %% [markdown]
# *In the picture:* three drawings of each digit by each model. The VAE's are blurred, as its decoder must serve all codes near a place, and draws their mean; the other two are sharper.

# %%
figure, axes = plt.subplots(1, 3, figsize=(15, 2.1))
for ax, (name, images) in zip(axes, drawn.items(), strict=True):
    plots.image_grid(images[:30], columns=10, title=name, ax=ax)
alt = "Three panels, each with three rows of the digits 0 to 9, by GAN, VAE and diffusion."
plots.show(figure, alt=alt)


# %% [markdown]
# #### Quality against steps · 质量与步数
#
# **Predict.** Diffusion was trained for 200 small steps, and can take few large ones. With fresh noise in each step (DDPM) or without (DDIM): which suffers more when steps are few?

# %%
def distance(steps: int, eta: float) -> float:
    images = recipes["digit_diffusion"].draw(
        models["digit_diffusion"], labels, steps=steps, eta=eta
    )
    return frechet_distance(judge.real_features, judge.look(images)[0])


counts = (1, 2, 5, 10, 20, 50)
curves = {
    name: [distance(steps, eta) for steps in counts]
    for name, eta in (("DDIM, η = 0", 0.0), ("DDPM, η = 1", 1.0))
}

# %%
figure, ax = plt.subplots(figsize=(7, 3.4))
for (name, values), colour in zip(curves.items(), (plots.BLUE, plots.ORANGE), strict=True):
    ax.plot(counts, values, "o-", color=colour, label=name)
for name, dash in (("GAN", "--"), ("VAE", ":"), ("real, held out", "-")):
    ax.axhline(reports[name].frechet, color=plots.GREY, ls=dash, lw=1.5, label=name)
ax.set(xscale="log", yscale="log", xlabel="steps", ylabel="Fréchet distance")
ax.set_xticks(counts, map(str, counts))
ax.minorticks_off()
ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
alt = (
    "Fréchet distance against steps, both on log axes: both samplers fall steeply in the first "
    "steps and flatten; horizontal lines for GAN, VAE and real held-out digits."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* lower is better. The first steps buy most; after some tens, more steps bring little or nothing. Each step is one pass through the network, so time grows with their number, while GAN and VAE need a single pass. Fresh noise helps our small network a little at any number of steps; with large networks on photographs, DDIM is ahead where steps are few (Song et al. 2021, section 5).

# %%
ddim, ddpm = curves.values()
claim("DDIM's distance in 1 step over that in 20 steps", ddim[0] / ddim[4], low=3)
claim("DDIM's distance in 20 steps over that in 50", ddim[4] / ddim[5], 0.5, 2.0)
claim("DDPM's distance over DDIM's, in 20 steps", ddpm[4] / ddim[4], 0.4, 1.05)

# %% tags=["machine"]
plots.table({name: {"ms per image": 1000 * value / len(labels)} for name, value in seconds.items()})

# %% [markdown]
# #### From noise to digit · 从噪声到数字
#
# **Try, and predict first:**
#
# 1. Walk *look at step* from 0 to 100 %. When does the lower row first show the digit, and when the upper one?
# 2. One step only. What does the network draw when it must guess the digit from pure noise?
# 3. $\eta$ from 0 to 1 with the same seed: the start is the same. Is the end?

# %%
DenoisingLab()

# %% [markdown]
# *In the picture:* above, one drawing on its way; below, what the network takes to be behind it; at the bottom, twelve drawings at the step looked at.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 1. The guess settles early, from a blur to a digit; the picture itself clears up late.
# 2. Black and white squares: pure noise holds almost nothing of a digit, so the guess divides the network's small error by a number near 0, and is cut off at black and white. A second step mends most of it.
# 3. No: fresh noise leads each drawing elsewhere.
#
# </details>

# %% [markdown]
# ### Detection · 目标检测
#
# A *scene* holds one to six digits of different sizes, which may overlap. Because we compose it, we know the exact *box* of each: left, top, right, bottom of its ink, in pixels. Training scenes are made of training digits, test scenes of test digits.
#
# *In the picture:* test scenes with their true boxes.

# %%
from bigmodel_lib.data.scenes import FRAMES, held_out_scenes, make_scene, stacked
from bigmodel_lib.detection import average_precision, by_components, matches
from bigmodel_lib.models.boxes import iou, non_maximum_suppression
from bigmodel_lib.models.detector import candidates, decode, detect
from bigmodel_lib.widgets import DetectorLab

scenes = held_out_scenes()


def frame(ax, boxes, names, colour):
    for (left, top, right, bottom), name in zip(boxes.tolist(), names, strict=True):
        ax.add_patch(plt.Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour))
        ax.text(left + 0.5, top + 0.5, name, color=colour, va="top", fontsize=8, weight="bold")


def show_scenes(boxes_of, alt: str) -> None:
    figure, axes = plt.subplots(1, 5, figsize=(11, 2.3))
    for ax, scene in zip(axes, scenes, strict=False):
        ax.imshow(scene.image[0], cmap="gray", vmin=-1, vmax=1, extent=(0, 64, 64, 0))
        for boxes, names, colour in boxes_of(scene):
            frame(ax, boxes, names, colour)
        ax.set_axis_off()
    plots.show(figure, alt=alt)


# %%
GOLD, SKY = "#E69F00", "#56B4E9"
show_scenes(
    lambda scene: [(scene.boxes, map(str, scene.labels.tolist()), GOLD)],
    "Five black squares with one to six white digits of several sizes, some overlapping, each "
    "in a box with its number.",
)

# %% [markdown]
# The detector looks once at the whole picture and answers at each cell of a grid of 16 by 16 (CenterNet, Zhou et al. 2019; FCOS, Tian et al. 2019):
#
# - for each of the 10 digits, the probability that one is **centred** here;
# - the **offset** of the centre from the cell's middle, and the **size** of the box.

# %% [markdown]
# No box shapes are given in advance, hence *anchor-free*. Nearly all cells are empty; the **focal loss** keeps them from drowning the few others: with $p$ the probability of the truth, $-(1-p)^2 \log p$ hardly counts what is already certain (Lin et al. 2017).

# %%
detector = models["digit_detector"]
with torch.no_grad():
    boxes, probabilities = decode(detector(stacked(scenes[:1])))  # (1, 256, 4), (1, 256, 10)
heat = probabilities[0].max(dim=1).values.view(16, 16)
cells = candidates(boxes[0], probabilities[0], score=0.1)
kept = non_maximum_suppression(cells.boxes, cells.scores, 0.5)

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2))
axes[0].imshow(heat, cmap="viridis", vmin=0, vmax=1)
for ax, chosen in ((axes[1], torch.arange(len(cells.scores))), (axes[2], kept)):
    ax.imshow(scenes[0].image[0], cmap="gray", vmin=-1, vmax=1, extent=(0, 64, 64, 0))
    frame(ax, cells.boxes[chosen], map(str, cells.labels[chosen].tolist()), SKY)
titles = ("best class at each cell", f"{len(cells.scores)} boxes", f"{len(kept)} after suppression")
for ax, title in zip(axes, titles, strict=True):
    ax.set_title(title)
    ax.set_axis_off()
alt = (
    "Left a grid of 16 by 16 cells with bright spots at the centres of digits; middle the scene "
    "with several boxes on each digit; right one box on each."
)
plots.show(figure, alt=alt)


# %% [markdown]
# *In the picture:* left, how sure the detector is at each cell (bright: sure). Middle: around a centre, several cells claim the same digit. Right: **non-maximum suppression** has kept the best.
#
# How much two boxes overlap is their *intersection over union*, $\mathrm{IoU} = |A \cap B| / |A \cup B|$. Suppression keeps the box with the best score, drops all that overlap it by more than a limit, and goes on with what is left. As a plain loop:

# %%
def plain_suppression(boxes, scores, most):
    left, kept = list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda i: scores[i])
        kept.append(best)
        overlaps = iou(boxes[best : best + 1], boxes)[0]
        left = [i for i in left if i != best and overlaps[i] <= most]
    return kept


everything = candidates(boxes[0], probabilities[0], score=0.001)
by_loop = plain_suppression(everything.boxes, everything.scores, 0.5)
by_library = non_maximum_suppression(everything.boxes, everything.scores, 0.5).tolist()
claim("boxes that loop and library keep alike", float(by_loop == by_library), 1, 1)

# %% [markdown]
# **How good is it?** A box is right if its digit is, and its IoU with a true box that no better one has taken is at least 0.5. Sort all boxes by score: going down, *recall* (share of the digits found) grows and *precision* (share of the boxes that are right) falls. **Average precision** (AP) is the area below that curve, the mean over the ten digits. AP at 0.5:0.95 is the mean over ten ever stricter limits. Both come from `pycocotools`, the evaluator of the COCO benchmark.

# %% [markdown]
# The baseline is the way of old: each connected patch of ink is a digit, which a classifier reads.
#
# **Predict.** Where will the baseline fail?

# %%
found = {
    "detector": detect(detector, stacked(scenes)),
    "patches of ink + CNN": [by_components(scene, models["digit_cnn"]) for scene in scenes],
}
average = {name: average_precision(scenes, boxes) for name, boxes in found.items()}
plots.table({name: {"AP at 0.5": a.ap50, "AP at 0.5:0.95": a.ap} for name, a in average.items()})

# %%
ours, patches = average["detector"], average["patches of ink + CNN"]
board["digit_detector"] = "average precision ↑", ours.ap50, patches.ap50, "patches of ink"
claim("the detector's average precision at 0.5", ours.ap50, low=0.9)
claim("the detector's average precision at 0.5:0.95", ours.ap, low=0.7)
claim("the detector's lead over patches of ink, at 0.5", ours.ap50 - patches.ap50, low=0.3)


# %%
def share_found(boxes, crowded: bool) -> float:
    chosen = [i for i, scene in enumerate(scenes) if (len(scene.labels) >= 5) == crowded]
    hits = sum(int(matches(scenes[i], boxes[i]).sum()) for i in chosen)
    return hits / sum(len(scenes[i].labels) for i in chosen)


plots.table(
    {
        name: {
            "found, 1 to 4 digits": share_found(boxes, False),
            "found, 5 or 6 digits": share_found(boxes, True),
        }
        for name, boxes in found.items()
    }
)


# %% [markdown]
# Where digits touch, their ink is one patch, and the baseline takes it for one digit. *In the picture:* what the detector finds (blue, score at least 0.3) and what the patches give (gold).

# %%
def both(scene):
    place = next(i for i, other in enumerate(scenes) if other is scene)
    for name, colour in (("patches of ink + CNN", GOLD), ("detector", SKY)):
        each = found[name][place]
        sure = each.scores >= 0.3
        yield each.boxes[sure], map(str, each.labels[sure].tolist()), colour


show_scenes(
    both,
    "The five scenes again: blue boxes frame each digit, gold boxes whole groups that touch.",
)

# %% [markdown]
# **Try, and predict first:**
#
# 1. Move the score threshold up and down: which way does the point travel on the curve, and why?
# 2. Suppress never (IoU 1). Which falls, precision or recall?
# 3. Suppress at every touch (IoU 0), in a scene of six. What is lost now?
# 4. Six digits: make all frames as small as possible, then all as large as possible. Which is harder?

# %%
DetectorLab()

# %% [markdown]
# *In the picture:* left, the scene with what is found: digit and score; blue boxes are right, orange ones wrong. Right, precision against recall over 60 held-out scenes, and where the present threshold stands on it.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 1. Lower: to the right and down. More digits are found, and more boxes are wrong.
# 2. Precision: the second and third box on one digit count as wrong.
# 3. Recall: neighbours that overlap suppress each other.
# 4. Large ones: six of them have no room, and hide each other. The next cell measures it.
#
# </details>

# %%
by_size = {}
for side in FRAMES:
    crowd = [make_scene(test, seed, count=6, frames=(side, side)) for seed in range(30)]
    by_size[side] = average_precision(crowd, detect(detector, stacked(crowd))).ap50
small, large = by_size.values()
claim("average precision of six small digits minus that of six large ones", small - large, low=0)

# %% [markdown]
# **Sources of 6.2.** Dosovitskiy et al. 2020, *An Image is Worth 16x16 Words*, [arXiv:2010.11929](https://arxiv.org/abs/2010.11929); Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv:2006.11239](https://arxiv.org/abs/2006.11239); Song, Meng & Ermon 2021, *Denoising Diffusion Implicit Models*, [arXiv:2010.02502](https://arxiv.org/abs/2010.02502); Lin et al. 2017, *Focal Loss*, [arXiv:1708.02002](https://arxiv.org/abs/1708.02002); Zhou, Wang & Krähenbühl 2019, *Objects as Points*, [arXiv:1904.07850](https://arxiv.org/abs/1904.07850); Tian et al. 2019, *FCOS*, [arXiv:1904.01355](https://arxiv.org/abs/1904.01355); Lin et al. 2014, *Microsoft COCO*, [arXiv:1405.0312](https://arxiv.org/abs/1405.0312).
#
# **The code:** [data/scenes.py](../bigmodel_lib/data/scenes.py), [models/detector.py](../bigmodel_lib/models/detector.py), [models/boxes.py](../bigmodel_lib/models/boxes.py), [detection.py](../bigmodel_lib/detection.py), [models/vit.py](../bigmodel_lib/models/vit.py), [models/denoiser.py](../bigmodel_lib/models/denoiser.py), [cached/vision.py](../bigmodel_lib/cached/vision.py).

# %% [markdown]
# ## 6.3 Speech · 语音识别
#
# The article names three tasks: signal processing, synthesis (text to speech) and recognition (speech to text). We build all three for the ten digits, from the first sine to a word error rate, and let the recogniser judge the synthesis.
#
# ### Signal processing: sampling · 语音信号处理：采样
#
# Sound is air pressure, measured `rate` times a second. **Predict.** A tone of 5,000 Hz, measured 8,000 times a second: what does one hear?

# %%
from bigmodel_lib.data.voice import RATE

t = torch.arange(RATE // 2) / RATE  # half a second
high, low = (torch.cos(2 * math.pi * f * t) for f in (5000, 3000))
claim(
    "largest difference between samples of 5,000 Hz and 3,000 Hz",
    (high - low).abs().max(),
    high=1e-2,
)

# %% [markdown]
# A tone of 3,000 Hz: at these moments both waves have the same values. This is *aliasing*. Only frequencies below half the rate, the *Nyquist frequency* (Shannon 1949), survive sampling; so a recorder filters out all above it first. Telephones sample at 8,000 Hz, and so do we.

# %% [markdown]
# ### Frames and windows · 分帧与加窗
#
# Speech changes all the time, so we look at *frames* of $M = 256$ samples (32 ms), one every $h = 80$ (10 ms). Cutting a frame out bluntly makes edges, and edges sound like noise; the **Hann window** $w_j = \frac12 - \frac12\cos(2\pi j/M)$ fades in and out:
#
# $$X(i, k) = \sum_{j=0}^{M-1} w_j\, x_{ih + j - M/2}\, e^{-2\pi \mathrm{i} jk/M}$$
#
# with $x$ the samples, $i$ the frame, $k$ the frequency bin, $k \cdot \text{rate}/M$ Hz.

# %%
from scipy import signal

from bigmodel_lib import audio
from bigmodel_lib.training.speech import HOP, M

chirp = torch.sin(2 * math.pi * (300 * t + 1200 * t**2)).double()
i, j = 20, torch.arange(M)
frame = chirp[i * HOP - M // 2 : i * HOP + M // 2] * audio.hann(M)
by_hand = (frame * torch.exp(-2j * math.pi * torch.arange(M // 2 + 1)[:, None] * j / M)).sum(dim=1)
ours = audio.stft(chirp, M, HOP)
scipys = signal.ShortTimeFFT(signal.windows.hann(M, sym=False), HOP, RATE, phase_shift=None)
theirs = scipys.stft(chirp.numpy(), p0=0, p1=len(ours)).T
claim("largest difference, formula and library", (by_hand - ours[i]).abs().max(), high=1e-3)
claim("largest difference, library and SciPy", np.abs(ours.numpy() - theirs).max(), high=1e-3)

# %% [markdown]
# **Back again.** Give each frame its window once more, add the overlapping frames, divide by the sum of the squared windows: the sound is there again (Griffin & Lim 1984, eq. 6).

# %%
back = audio.istft(ours, M, HOP, len(chirp))
claim("largest difference after there and back", (back - chirp).abs().max(), high=1e-4)

# %% [markdown]
# ### The mel scale · 梅尔刻度
#
# The ear tells 200 Hz from 250 Hz easily, 3,200 from 3,250 hardly. The *mel* scale says how high a tone sounds: $\operatorname{mel}(f) = 2595\,\log_{10}(1 + f/700)$ (the formula of the toolkit HTK). We sum the power in 40 triangular bands, equally wide in mel, and take the logarithm, as loudness goes by ratios, too.

# %%
from bigmodel_lib.training.speech import BANDS

filters = audio.mel_filters(BANDS, M, RATE)
bins = (filters > 0).sum(dim=1).tolist()
print(f"frequency bins in the lowest band: {bins[0]}, in the highest: {bins[-1]}")
figure, ax = plt.subplots(figsize=(8, 2.2))
ax.plot(torch.arange(M // 2 + 1) * RATE / M, filters[::4].T, lw=1.2)
ax.set(xlabel="frequency, Hz", ylabel="weight", xlim=(0, RATE / 2), ylim=(0, 1.05))
plots.show(
    figure, alt="Ten triangles between 0 and 4,000 Hz, narrow at the left, wide at the right."
)

# %% [markdown]
# *In the picture:* every fourth of the 40 bands: narrow on the left, wide on the right; fine where the ear is fine.

# %% [markdown]
# ### A voice from a source and filters · 声源与滤波器
#
# The vocal folds **buzz**, which makes a row of harmonics of the pitch; breath in a narrow place **hisses**. Mouth and throat are a **filter**: they resonate at the *formants* $F_1, F_2, \ldots$, and where the tongue is decides which vowel one hears. One formant of frequency $F$ and width $W$ is two multiplications a sample (Klatt 1980):
#
# $$y_n = A x_n + B y_{n-1} + C y_{n-2},\quad C = -e^{-2\pi W/\text{rate}},\quad B = 2e^{-\pi W/\text{rate}}\cos\tfrac{2\pi F}{\text{rate}},\quad A = 1 - B - C$$

# %%
from IPython.display import Audio, display

from bigmodel_lib.data.voice import Line, Speaker, resonator, speak
from bigmodel_lib.training.speech import batch
from bigmodel_lib.widgets import SpectrogramLab

A, B, C = resonator(np.array(700.0), np.array(80.0))
impulse = np.zeros(400)
impulse[0], y = 1, np.zeros(402)
for n, x_n in enumerate(impulse):
    y[n] = A * x_n + B * y[n - 1] + C * y[n - 2]  # y[-1] and y[-2] are still 0
rings = np.abs(np.fft.rfft(y, 8000)).argmax()
claim("a formant of 700 Hz rings loudest at, Hz", float(rings), 690, 705)

# %% [markdown]
# Formants of vowels and strengths of hisses are from the literature (Peterson & Barney 1952; Klatt 1980), durations are ours. A speaker is three numbers: pitch, a factor on the formants (short throats have higher ones), and breath. The voice knows when it says what: exact labels for training.

# %%
people = {
    "low": Speaker(pitch=105, tract=0.97),
    "high": Speaker(pitch=215, tract=1.17, breath=0.3),
}
said = dict(zip(people, speak([Line("270", who, seed=5) for who in people.values()]), strict=True))
for name, utterance in said.items():
    print(f"{name}: two, seven, zero")
    display(Audio(utterance.sound, rate=RATE))

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.8), sharey=True)
for ax, (name, utterance) in zip(axes, said.items(), strict=True):
    mel = batch([utterance.sound]).mel()[0]
    seconds = len(utterance.sound) / RATE
    shown = {"origin": "lower", "aspect": "auto", "cmap": "magma", "vmin": -14}
    ax.imshow(mel.T, extent=(0, seconds, 0, BANDS), **shown)
    for digit, (start, end) in zip(utterance.line.digits, utterance.words, strict=True):
        ax.axvline(start / RATE, color="white", lw=0.8)
        ax.text((start + end) / 2 / RATE, BANDS + 0.7, digit, ha="center")
    ax.set(xlabel=f"time, s ({name} voice)")
axes[0].set_ylabel("mel band")
plots.show(figure, alt="Two spectrograms of two, seven, zero: bands of formants that bend.")

# %% [markdown]
# *In the picture:* level stripes at the bottom are harmonics, further apart in the high voice; the broad bands above are formants, which bend as the tongue moves; the patches at the top without stripes are hisses (the *t* of two, the *s* of seven).

# %% [markdown]
# **Try it yourself, and predict first:** a window of 64 samples, then of 1,024: which shows the harmonics, which the single pulses of a low voice? At what noise does the recogniser (which we build below) fail? A WAV file of your own voice works, too: mono, 8,000 Hz.

# %%
lab = SpectrogramLab(digits="2024")
lab

# %% [markdown]
# *In the picture:* the waveform with the words' true borders, the spectrogram, and its mel bands. The line below says what the recogniser hears.
#
# <details><summary>What you should see</summary>
#
# A long window separates harmonics and smears time; a short one does the opposite: Δf · Δt stays the same. Your own voice is probably misheard: the recogniser has only ever heard ours.
#
# </details>

# %% [markdown]
# ### Recognition without knowing when · 连接时序分类
#
# A network can name a sound in each frame; but nobody tells it *when* each digit is said. **CTC** (Graves et al. 2006) needs only the digits. At every frame the network chooses a digit or the *blank* "-". A *path* is read by merging repeats, then dropping blanks: `--22-00-0` reads 200.

# %% [markdown]
# The loss is $-\ln p$ of the sum over **all** paths that read right, found one frame at a time: with $\alpha_t(s)$ the probability of having come to place $s$ of "-2-0-0-",
#
# $$\alpha_t(s) = p_t(s)\,\bigl(\alpha_{t-1}(s) + \alpha_{t-1}(s-1) + [\text{allowed}]\;\alpha_{t-1}(s-2)\bigr)$$

# %%
import torch.nn.functional as F

from bigmodel_lib.cached.speech import DigitRecogniser, spoken
from bigmodel_lib.models import ctc
from bigmodel_lib.models.ctc import collapse, ctc_loss
from bigmodel_lib.training.speech import LABELS

torch.manual_seed(0)
p = torch.randn(1, 5, 3).log_softmax(dim=2)  # 5 frames; blank and two labels
total = 0.0
for path in torch.cartesian_prod(*[torch.arange(3)] * 5):
    if collapse(path.tolist()) == [1, 2]:
        total += math.exp(p[0, torch.arange(5), path].sum())
frames, target, length = torch.tensor([5]), torch.tensor([[1, 2]]), torch.tensor([2])
ours = ctc_loss(p, frames, target, length)
theirs = F.ctc_loss(p.transpose(0, 1), target, frames, length, reduction="none")
claim(
    "our loss less that of all 243 paths, one by one", abs(float(ours) + math.log(total)), high=1e-5
)
claim("our loss less torch's", (ours - theirs).abs(), high=1e-5)

# %% [markdown]
# The network: three convolutions over the mel bands, which halve the frames twice; a recurrent network (GRU) that reads forwards and one that reads backwards; a layer that names labels. It was trained on our voice in noise of random loudness and colour, for some minutes: too long for a notebook, so the weights are a file that `make models` makes again.

# %%
recogniser, facts = DigitRecogniser().load()
print(f"{facts.parameters:,} parameters; training: {facts.seconds:.0f} s, {facts.peak_mib:.0f} MiB")
test = spoken(80, speakers=20, seed=1_000_003)  # people whom it has never heard
sounds = batch([utterance.sound for utterance in test])
longest = max(test, key=lambda utterance: len(utterance.line.digits))
one = batch([longest.sound])
with torch.no_grad():
    log_probs = recogniser(one.mel(), one.frames)[0][0]
path = "".join(LABELS[label] for label in log_probs.argmax(dim=1))
heard = "".join(LABELS[label] for label in ctc.greedy(log_probs))
print(f"said {longest.line.digits}; path {path}; heard {heard}")

# %%
figure, ax = plt.subplots(figsize=(9, 2.6))
ax.imshow(log_probs.exp().T, aspect="auto", cmap="viridis", vmin=0, vmax=1)
for start, _end in longest.words:
    ax.axvline(start / HOP / 4, color="white", lw=0.8)
ax.set_yticks(range(len(LABELS)), LABELS)
ax.set(xlabel="frame of the network (40 ms)", ylabel="label")
plots.show(figure, alt="Probabilities of labels by frame: mostly blank, one short spike a word.")

# %% [markdown]
# *In the picture:* white lines are where each word truly begins. The network says blank ("-", top row) nearly all the time, and at each word a spike of a frame or two: nobody asked it for borders.
#
# Two ways to read the probabilities: *greedy* takes the likeliest label of each frame; *prefix beam search* adds up the paths that read alike (Hannun et al. 2014).

# %%
labels, found = ctc.beam_search(log_probs, width=8)
print(
    "beam search:",
    "".join(LABELS[label] for label in labels),
    f"with probability {math.exp(found):.2f}",
)

# %% [markdown]
# ### How well does it hear? · 词错误率
#
# *Word error rate*: words replaced, left out or put in, over words said. *Signal-to-noise ratio* in decibels: 10 dB means ten times the power, 0 dB as much noise as voice. **Baseline:** *templates*. Keep recordings of single words; stretch each in time so that it fits best (*dynamic time warping*, Sakoe & Chiba 1978); the nearest wins. It gets help: the true borders of the words.
#
# **Predict.** At which noise do templates fail, and the network?

# %%
from bigmodel_lib.cached.speech import RATIOS, error_at
from bigmodel_lib.models.templates import Templates
from bigmodel_lib.training.speech import noisy, word_mels

known = spoken(60, speakers=10, seed=0, longest=3)
words = [digit for utterance in known for digit in utterance.line.digits]
templates = Templates(word_mels(known), words)
truth = [digit for utterance in test[:30] for digit in utterance.line.digits]


def template_error(snr) -> float:
    torch.manual_seed(0)
    part = noisy(batch([utterance.sound for utterance in test[:30]]), snr)
    named = [templates.name(mel) for mel in word_mels(test[:30], part)]
    return sum(a != b for a, b in zip(named, truth, strict=True)) / len(truth)


# %%
rates = {snr: (error_at(recogniser, test, snr), template_error(snr)) for snr in RATIOS}
rows = {"clean" if snr is None else f"{snr} dB": pair for snr, pair in rates.items()}
names = "CTC", "templates, told the borders"
plots.table({ratio: dict(zip(names, pair, strict=True)) for ratio, pair in rows.items()})

# %%
claim("word error rate of CTC, clean", rates[None][0], high=0.05)
claim("word error rate of CTC at 10 dB", rates[10][0], high=0.15)
claim("templates' error rate less CTC's at 5 dB", rates[5][1] - rates[5][0], low=0.2)
board["digit_recogniser"] = "word error rate, 5 dB ↓", *rates[5], "templates"

# %% [markdown]
# ### Text to speech · 语音合成
#
# Now the other way, learned instead of programmed. The model gets phones, three numbers of the speaker and the speed. It first says **how many frames** each phone lasts, repeats the phone's vector so often, and turns the frames to log-mel bands, all at once (after FastSpeech, Ren et al. 2019).
#
# Mel bands are no sound yet: the phases are gone. **Griffin-Lim** guesses some, goes to sound and back, keeps the new phases, restores the magnitudes, and so on; the error never grows.

# %%
from bigmodel_lib.cached.speech import DigitSpeaker
from bigmodel_lib.training.speech import recognise, word_error_rate
from bigmodel_lib.training.synthesis import say_mel, to_sound

speaker, facts = DigitSpeaker().load()
print(f"{facts.parameters:,} parameters; training: {facts.seconds:.0f} s, {facts.peak_mib:.0f} MiB")
magnitude = audio.stft(torch.from_numpy(said["high"].sound), M, HOP).abs()
errors = {}
for steps in (0, 1, 10, 30):
    again = audio.griffin_lim(magnitude, M, HOP, len(said["high"].sound), steps)
    spectrum = audio.stft(again, M, HOP).abs()
    errors[steps] = float((spectrum - magnitude).norm() / magnitude.norm())
print({steps: f"{error:.3f}" for steps, error in errors.items()})
claim("error after 30 steps over error after none", errors[30] / errors[0], high=0.6)

# %%
mels = {
    "the voice": batch([said["high"].sound]).mel()[0],
    "the model": say_mel(speaker, [said["high"].line])[0],
}
figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), sharey=True)
for ax, (name, mel) in zip(axes, mels.items(), strict=True):
    ax.imshow(mel.T, extent=(0, len(mel) * HOP / RATE, 0, BANDS), **shown)
    ax.set(xlabel=f"time, s ({name})")
axes[0].set_ylabel("mel band")
plots.show(
    figure, alt="Spectrograms of two, seven, zero by the voice and by the model; the same shapes."
)
display(Audio(to_sound(mels["the model"]).numpy(), rate=RATE))


# %% [markdown]
# *In the picture:* the same words and formants; the model's hisses are smooth where the voice's are grainy, since it learned the mean of many.
#
# Who judges? The recogniser, which has never heard the model. **Baseline:** the *mean word*, each digit's training spectrograms stretched to one length and averaged. **Ceiling:** the voice's own mel bands through Griffin-Lim.

# %%
def mean_words() -> dict[str, torch.Tensor]:
    by_digit: dict[str, list[torch.Tensor]] = {}
    for digit, mel in zip(words, word_mels(known), strict=True):
        by_digit.setdefault(digit, []).append(mel)
    means = {}
    for digit, examples in by_digit.items():
        n = round(sum(map(len, examples)) / len(examples))
        stretched = [F.interpolate(mel.T[None], n, mode="linear")[0].T for mel in examples]
        means[digit] = torch.stack(stretched).mean(dim=0)
    return means


judged = spoken(40, speakers=20, seed=2_000_003)  # other people again
means, lines = mean_words(), [utterance.line for utterance in judged]
pause = torch.full((12, BANDS), math.log(audio.FLOOR))
average = [torch.cat([pause, *(means[digit] for digit in line.digits), pause]) for line in lines]
true_mels = [batch([utterance.sound]).mel()[0] for utterance in judged]


# %%
def understood(mels) -> float:
    heard = recognise(recogniser, batch([to_sound(mel) for mel in mels]))
    return 1 - word_error_rate([line.digits for line in lines], heard)


shares = {
    "the model": understood(say_mel(speaker, lines)),
    "mean words": understood(average),
    "the voice's own mel bands": understood(true_mels),
}
plots.table({name: {"words understood": share} for name, share in shares.items()})
claim("share of the model's words that the recogniser understands", shares["the model"], low=0.95)
by = shares["the model"], shares["mean words"]
board["digit_speaker"] = "words understood ↑", *by, "mean words"

# %% [markdown]
# The baseline is understood better: a mean word is everyone's most typical word. But it has one voice and one speed, and cannot say it as the speaker asked for would; the model can.

# %% [markdown]
# ### Real people · 真人录音
#
# The Free Spoken Digit Dataset has 2,500 recordings by five people (12 MB, CC BY-SA 4.0). Where it can be had, set `REAL = True`: templates by dynamic time warping on people's own first recordings, and our recogniser, which knows only our voice.

# %%
from bigmodel_lib.data.download import DownloadError
from bigmodel_lib.data.spoken_digits import load_spoken_digits

# %% tags=["machine"]
REAL = False
if REAL:
    try:
        real, held = load_spoken_digits("train"), load_spoken_digits("test")
    except DownloadError as error:
        print(error)
    else:
        kept = [r for r in real if r.index < 10]  # 5 of each digit and person
        named = Templates([batch([r.sound]).mel()[0] for r in kept], [r.digit for r in kept])
        asked = held[::5]
        right = [named.name(batch([r.sound]).mel()[0]) == r.digit for r in asked]
        ours = recognise(recogniser, batch([np.pad(r.sound, 1200) for r in asked]))
        print(f"templates of the same people: {np.mean(right):.1%} of {len(asked)} right")
        same = [a == r.digit for a, r in zip(ours, asked, strict=True)]
        print(f"our recogniser: {np.mean(same):.1%}")

# %% [markdown]
# **Train it anew.** Three steps, to see that it runs; `make models NAME=digit_recogniser` takes all of them.

# %% tags=["machine"]
recipe = DigitRecogniser()
recipe.settings = recipe.settings | {"utterances": 32, "speakers": 4}
torch.manual_seed(recipe.settings["seed"])
start = time.process_time()
for record in recipe.run(recipe.make(None), None).take(3):
    print(f"step {record.step}: loss {record['loss']:.2f} nats a digit")
print(f"{time.process_time() - start:.1f} s of CPU time, the making of 32 utterances included")

# %% [markdown]
# **What stays open.** Our voice is a formula: ten words, no accents, no rooms. Error rates here say how the methods compare, not how well speech is recognised. A recogniser of people needs people: set `REAL = True` and see how little carries over.

# %% [markdown]
# **Sources of 6.3.** Griffin & Lim 1984, *Signal Estimation from Modified Short-Time Fourier Transform*; Klatt 1980, *Software for a Cascade/Parallel Formant Synthesizer*; Sakoe & Chiba 1978, *Dynamic Programming Algorithm Optimization for Spoken Word Recognition*; Graves et al. 2006, *Connectionist Temporal Classification*; Hannun et al. 2014, [arXiv:1408.2873](https://arxiv.org/abs/1408.2873); Ren et al. 2019, *FastSpeech*, [arXiv:1905.09263](https://arxiv.org/abs/1905.09263).
#
# **The code:** [audio.py](../bigmodel_lib/audio.py), [data/voice.py](../bigmodel_lib/data/voice.py), [models/ctc.py](../bigmodel_lib/models/ctc.py), [models/recogniser.py](../bigmodel_lib/models/recogniser.py), [models/speech.py](../bigmodel_lib/models/speech.py), [cached/speech.py](../bigmodel_lib/cached/speech.py).

# %% [markdown]
# ## All of them · 一览
#
# Each model beside the cheap method that could have won (for the drawn digits: beside real ones, which nobody can beat by much), and what its training took. ↑ means that more is better, ↓ less. Which models were not worth their cost?

# %%
from bigmodel_lib.cached import recipes as cached_recipes
from bigmodel_lib.cached.memory import peak_mib

known = {name: recipe.load()[1] for name, recipe in cached_recipes().items() if name in board}
rows = {}
for name, (measure, ours, other, rival) in board.items():
    rows[name] = {"measured": measure, "the model": ours, "compared": other, "with": rival}
    if name in known:
        facts = known[name]
        rows[name] |= {"parameters": facts.parameters, "training, s": round(facts.seconds)}
        rows[name] |= {"peak memory, MiB": facts.peak_mib}
size = sum(p.numel() for p in reader.parameters())
here = {"parameters": size, "training, s": "below", "peak memory, MiB": "below"}
rows["GRU, trained here"] |= here
plots.table(rows)

# %% tags=["machine"]
print(f"GRU: {reader_s:.1f} s; this whole chapter: {peak_mib():.0f} MiB at its highest")

# %% [markdown]
# *In the table:* nearest neighbours read still, clean digits nearly as well as the networks, and mean words are understood better than the speech model; there the network pays only for what the cheap method cannot do at all. Translation, feelings, crowded scenes and noise are where learning pays most. Most of the memory, save the GPT's, is Python with its libraries.

# %% [markdown]
# ## Summary · 小结
#
# - A language model is a compressor. Given a second text of a kindred kind, a network gains what a compressor cannot: it learns from what is alike, not only from what is the same.
# - An encoder-decoder learns an exact rule within the lengths that it saw, and fails beyond them without saying so.
# - Composition is what a bag of words cannot learn: it is right on what it has seen and wrong on new combinations.

# %% [markdown]
# - Simple pictures are read nearly as well by their nearest neighbours. Moved, crowded or overlapping ones are not.
# - Diffusion buys quality with steps; a GAN and a VAE draw in one.
# - CTC needs to know what was said, not when. A synthetic voice can be judged by a recogniser, as long as the judge has never heard it.

# %% [markdown]
# ## Exercises · 练习
#
# **Language**
#
# 1. Give `bpe.train` 257, 512 and 2,048 tokens. How many characters does one token stand for, and which part of the text profits most?
# 2. Which of the sampling filters depends on the temperature, and which does not? Predict, then look in `SamplerLab`.
# 3. Train the translator on numbers of up to six digits (`NumberTranslator.settings`). Does its failure move to the seventh?

# %% [markdown]
# 4. Write a review that the GRU gets wrong. What has it not seen?
# 5. Set `further` in `LanguageGPT.settings["training"]` to 0 and train anew: is xz still beaten?

# %% [markdown]
# **Vision**
#
# 6. Move the test digits by 0 to 6 pixels and plot the accuracy of all four methods. Where does the network's training range end?
# 7. Draw the same digits by DDIM with 5 steps and with 50, from the same noise. Which parts differ?
# 8. Replace suppression by a limit on the number of boxes. Which scenes suffer?

# %% [markdown]
# **Speech**
#
# 9. Speak the digits yourself into a WAV file for `SpectrogramLab`. What does the recogniser hear, and which property of your voice did its training lack?
# 10. Drop the merging of repeats from CTC. Which digit strings can no longer be told from others?
