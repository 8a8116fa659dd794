"""Wrong solutions as students write them: edits of the reference solution's cell.

From assignment to task to mistake: (what the reference says, what stands there instead). They
are written apart from the functions in bigmodel_lib/exercises that recognise them.
"""

from tests.exercises.wrong import (
    chapter_1,
    chapter_2,
    chapter_3,
    chapter_4,
    chapter_5,
    chapter_6,
    chapter_7,
    chapter_8,
    chapter_9,
)

WRONG = {
    "01_background": chapter_1.WRONG,
    "02_concepts": chapter_2.WRONG,
    "03_algorithms": chapter_3.WRONG,
    "04_mathematics": chapter_4.WRONG,
    "05_project": chapter_5.WRONG,
    "06_applications": chapter_6.WRONG,
    "07_future": chapter_7.WRONG,
    "08_summary": chapter_8.WRONG,
    "09_questions": chapter_9.WRONG,
}
