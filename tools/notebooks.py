"""Bring text and notebooks in step, execute what changed, clean what is saved.

    python tools/notebooks.py [NAME ...] [--from text|notebook] [--all]
    python tools/notebooks.py --check

notebooks/NAME.ipynb (what readers open) is paired with notebooks/src/NAME.py (what
authors edit).  Where the two differ, the side that differs from git HEAD wins; where
both do, the command stops and asks.  Then every notebook whose code changed since its
last execution runs from top to bottom in a fresh kernel, and its outputs are cleaned.
Nothing is written before a notebook has run without an error.
"""

import argparse
import ast
import base64
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
import psutil
from jupytext.combine import combine_inputs_with_outputs
from jupytext.compare import NotebookDifference, compare_notebooks
from jupytext.config import load_jupytext_config
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
TEXT_FORMAT = "py:percent"
CELL_TIMEOUT = 300  # seconds
ONE_NOTEBOOK = 1_000_000  # bytes
ALL_NOTEBOOKS = 6_000_000  # bytes
VIEW = "application/vnd.jupyter.widget-view+json"
KEPT_CELL_METADATA = {"tags", "nbgrader", "slideshow"}
KEPT_METADATA = {"bigmodel", "jupytext", "kernelspec"}
OF_THIS_MACHINE = "(This cell prints figures of your machine: run it to see them.)\n"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# A bar, a percentage with counts, or a rate, as tqdm and pip write them.
PROGRESS = re.compile(r"\d+%\s*\||\d+it \[|\bit/s\b|\bs/it\b")


class Stop(Exception):
    """The work cannot go on; the message says why and what to do."""


# --- pairs -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A notebook and its text."""

    root: Path
    name: str

    @property
    def notebook(self) -> Path:
        return self.root / "notebooks" / f"{self.name}.ipynb"

    @property
    def text(self) -> Path:
        return self.root / "notebooks" / "src" / f"{self.name}.py"

    def show(self, path: Path) -> str:
        """The path as git writes it."""
        return path.relative_to(self.root).as_posix()


def find_pairs(root: Path, names: list[str] | None = None) -> list[Pair]:
    """Every pair of which at least one side exists; only those named, if any are.

    Raises:
        Stop: a name that no pair has.
    """
    folder = root / "notebooks"
    found = {path.stem for path in [*folder.glob("*.ipynb"), *folder.glob("src/*.py")]}
    wanted = {Path(name).stem for name in names or found}
    if wanted - found:
        raise Stop(f"no notebook named {', '.join(sorted(wanted - found))}")
    return [Pair(root, name) for name in sorted(wanted)]


def read_text(pair: Pair, source: str) -> NotebookNode:
    """A notebook without outputs, from its text."""
    return jupytext.reads(source, TEXT_FORMAT, config=load_jupytext_config(str(pair.text)))


def write_text(pair: Pair, notebook: NotebookNode) -> str:
    """A notebook's text; `notebook` stays as it is."""
    config = load_jupytext_config(str(pair.text))
    return jupytext.writes(deepcopy(notebook), TEXT_FORMAT, config=config)


def read_side(pair: Pair, path: Path, source: str | None) -> NotebookNode | None:
    """Either side of a pair as a notebook; None where there is no such file."""
    if source is None:
        return None
    if path == pair.text:
        return read_text(pair, source)
    return nbformat.reads(source, as_version=4)


