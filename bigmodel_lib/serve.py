"""A classifier behind HTTP: `python -m bigmodel_lib.serve MODEL`.

    GET  /health   what is served, and what it takes
    POST /predict  {"inputs": one input, or a list of them} → {"predictions": [...]}

Every request is checked before the model sees it. What is wrong with one is answered by a status
from 400 to 499 and {"detail": why}; nothing that a client sends may lead to a 500.
"""

import argparse
import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model

from bigmodel_lib.deployment import (
    Classifier,
    ModelFileError,
    Signature,
    load_classifier,
    probabilities,
)

COMMAND = "python -m bigmodel_lib.serve"
MAX_BATCH, MAX_BYTES = 64, 2_000_000
PATIENCE = 10  # seconds for a service to end what it is doing
READ_ON = 8  # times the limit: so much of a body that is too long is read, and forgotten


# --- what goes in and out ---


class Prediction(BaseModel):
    """The class with the highest probability, and the probabilities of all classes."""

    label: int
    probabilities: list[float]


class Answer(BaseModel):
    """One prediction for each input, in their order."""

    predictions: list[Prediction]


class Health(BaseModel):
    """What is served, and what it takes."""

    status: Literal["ok"] = "ok"
    shape: list[int]
    low: float
    high: float
    classes: int
    max_batch: int
    max_bytes: int


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


PROBLEMS = {
    400: {"model": Problem, "description": "The body cannot be read"},
    413: {"model": Problem, "description": "The body is too long"},
    422: {"model": Problem, "description": "The inputs do not fit the model"},
}


def query_type(signature: Signature, max_batch: int) -> type[BaseModel]:
    """The type of a request: one input, or 1 to max_batch of them, as nested lists of numbers."""
    limits = Field(ge=signature.low, le=signature.high, allow_inf_nan=False, strict=True)
    single = Annotated[float, limits]
    for size in reversed(signature.shape):
        single = _list_of(single, size, size)
    rank = len(signature.shape)
    kinds = {rank: "single", rank + 1: "batch"}
    choose = Discriminator(
        lambda value: kinds.get(_depth(value)),
        custom_error_type="shape",
        custom_error_message=f"need lists of shape {list(signature.shape)}, or a list of such",
    )
    batch = Annotated[_list_of(single, 1, max_batch), Tag("batch")]
    inputs = Annotated[Annotated[single, Tag("single")] | batch, choose]
    return create_model("Query", __config__=ConfigDict(extra="forbid"), inputs=(inputs, ...))


def _list_of(item: Any, shortest: int, longest: int) -> Any:
    # fail_fast: one reason is enough, and thousands take longer to collect than to read
    limits = Field(min_length=shortest, max_length=longest, strict=True, fail_fast=True)
    return Annotated[list[item], limits]


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        value, depth = value[0] if value else None, depth + 1
    return depth


# --- the service ---


def make_app(
    classifier: Classifier, *, max_batch: int = MAX_BATCH, max_bytes: int = MAX_BYTES
) -> FastAPI:
    """The web application round a classifier.

    Args:
        classifier: of `load_classifier`.
        max_batch: inputs in one request, at most.
        max_bytes: of the body of one request, at most.
    """
    signature = classifier.signature
    Query = query_type(signature, max_batch)
    # without the pages of documentation: they load scripts from elsewhere
    app = FastAPI(title=COMMAND, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, max_bytes=max_bytes)
    app.add_exception_handler(RequestValidationError, _refuse)

    @app.get("/health")
    def health() -> Health:
        given = vars(signature) | {"shape": list(signature.shape)}
        return Health(**given, max_batch=max_batch, max_bytes=max_bytes)

    @app.post("/predict", responses=PROBLEMS)
    def predict(query: Query) -> Answer:
        inputs = np.array(query.inputs, dtype=np.float32).reshape(-1, *signature.shape)
        found = probabilities(classifier(inputs))
        if not np.isfinite(found).all():
            raise HTTPException(422, "the model gives no finite scores for these inputs")
        predictions = [Prediction(label=row.argmax(), probabilities=row.tolist()) for row in found]
        return Answer(predictions=predictions)

    return app


