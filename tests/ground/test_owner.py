"""Every link to the repository names the owner that pyproject.toml names."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.owner import ROOT, main, owner, owners, rewritten, text_files

REPOSITORY = "bigmodel" + "-notebooks"  # in two parts: this file must hold no link itself
FORMS = [
    "https://github.com/{}/" + REPOSITORY,
    "https://raw.githubusercontent.com/{}/" + REPOSITORY + "/main/x.png",
    "https://mybinder.org/v2/gh/{}/" + REPOSITORY + "/main",
    "https://colab.research.google.com/github/{}/" + REPOSITORY + "/blob/main/x.ipynb",
    "git-pull?repo=https%3A%2F%2Fgithub.com%2F{}%2F" + REPOSITORY + "&branch=main",
    "https://{}.github.io/" + REPOSITORY,
]


def test_all_links_agree():
    wrong = {
        path.relative_to(ROOT).as_posix(): other
        for path, text in text_files().items()
        if (other := set(owners(text)) - {owner()})
    }
    assert wrong == {}, f"these are not {owner()}: run `make owner OWNER={owner()}`"


@pytest.mark.parametrize("file", ["README.md", "pyproject.toml"])
def test_the_files_with_links_have_some(file):
    assert owners((ROOT / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_link_is_read_and_rewritten(form):
    assert owners(form.format("ada-l")) == ["ada-l"]
    assert rewritten(form.format("ada-l"), "grace") == form.format("grace")


def test_other_repositories_are_left_alone():
    text = f"https://github.com/pytorch/pytorch and ~/code/{REPOSITORY}"
    assert owners(text) == []
    assert rewritten(text, "grace") == text


@pytest.fixture
def repository(tmp_path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "README.md").write_text("\n".join(FORMS).replace("{}", owner()), encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


def test_the_command_rewrites_all_files(repository):
    assert main("grace", repository) == 0
    assert owner(repository) == "grace"
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert owners(readme) == ["grace"] * len(FORMS)
    assert (repository / "picture.png").read_bytes() == b"\x89PNG\xff\xfe"


@pytest.mark.parametrize("name", ["", "a/b", "-a", "a b", "x" * 40])
def test_the_command_refuses_what_is_no_account(repository, name, capsys):
    assert main(name, repository) == 1
    assert "name of a GitHub account" in capsys.readouterr().out
    assert owner(repository) == owner()
