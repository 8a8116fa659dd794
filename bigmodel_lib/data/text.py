"""Text to learn from that needs no download."""

import functools


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