def on_disk(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def at_head(pair: Pair, path: Path) -> str | None:
    """The file's content in the last commit, or None."""
    command = ["git", "-C", str(pair.root), "show", f"HEAD:./{pair.show(path)}"]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return result.stdout if result.returncode == 0 else None


def difference(pair: Pair, one: NotebookNode | None, other: NotebookNode | None) -> str:
    """What differs between the inputs of two notebooks; empty if nothing does."""
    if one is None or other is None:
        return "" if one is other else "one of the two is missing"
    one, other = (read_text(pair, write_text(pair, side)) for side in (one, other))
    try:
        compare_notebooks(one, other, TEXT_FORMAT)
    except NotebookDifference as found:
        return str(found)
    return ""


# --- 1. in step ------------------------------------------------------------------------


def winner(pair: Pair, text: NotebookNode | None, notebook: NotebookNode | None) -> str:
    """'text' or 'notebook': the side that was edited since the last commit.

    Raises:
        Stop: both were, or git cannot tell.
    """
    if text is None or notebook is None:
        return "notebook" if text is None else "text"
    sides = {"text": (pair.text, text), "notebook": (pair.notebook, notebook)}
    edited = [
        side
        for side, (path, now) in sides.items()
        if difference(pair, now, read_side(pair, path, at_head(pair, path)))
    ]
    if len(edited) == 1:
        return edited[0]
    why = "both were edited since the last commit" if edited else "git cannot tell which is newer"
    raise Stop(
        f"{pair.show(pair.text)} and {pair.show(pair.notebook)} differ, and {why}.\n"
        f"Say which one holds: FROM=text or FROM=notebook.\n{difference(pair, text, notebook)}"
    )


def in_step(pair: Pair, source: str | None = None) -> NotebookNode:
    """The notebook with the inputs of the side that wins, and the outputs that it has.

    Args:
        pair: the two files.
        source: 'text' or 'notebook' decides; None leaves it to git.
    """
    text = read_side(pair, pair.text, on_disk(pair.text))
    notebook = read_side(pair, pair.notebook, on_disk(pair.notebook))
    if not difference(pair, text, notebook):
        return notebook
    side = source or winner(pair, text, notebook)
    if {"text": text, "notebook": notebook}[side] is None:
        raise Stop(f"{pair.name}: FROM={side}, but there is no such file")
    if side == "notebook":
        return notebook
    return combine_inputs_with_outputs(text, notebook, TEXT_FORMAT) if notebook else text


def formatted(pair: Pair, notebook: NotebookNode) -> NotebookNode:
    """The notebook with its code as `ruff format` lays it out (if it parses)."""
    command = [sys.executable, "-m", "ruff", "format", f"--stdin-filename={pair.notebook}", "-"]
    result = subprocess.run(
        command, input=as_json(notebook), capture_output=True, encoding="utf-8", cwd=pair.root
    )
    return nbformat.reads(result.stdout, as_version=4) if result.returncode == 0 else notebook


# --- 2. executed -----------------------------------------------------------------------


def code_hash(notebook: NotebookNode) -> str:
    """Changes when, and only when, a code cell does."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(cells).encode()).hexdigest()[:16]


def is_executed(notebook: NotebookNode) -> bool:
    """Was this very code the last that ran?"""
    return notebook.metadata.get("bigmodel", {}).get("executed") == code_hash(notebook)


def memory_of(processes: Iterable[psutil.Process]) -> int:
    """Bytes that processes hold; what several share counts once, where the system can tell."""
    total = 0
    for process in processes:
        try:
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
        except psutil.Error:  # it ended meanwhile
            continue
    return total


class PeakMemory(threading.Thread):
    """Samples the memory (bytes) of this process's children: the kernel, and what it started.

    Pages that several of them share count once, where the system can tell (Linux).
    """

    def __init__(self, every: float = 0.2):
        super().__init__(daemon=True)
        self.every, self.peak, self.stopped = every, 0, threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(self.every):
            self.peak = max(self.peak, self.held())

    def held(self) -> int:
        return memory_of(psutil.Process().children(recursive=True))

    def __enter__(self) -> "PeakMemory":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        self.join()


def execute(pair: Pair, notebook: NotebookNode, timeout: float = CELL_TIMEOUT) -> None:
    """Run all cells in a fresh kernel, print time and memory, and note what ran.

    Raises:
        Stop: a cell failed, took longer than `timeout` seconds, or killed the kernel.
    """
    folder = {"metadata": {"path": str(pair.notebook.parent)}}
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", resources=folder, record_timing=False
    )
    start = time.perf_counter()
    with PeakMemory() as memory:
        try:
            client.execute()
        except (CellExecutionError, DeadKernelError, TimeoutError) as error:
            raise Stop(f"{pair.name}: a cell failed\n{error}") from error
    seconds = time.perf_counter() - start
    print(f"{pair.name}: executed in {seconds:.1f} s, peak {memory.peak / 2**20:.0f} MiB")
    notebook.metadata.setdefault("kernelspec", NotebookNode(KERNEL))
    notebook.metadata["bigmodel"] = NotebookNode(executed=code_hash(notebook))


def imports_of(cell: NotebookNode) -> str:
    """What a code cell imports: these statements alone."""
    nodes = ast.parse(cell.source).body
    found = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(map(ast.unparse, found))


# --- 3. clean --------------------------------------------------------------------------


def machine_paths(root: Path) -> list[tuple[re.Pattern, str]]:
    """This machine's paths and what stands for each, the longest first."""
    shown = {
        str(root): ".",
        sys.prefix: "(environment)",
        str(Path.home()): "~",
        tempfile.gettempdir(): "(temporary)",
    }
    paths = sorted((path for path in shown if len(path) > 1), key=len, reverse=True)
    # /home/me and /home/me/x, but neither /home/mean nor a/home/me.
    return [(re.compile(rf"(?<![\w.~-]){re.escape(p)}(?![\w-])"), shown[p]) for p in paths]


def without_paths(text: str, root: Path) -> str:
    for pattern, stand_in in machine_paths(root):
        text = pattern.sub(stand_in, text)
    return text


def without_progress(text: str) -> str:
    """What remains of a stderr stream once its progress bars are gone."""
    pieces = re.split(r"[\r\n]+", text)
    kept = [piece for piece in pieces if piece.strip() and not PROGRESS.search(piece)]
    return "".join(f"{piece}\n" for piece in kept)


def clean_data(data: dict, root: Path) -> dict:
    """A display's representations: no live view, no path of this machine, lean pictures."""
    data = {kind: value for kind, value in data.items() if kind != VIEW}
    for kind, value in data.items():
        if kind.startswith("text/"):
            data[kind] = without_paths(value, root)
        elif kind == "image/png":
            data[kind] = lean_png(value)
    return data


def lean_png(picture: str) -> str:
    """A base64 PNG with 256 colours: half the bytes, and no difference that a reader would see."""
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    if image.mode == "P":
        return picture  # it was here before
    file = io.BytesIO()
    image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def clean_output(output: NotebookNode, root: Path) -> NotebookNode | None:
    """The output as it may be saved, or None if nothing of it may."""
    output = deepcopy(output)
    if output.output_type == "stream":
        text = without_progress(output.text) if output.name == "stderr" else output.text
        output.text = without_paths(text, root)
        return output if text else None
    if "data" not in output:
        return output
    live = VIEW in output.data
    output.data = NotebookNode(clean_data(output.data, root))
    output.metadata.pop(VIEW, None)
    return None if live and set(output.data) <= {"text/plain"} else output


def join_streams(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """What was printed without a display between it as one output, however it arrived."""
    joined = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" and output.name == last.get("name"):
            last.text += output.text
        else:
            joined.append(output)
    return joined


def clean_cell(cell: NotebookNode, root: Path) -> None:
    """Leave in a cell what a reader needs, and nothing that differs from run to run."""
    for key in set(cell.metadata) - KEPT_CELL_METADATA:
        del cell.metadata[key]
    if cell.cell_type != "code":
        return
    if "machine" in cell.metadata.get("tags", []):
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=OF_THIS_MACHINE)]
    else:
        outputs = (clean_output(output, root) for output in cell.outputs)
        cell.outputs = join_streams(output for output in outputs if output is not None)


