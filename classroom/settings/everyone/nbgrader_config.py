"""nbgrader for a class: read by each server, of students and of teachers.

CLASSROOM_EXCHANGE and the like come from jupyterhub_config.py or kubernetes.yaml.
"""

import os

c = get_config()  # noqa: F821 -- nbgrader provides it

load_subconfig("../../../notebooks/assignments/nbgrader_config.py")  # noqa: F821
c.Exchange.root = os.environ["CLASSROOM_EXCHANGE"]
# Where students have accounts, a submission has to belong to the one whose name it bears.
c.ExchangeCollect.check_owner = os.environ.get("CLASSROOM_LOGIN") == "pam"
if "CLASSROOM_COURSE" in os.environ:  # a server that grades
    c.CourseDirectory.root = os.environ["CLASSROOM_COURSE"]
