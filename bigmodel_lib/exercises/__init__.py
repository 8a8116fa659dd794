"""Graded tasks: numbers drawn for each student, solutions computed, known mistakes recognised.

One module a chapter, such as `bigmodel_lib.exercises.chapter_4`, which holds its tasks. The
assignments in notebooks/assignments/source put the questions and call `check` and `grade`.
"""
