"""A course with everybody on one machine: `make classroom` copies this into its settings."""

from pathlib import Path

c = get_config()  # noqa: F821 -- nbgrader provides it
classroom = Path(__file__).resolve().parents[2]  # above .jupyter/config

load_subconfig("nbgrader_config.py", str(classroom / "course"))  # noqa: F821 -- likewise
c.CourseDirectory.root = str(classroom / "course")
c.Exchange.root = str(classroom / "exchange")
c.Exchange.assignment_dir = str(classroom / "students" / "you")
# All students are played by one user, which nbgrader would call cheating.
c.ExchangeCollect.check_owner = False
# Formgrader would show this configuration above the assignments.
c.FormgradeExtension.debug = False
