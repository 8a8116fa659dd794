"""`python -m bigmodel_lib`: a check-up of the machine, and optional downloads."""

import argparse
import importlib.util
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import torch

from bigmodel_lib.data import DATASETS, DownloadError, cache_folder, fetch, is_cached
from bigmodel_lib.data.download import CACHE_VARIABLE, shown
from bigmodel_lib.device import pick_device

COMMAND = "python -m bigmodel_lib"
PACKAGES = (
    "bigmodel_lib",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "safetensors",
    "pooch",
    "tqdm",
    "optuna",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "fastapi",
    "uvicorn",
    "ipywidgets",
    "ipykernel",
    "jupyterlab",
)
# Families with the characters of simplified Chinese, as Linux, macOS and Windows name them.
CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",  # matplotlib reads the first face of the collection, which is this one
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "STHeiti",
    "Microsoft YaHei",
    "SimHei",
    "SimSun",
    "Arial Unicode MS",
    "Droid Sans Fallback",
)
MEMORY_LIMITS = (  # where Linux says how much a container may use: control groups 2 and 1
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def main(argv: list[str] | None = None) -> int:
    """Print the check-up, or download a data set; 0, or 1 if a download failed."""
    asked = _parser().parse_args(argv)
    if asked.fetch is None:
        print(check_up())
        return 0
    try:
        for file in DATASETS[asked.fetch]:
            print(f"{file.name}: {shown(fetch(file))}", flush=True)
    except DownloadError as error:
        print(f"{COMMAND} --fetch {asked.fetch}: {error}", file=sys.stderr)
        return 1
    return 0


def check_up() -> str:
    """What this machine offers: versions, device, memory, threads, data, fonts.

    Returns:
        Lines of text under headings; what is missing comes with how to get it.
    """
    machine = [("device", _device()), ("memory", _memory()), ("CPU threads", _threads())]
    sections = {
        "Versions": [("python", platform.python_version()), *map(_version, PACKAGES)],
        "Machine": machine,
        "Optional data": [_cache(), *((name, _data_set(name)) for name in DATASETS)],
        "Chinese labels": [("font", _chinese_font())],
    }
    return "\n\n".join(_section(title, rows) for title, rows in sections.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=COMMAND, description="Print a check-up of the machine.")
    parser.add_argument(
        "--fetch",
        metavar="NAME",
        choices=sorted(DATASETS),
        help=f"download an optional data set into the cache: {', '.join(sorted(DATASETS))}",
    )
    return parser


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    return "\n".join([title, *(f"  {name:<14} {value}" for name, value in rows)])


def _version(package: str) -> tuple[str, str]:
    try:
        return package, metadata.version(package)
    except metadata.PackageNotFoundError:
        return package, f"not installed: {_install(package)}"


def _install(package: str) -> str:
    return "pip install -e ." if package == "bigmodel_lib" else f"pip install {package}"


def _device() -> str:
    device = pick_device()
    if device.type == "cpu":
        return "cpu (no GPU that PyTorch can use; every chapter runs without one)"
    module = torch.get_device_module(device)
    if not hasattr(module, "mem_get_info"):  # Apple's GPU shares the main memory
        return f"{device.type} (shares the main memory)"
    free, total = module.mem_get_info()
    return f"{device.type}: {module.get_device_name()}, {_size(free)} free of {_size(total)}"


def _memory() -> str:
    if importlib.util.find_spec("psutil") is None:
        return f"unknown, psutil is not installed: {_install('psutil')}"
    import psutil

    memory = psutil.virtual_memory()
    limit = _memory_limit()
    text = f"{_size(memory.available)} free of {_size(memory.total)}"
    # In a container the machine's memory is not what we may use.
    return text if limit is None or limit >= memory.total else f"limit {_size(limit)} ({text})"


def _memory_limit() -> int | None:
    """Bytes that the container allows; None where there is no container or no limit."""
    for path in MEMORY_LIMITS:
        if path.is_file():
            text = path.read_text().strip()
            return None if text == "max" else int(text)
    return None


def _threads() -> str:
    return f"{torch.get_num_threads()} for PyTorch, of {os.cpu_count()} in the machine"


def _cache() -> tuple[str, str]:
    return "cache folder", f"{shown(cache_folder())} ({CACHE_VARIABLE} sets another)"


def _data_set(name: str) -> str:
    files = DATASETS[name]
    try:
        missing = [file for file in files if not is_cached(file)]
    except OSError as error:
        return f"the cache cannot be read: {error}"
    if not missing:
        return "cached"
    size = _size(sum(file.size or 0 for file in missing))
    return f"{len(missing)} of {len(files)} files missing, {size}: {COMMAND} --fetch {name}"


def _chinese_font() -> str:
    if importlib.util.find_spec("matplotlib") is None:
        return f"unknown, matplotlib is not installed: {_install('matplotlib')}"
    from matplotlib import font_manager, get_cachedir

    here = {font.name for font in font_manager.fontManager.ttflist}
    found = [name for name in CHINESE_FONTS if name in here]
    if found:
        return found[0]
    return (
        "none: install Noto Sans CJK (Debian and Ubuntu: apt install fonts-noto-cjk; others: "
        "github.com/notofonts/noto-cjk), then delete fontlist-*.json in "
        f"{shown(Path(get_cachedir()))}"
    )


def _size(count: int) -> str:
    """Bytes as people read them, in powers of 1,000."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
