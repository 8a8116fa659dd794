"""Models that took minutes to train, each as a small file that `make models` makes anew.

A chapter loads one, says so, and offers the cell that trains it again:

    model, facts = LanguageGPT().load()

To add one: a subclass of `Recipe` in a module of this package, then `make models NAME=its_name`.
`Records` keep what a long series of trainings measured, in the same way.
"""

from bigmodel_lib.cached.recipe import MOST_BYTES, Facts, Recipe, recipes
from bigmodel_lib.cached.records import Records

__all__ = ["MOST_BYTES", "Facts", "Recipe", "Records", "recipes"]
