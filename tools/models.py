"""Train the cached models anew: `python tools/models.py [NAME …]`, all of them without a name.

One thread, so that one machine makes the same weights every time. Of several models each gets a
process of its own, so that its peak of memory is its own, too. `--measure` trains nothing to the
end: it takes the first steps and writes their peak of memory into the file that is there.

A name may also be that of a series of records, such as own_scaling; those that want a GPU are
made on request only.
"""

import argparse
import subprocess
import sys

import torch

from bigmodel_lib.cached import Recipe, recipes
from bigmodel_lib.cached.records import Records, records

MOST = 12  # figures to print of a model


def main(arguments: list[str] | None = None) -> int:
    """Build or measure the models named, or all, and print what they are worth."""
    models, series = recipes(), records()
    known = models | series
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--measure", action="store_true", help="only the models' peak of memory")
    asked = parser.parse_args(arguments)
    usual = [name for name, one in series.items() if not one.on_request and not asked.measure]
    names = asked.names or [*models, *usual]
    unknown = [name for name in names if name not in (models if asked.measure else known)]
    if unknown:
        parser.error(f"no model {', '.join(unknown)}; there are {', '.join(known)}")
    if len(names) > 1:
        options = ["--measure"] if asked.measure else []
        return max(subprocess.call([sys.executable, __file__, name, *options]) for name in names)
    torch.set_num_threads(1)
    one = known[names[0]]
    (measure if asked.measure else build_series if isinstance(one, Records) else build)(one)
    return 0


def build(recipe: Recipe) -> None:
    """Train one, write its file, and say what it took."""
    facts, size = recipe.build(), recipe.path.stat().st_size
    found = ", ".join(f"{what} {value:.4g}" for what, value in list(facts.figures.items())[:MOST])
    found += f", … of {len(facts.figures)}" if len(facts.figures) > MOST else ""
    took = f"{facts.seconds:.0f} s, {facts.peak_mib:.0f} MiB"
    print(f"{recipe.name}: {facts.parameters:,} parameters, {size:,} bytes, {took}\n  {found}")


def build_series(series: Records) -> None:
    """Train all of a series, write its rows, and say what it took."""
    table = series.build()
    print(f"{series.name}: {len(table.rows)} rows, {table.seconds:.0f} s")


def measure(recipe: Recipe) -> None:
    """Write the peak of memory of the first steps into one's file."""
    print(f"{recipe.name}: {recipe.measure_memory():.0f} MiB at its highest")


if __name__ == "__main__":
    sys.exit(main())
