"""Write the tables of the teacher's guide from what there is: python tools/teaching.py"""

import importlib
import re
import sys
from pathlib import Path

import jupytext

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the library beside this file, not an installed one

from bigmodel_lib.exercises.task import Task, tasks  # noqa: E402

GUIDE = ROOT / "TEACHING.md"
TEXTS = sorted((ROOT / "notebooks" / "assignments" / "source").glob("*.py"))
KINDS = {"CodeTask": "code", "NumberTask": "number", "Prediction": "prediction"}


def chapter(path: Path) -> dict[str, Task]:
    """The tasks of an assignment."""
    return tasks(importlib.import_module(f"bigmodel_lib.exercises.chapter_{int(path.stem[:2])}"))


def table_of_assignments() -> str:
    """One row an assignment: its tasks, mistakes and points."""
    rows = [
        "| assignment | graded tasks | of them automatic | mistakes | points |",
        "|---|---|---|---|---|",
    ]
    for path in TEXTS:
        told = [cell.metadata.get("nbgrader", {}) for cell in jupytext.read(path).cells]
        points = [one["points"] for one in told if one.get("grade")]
        known = sum(len(task.mistakes) for task in chapter(path).values())
        link = f"[{path.stem}]({path.relative_to(ROOT).as_posix()})"
        rows.append(f"| {link} | {len(points)} | {len(chapter(path))} | {known} | {sum(points)} |")
    return "\n".join(rows)


def table_of_mistakes() -> str:
    """One row a mistake, under its task: the hint, and where it was seen."""
    parts = []
    for path in TEXTS:
        for task in chapter(path).values():
            parts += [f"**{task.name}** ({KINDS[type(task).__name__]})", ""]
            parts += ["| mistake | what the student is told | seen |", "|---|---|---|"]
            for mistake in task.mistakes:
                cells = (mistake.name, mistake.hint, _link(mistake.seen))
                parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            parts.append("")
    return "\n".join(parts).rstrip()


def _link(seen: str) -> str:
    """An address as a short link; other places as they are."""
    if not seen.startswith("https://"):
        return seen
    short = re.sub(r"https://(github\.com/)?", "", seen).replace("/issues/", " #")
    return f"[{short}]({seen})"


TABLES = {"assignments": table_of_assignments, "mistakes": table_of_mistakes}


def filled(text: str) -> str:
    """The guide with its tables as they should be.

    Raises:
        ValueError: the guide has no place for a table.
    """
    for name, table in TABLES.items():
        begin, end = f"<!-- table of {name}: begin -->", f"<!-- table of {name}: end -->"
        place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(place.findall(text)) != 1:
            raise ValueError(f"need one place from {begin} to {end}")
        new = f"{begin}\n{table()}\n{end}"
        text = place.sub(lambda _, new=new: new, text)
    return text


def main() -> int:
    text = GUIDE.read_text(encoding="utf-8")
    if (new := filled(text)) != text:
        GUIDE.write_text(new, encoding="utf-8", newline="\n")
        print(f"wrote {GUIDE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
