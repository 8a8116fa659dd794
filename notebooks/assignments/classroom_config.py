"""A course with everybody on one machine: `make classroom` copies this into build/classroom."""

from pathlib import Path

c = get_config()  # noqa: F821 -- nbgrader provides it
here = Path(__file__).resolve().parent

load_subconfig("nbgrader_config.py", str(here / "course"))  # noqa: F821 -- likewise
c.CourseDirectory.root = str(here / "course")
c.Exchange.root = str(here / "exchange")
c.Exchange.assignment_dir = str(here / "students" / "you")
# All students are played by one user, which nbgrader would call cheating.
c.ExchangeCollect.check_owner = False
# Formgrader would show this configuration above the assignments.
c.FormgradeExtension.debug = False