def _refuse(_request: Request, error: RequestValidationError) -> JSONResponse:
    """The first reason in words, without what was sent: that may be long, or not be JSON."""
    first = error.errors()[0]
    where = " → ".join(str(part) for part in first["loc"])
    return JSONResponse({"detail": f"{where}: {first['msg']}"}, status_code=422)


class BodyLimit:
    """ASGI middleware that refuses a body longer than so many bytes with 413.

    The bytes are counted as they come: a client may leave out their number, or lie about it.
    """

    def __init__(self, app, max_bytes: int):
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope, receive, send) -> None:
        """Pass the request on, with a counter in its way."""
        seen = 0

        async def counted():
            """The next part of the body, as long as all parts together are within the limit."""
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen <= self._max_bytes:
                return message
            # a client that is still sending would not see the answer
            while message.get("more_body") and seen <= READ_ON * self._max_bytes:
                message = await receive()
                seen += len(message.get("body", b""))
            raise HTTPException(413, f"need a body of at most {self._max_bytes:,} bytes")

        await self._app(scope, counted if scope["type"] == "http" else receive, send)


# --- the command ---


def main(argv: list[str] | None = None) -> int:
    """Serve a model until SIGTERM or Ctrl-C; 0, or 1 if it could not begin."""
    asked = _parser().parse_args(argv)
    try:
        classifier = load_classifier(asked.model, asked.threads)
        listener = _listen(asked.host, asked.port)
    except (ModelFileError, OSError) as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return 1
    app = make_app(classifier, max_batch=asked.max_batch, max_bytes=asked.max_bytes)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=PATIENCE
    )
    # uvicorn ends on a signal, then raises it again for whoever handled it before
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with listener, contextlib.suppress(KeyboardInterrupt):
        host, port = listener.getsockname()[:2]
        print(f"http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """A socket on which clients may already wait, before the service runs."""
    (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # asyncio sends at once, without waiting 40 ms for more, only where the protocol is named
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there it would let two services share one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Serve a classifier by HTTP: GET /health, POST /predict, GET /openapi.json.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("model", help="a .onnx or .safetensors file; no other kind is read")
    parser.add_argument("--host", default="127.0.0.1", help="the default is this machine alone")
    parser.add_argument("--port", type=_count(0, 65535), default=8000, help="0: any free one")
    parser.add_argument("--threads", type=_count(1), default=1, help="of the model")
    parser.add_argument(
        "--max-batch", type=_count(1), default=MAX_BATCH, help="inputs in one request"
    )
    parser.add_argument("--max-bytes", type=_count(1), default=MAX_BYTES, help="of a request")
    return parser


def _count(lowest: int, highest: float = float("inf")):
    def whole_number(text: str) -> int:
        if not lowest <= int(text) <= highest:
            raise ValueError
        return int(text)

    return whole_number


@dataclass(frozen=True)
class Service:
    """A service in a process of its own.

    Attributes:
        url: its address.
        process: where it runs.
    """

    url: str
    process: subprocess.Popen


@contextlib.contextmanager
def started(model, *options: str) -> Iterator[Service]:
    """Serve a model file in a process of its own, on a free port; ended at the end.

    Args:
        model: the file.
        options: of the command.

    Raises:
        RuntimeError: it did not begin; says why.
    """
    command = [sys.executable, "-m", "bigmodel_lib.serve", str(model), "--port", "0", *options]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            url = process.stdout.readline().strip()
            if not url:
                process.wait(PATIENCE)
                log.seek(0)
                raise RuntimeError(f"the service did not begin: {log.read().strip()}")
            yield Service(url, process)
        finally:
            _end(process)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(2 * PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


if __name__ == "__main__":
    sys.exit(main())