def clean(notebook: NotebookNode, root: Path) -> NotebookNode:
    """A copy of the notebook as it may be committed."""
    notebook = deepcopy(notebook)
    for key in set(notebook.metadata) - KEPT_METADATA:
        del notebook.metadata[key]
    notebook.metadata.get("jupytext", {}).pop("text_representation", None)
    for cell in notebook.cells:
        clean_cell(cell, root)
    return notebook


# --- the command -----------------------------------------------------------------------


def save(path: Path, content: str) -> bool:
    """Write the file whole or not at all; say whether it changed."""
    if on_disk(path) == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(content, encoding="utf-8", newline="\n")
    os.replace(beside, path)
    return True


def as_json(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def update(pair: Pair, source: str | None = None, everything: bool = False) -> None:
    """In step, formatted, executed, clean: then both files are written."""
    notebook = formatted(pair, in_step(pair, source))
    if everything or not is_executed(notebook):
        execute(pair, notebook)
    notebook = clean(notebook, pair.root)
    contents = {pair.notebook: as_json(notebook), pair.text: write_text(pair, notebook)}
    written = [pair.show(path) for path, content in contents.items() if save(path, content)]
    print(f"{pair.name}: {'wrote ' + ', '.join(written) if written else 'nothing to do'}")


def complaints(notebook: NotebookNode) -> list[str]:
    """What cells wrote to stderr, and errors that were saved."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    warned = [output.text for output in outputs if output.get("name") == "stderr"]
    return warned + [output.evalue for output in outputs if output.output_type == "error"]


def problems(pair: Pair) -> list[str]:
    """What keeps a pair from being committed; empty if nothing does."""
    text = read_side(pair, pair.text, on_disk(pair.text))
    notebook = read_side(pair, pair.notebook, on_disk(pair.notebook))
    if notebook is None:
        return [f"{pair.name}: there is no notebook; run `make notebooks`"]
    found = []
    if apart := difference(pair, text, notebook):
        found.append(f"{pair.name}: text and notebook differ: {apart}")
    if not is_executed(notebook):
        found.append(f"{pair.name}: not executed since its code changed")
    if clean(notebook, pair.root) != notebook:
        found.append(f"{pair.name}: holds live views, metadata, progress bars or paths")
    found += [f"{pair.name}: a cell complains: {text}" for text in complaints(notebook)]
    if (size := pair.notebook.stat().st_size) > ONE_NOTEBOOK:
        found.append(f"{pair.name}: {size:,} bytes, more than {ONE_NOTEBOOK:,}")
    return found


def check(pairs: list[Pair]) -> list[str]:
    """The problems of all pairs, and of their size together."""
    found = [problem for pair in pairs for problem in problems(pair)]
    size = sum(pair.notebook.stat().st_size for pair in pairs if pair.notebook.exists())
    if size > ALL_NOTEBOOKS:
        found.append(f"all notebooks: {size:,} bytes, more than {ALL_NOTEBOOKS:,}")
    return found


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these notebooks")
    parser.add_argument("--check", action="store_true", help="report, change nothing")
    parser.add_argument("--all", action="store_true", help="execute the unchanged ones, too")
    parser.add_argument("--from", dest="source", choices=["text", "notebook"])
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    chosen = arguments(argv)
    try:
        pairs = find_pairs(chosen.root.resolve(), chosen.names)
        if chosen.check:
            found = check(pairs)
            print("\n".join(found) or f"{len(pairs)} notebooks in step, executed, clean")
            return 1 if found else 0
        for pair in pairs:
            update(pair, chosen.source, chosen.all)
    except Stop as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
