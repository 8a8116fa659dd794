"""Train the cached models anew: `python tools/models.py [NAME …]`, all of them without a name.

A name may also be that of a series of records, such as own_scaling; those that want a GPU are
made on request only. One thread, so that one machine makes the same weights every time.
"""

import argparse

import torch

from bigmodel_lib.cached import recipes
from bigmodel_lib.cached.records import Records, records

MOST = 12  # figures to print of a model


def main(arguments: list[str] | None = None) -> None:
    """Build the models named, or all, and print what they are worth."""
    known = recipes() | records()
    usual = [*recipes(), *(name for name, one in records().items() if not one.on_request)]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    names = parser.parse_args(arguments).names or usual
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no model {', '.join(unknown)}; there are {', '.join(known)}")
    torch.set_num_threads(1)
    for name in names:
        if isinstance(known[name], Records):
            table = known[name].build()
            print(f"{name}: {len(table.rows)} rows, {table.seconds:.0f} s")
            continue
        facts = known[name].build()
        size = known[name].path.stat().st_size
        shown = list(facts.figures.items())[:MOST]
        found = ", ".join(f"{what} {value:.4g}" for what, value in shown)
        found += f", … of {len(facts.figures)}" if len(facts.figures) > MOST else ""
        print(f"{name}: {facts.parameters:,} parameters, {size:,} bytes, {facts.seconds:.0f} s")
        print(f"  {found}")


if __name__ == "__main__":
    main()
