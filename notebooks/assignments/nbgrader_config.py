"""The course: `make assignments` copies this file into build/course."""

c = get_config()  # noqa: F821 -- nbgrader provides it

c.CourseDirectory.course_id = "bigmodel"
# A function with nothing but this in it returns None, and the check says so in words.
c.ClearSolutions.code_stub = {"python": "...  # write here"}
c.ClearSolutions.text_stub = "*Write here.*"
