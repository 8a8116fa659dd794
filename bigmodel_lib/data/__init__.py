"""Data for the chapters: embedded sources first, public data sets as an option.

Nothing here is needed to be downloaded.  `DATASETS` lists what can be; `fetch` gets one file.
This module stays light: scikit-learn and torch load with the submodule that uses them.
"""

from bigmodel_lib.data.catalogue import DATASETS
from bigmodel_lib.data.download import DownloadError, RemoteFile, cache_folder, fetch, is_cached

__all__ = ["DATASETS", "DownloadError", "RemoteFile", "cache_folder", "fetch", "is_cached"]
