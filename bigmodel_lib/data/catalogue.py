"""The optional public data sets: their files, hashes and addresses.

To add one, add its files to `DATASETS`; the check-up and its `--fetch` then know it.
"""

from bigmodel_lib.data.download import RemoteFile


def _files(folder: str, mirrors: tuple[str, ...], *rows: str) -> tuple[RemoteFile, ...]:
    """Each row: SHA-256, bytes, file name; mirrors are the addresses of the file's folder."""
    split = [row.split() for row in rows]
    return tuple(
        RemoteFile(f"{folder}/{name}", sha256, tuple(url + name for url in mirrors), int(size))
        for sha256, size, name in split
    )


# Hashes and sizes as in TensorFlow Datasets' records of the same files
# (tensorflow_datasets/url_checksums/mnist.txt, fashion_mnist.txt and movielens.txt).
DATASETS: dict[str, tuple[RemoteFile, ...]] = {
    # The authors' own server is closed to downloads; PyTorch's and TensorFlow's mirrors.
    "mnist": _files(
        "mnist",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        " 9912422 train-images-idx3-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        " 28881 train-labels-idx1-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        " 1648877 t10k-images-idx3-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        " 4542 t10k-labels-idx1-ubyte.gz",
    ),
    # Both addresses are the authors' own, from the README of their repository.
    "fashion-mnist": _files(
        "fashion-mnist",
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        " 26421880 train-images-idx3-ubyte.gz",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        " 29515 train-labels-idx1-ubyte.gz",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        " 4422102 t10k-images-idx3-ubyte.gz",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        " 5148 t10k-labels-idx1-ubyte.gz",
    ),
    # GroupLens' own server; the licence forbids to pass the file on.
    "movielens-100k": _files(
        "movielens-100k",
        ("https://files.grouplens.org/datasets/movielens/",),
        "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229 4924029 ml-100k.zip",
    ),
    # GLUE's own address; hash and size as in TensorFlow Datasets' record of it
    # (tensorflow_datasets/url_checksums/glue.txt).
    "sst-2": _files(
        "sst-2",
        ("https://dl.fbaipublicfiles.com/glue/data/",),
        "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa 7439277 SST-2.zip",
    ),
    # GitHub's archive of a tag; hash and size as in TensorFlow Datasets' record of it
    # (tensorflow_datasets/audio/spoken_digit/checksums.tsv).
    "spoken-digits": _files(
        "spoken-digits",
        ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/",),
        "8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0 11975353 v1.0.9.tar.gz",
    ),
}
