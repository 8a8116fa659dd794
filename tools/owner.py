"""Rewrite every link to the repository: python tools/owner.py NAME

The owner is named once, in pyproject.toml (project.urls.Repository); all other links
must agree with it.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "bigmodel-notebooks"
# github.com/NAME/…, mybinder.org/v2/gh/NAME/…, colab…/github/NAME/…, also with %2F for the
# slashes (nbgitpuller), and NAME.github.io/….
LINK = re.compile(
    r"(?P<before>(?:github\.com|githubusercontent\.com|/gh|/github)(?P<slash>/|%2F))"
    rf"(?P<owner>[\w.-]+)(?P<after>(?P=slash){REPOSITORY})"
    rf"|(?P<page>[\w-]+)(?P<site>\.github\.io/{REPOSITORY})"
)
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}")  # GitHub's rule


def owner(root: Path = ROOT) -> str:
    """The owner that pyproject.toml names."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return owners(project["urls"]["Repository"])[0]


def owners(text: str) -> list[str]:
    """The owner in each link to the repository."""
    return [link["owner"] or link["page"] for link in LINK.finditer(text)]


def rewritten(text: str, name: str) -> str:
    """The text with `name` as owner in each link to the repository."""

    def replace(link: re.Match) -> str:
        if link["page"]:
            return name + link["site"]
        return link["before"] + name + link["after"]

    return LINK.sub(replace, text)


def text_files(root: Path = ROOT) -> dict[Path, str]:
    """Every text file that git knows or would add, with its content."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True)
    found = {}
    for path in sorted({root / name for name in listing.stdout.split("\0") if name}):
        try:
            found[path] = path.read_bytes().decode("utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # a picture; deleted; a submodule
    return found


def main(name: str, root: Path = ROOT) -> int:
    if not NAME.fullmatch(name):
        print(f"need the name of a GitHub account (make owner OWNER=name), got {name!r}")
        return 1
    for path, text in text_files(root).items():
        if (new := rewritten(text, name)) != text:
            path.write_bytes(new.encode("utf-8"))
            print(f"wrote {path.relative_to(root).as_posix()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
