"""Wrong solutions as students write them: edits of the reference solution's cell.

From assignment to task to mistake: (what the reference says, what stands there instead). They
are written apart from the functions in bigmodel_lib/exercises that recognise them.
"""

from tests.exercises.wrong import chapter_4

WRONG = {"04_mathematics": chapter_4.WRONG}
