"""Text to learn from that needs no download, its split, and what general compressors make of it."""

import ast
import functools
import gzip
import lzma
import math
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path


@functools.cache
def language_reference() -> str:
    """CPython's language reference, as the standard library ships it, each paragraph once.

    About 366,000 characters of English with code, from `pydoc_data.topics`. Its chapters quote
    each other, so repeated paragraphs are dropped before anyone splits it: a paragraph in both
    parts of a split would be leakage. The text differs a little between versions of Python.

    Returns:
        The paragraphs in their order, an empty line between two.
    """
    from pydoc_data.topics import topics  # 0.7 MB, for whoever asks

    paragraphs = (p.strip("\n") for topic in topics.values() for p in topic.split("\n\n"))
    return "\n\n".join(dict.fromkeys(p for p in paragraphs if p.strip()))


@functools.cache
def docstrings() -> str:
    """The docstrings of Python's standard library, each once, without what the reference says.

    About 1.7 million characters of English with examples: a second text to train on, four times
    as long as `language_reference`. A paragraph that stands there, too, however its lines are
    broken, is left out: held out there, it must not be learned here. Tests are no part of it.
    The source is parsed, not imported; the text differs a little between versions of Python.

    Returns:
        The docstrings in the order of their files' names, an empty line between two.
    """
    known = {" ".join(p.split()) for p in language_reference().split("\n\n")}
    found = dict.fromkeys(doc for path in _library_files() for doc in _docstrings_of(path))
    kept = (
        "\n\n".join(p for p in doc.split("\n\n") if " ".join(p.split()) not in known)
        for doc in found
    )
    return "\n\n".join(doc for doc in kept if doc.strip())


NO_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


def _library_files() -> Iterator[Path]:
    """The standard library's source files, in one order everywhere."""
    for folder, folders, names in os.walk(sysconfig.get_path("stdlib")):
        folders[:] = sorted(set(folders) - NO_LIBRARY)
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def _docstrings_of(path: Path) -> Iterator[str]:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, documented) and (doc := ast.get_docstring(node)):
            yield doc


def split_paragraphs(text: str, held_out: float = 0.1) -> tuple[str, str]:
    """Cut a text between two paragraphs: the last part is held out.

    Args:
        text: paragraphs with an empty line between two, no paragraph twice.
        held_out: share of the characters in the second part, at least; less than a paragraph more.

    Returns:
        The two parts; joined, they are the text.

    Raises:
        ValueError: held_out is not in (0, 1), a paragraph comes twice (held out, training would
            have seen it), or there is no place to cut.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"need a share in (0, 1) to hold out, got {held_out}")
    paragraphs = text.split("\n\n")
    repeats = len(paragraphs) - len(set(paragraphs))
    if repeats:
        raise ValueError(f"need paragraphs that come once; {repeats} repeat others")
    cut = text.rfind("\n\n", 0, int(len(text) * (1 - held_out))) + len("\n\n")
    if cut < len("\n\n"):
        raise ValueError("need a paragraph that ends before the part to be held out")
    return text[:cut], text[cut:]


def bits_per_character(nats: float, text: str) -> float:
    """What predicting a text costs: -Σ ln p of its tokens, whatever they are, as bits a character.

    It compares models with different vocabularies, which loss a token does not.
    """
    return nats / math.log(2) / len(text)


COMPRESSORS = {
    "gzip": lambda data: gzip.compress(data, compresslevel=9, mtime=0),
    "xz": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}


def compressed_bits(compressor: str, text: str, known: str = "") -> float:
    """Bits a character that a compressor needs for a text, behind another one that it knows.

    With a known text: the growth of the file when the text is put behind it. gzip looks back
    32 kB at most, xz over the whole.

    Args:
        compressor: a name in `COMPRESSORS`, each at its slowest and best setting.
        text: what is counted.
        known: what stands before it.

    Raises:
        ValueError: no such compressor, or an empty text.
    """
    if compressor not in COMPRESSORS or not text:
        raise ValueError(
            f"need a compressor in {list(COMPRESSORS)} and a text, "
            f"got {compressor!r} and {len(text)} characters"
        )
    compress = COMPRESSORS[compressor]
    before = len(compress(known.encode())) if known else 0
    return 8 * (len(compress((known + text).encode())) - before) / len(text)
