"""The service: asked, misused, fuzzed by its own description, and stopped."""

import json
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests
import schemathesis
import torch
from hypothesis import HealthCheck, given, settings

from bigmodel_lib import serve
from bigmodel_lib.deployment import FLOAT32, probabilities
from bigmodel_lib.serve import started
from tests import onnx_models
from tests.onnx_models import write

MAX_BATCH, MAX_BYTES = 3, 20_000
ONE = [[1, 2.5, 3], [-2, 0, 0.5]]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("models") / "small.onnx")


@pytest.fixture(scope="module")
def service(model):
    limits = ("--max-batch", str(MAX_BATCH), "--max-bytes", str(MAX_BYTES))
    with started(model, *limits) as service:
        yield service


@pytest.fixture
def ask(service):
    """Post a body, or inputs as JSON, to /predict."""

    def ask(inputs=None, **options) -> requests.Response:
        if inputs is not None:
            options["json"] = {"inputs": inputs}
        return requests.post(f"{service.url}/predict", timeout=60, **options)

    return ask


JSON = {"content-type": "application/json"}


# --- right requests ---


def test_health_says_what_is_served(service):
    answer = requests.get(f"{service.url}/health", timeout=60)
    limits = {"max_batch": MAX_BATCH, "max_bytes": MAX_BYTES}
    expected = {"status": "ok", "shape": [2, 3], "low": -2.0, "high": 3.0, "classes": 5}
    assert (answer.status_code, answer.json()) == (200, expected | limits)


@pytest.mark.parametrize("inputs", [ONE, [ONE], [ONE, [[0, 0, 0], [0, 0, 0]], ONE]])
def test_predictions_are_the_models(ask, inputs):
    answer = ask(inputs)
    expected = probabilities(onnx_models.scores(inputs))
    assert answer.status_code == 200
    found = answer.json()["predictions"]
    np.testing.assert_allclose([p["probabilities"] for p in found], expected, rtol=1e-4)
    assert [p["label"] for p in found] == expected.argmax(1).tolist()


def test_both_ends_of_the_range_are_in_it(ask):
    assert ask([[-2, -2, -2], [3, 3, 3]]).status_code == 200


def test_many_clients_at_once_get_each_their_own_answer(ask):
    inputs = [[[x, 0, 0], [0, 0, 0]] for x in np.linspace(-2, 3, 24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, inputs))
    found = [answer.json()["predictions"][0]["probabilities"] for answer in answers]
    np.testing.assert_allclose(found, probabilities(onnx_models.scores(inputs)), rtol=1e-4)


# --- wrong ones ---


def with_value(value) -> list:
    return [[1, 2, 3], [0, value, 0]]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([1, 2, 3], "need lists of shape [2, 3]"),
        ([], "need lists of shape [2, 3]"),
        ("images", "need lists of shape [2, 3]"),
        (7, "need lists of shape [2, 3]"),
        ([[[[1]]]], "need lists of shape [2, 3]"),
        ([[1, 2, 3]], "at least 2 items"),
        ([[1, 2], [3, 4]], "at least 3 items"),
        ([[1, 2, 3, 4], [1, 2, 3, 4]], "at most 3 items"),
        ([[1, 2, 3], [1, 2, 3], [1, 2, 3]], "at most 2 items"),
        ([ONE] * (MAX_BATCH + 1), "at most 3 items"),
        ([[1, 2, 3], 4], "valid list"),
        ([ONE, []], "at least 2 items"),
        (with_value(3.001), "less than or equal to 3"),
        (with_value(-2.001), "greater than or equal to -2"),
        (with_value(True), "valid number"),
        (with_value("1"), "valid number"),
        (with_value([1]), "valid number"),
        (with_value({}), "valid number"),
        (with_value(10**400), "valid number"),
    ],
)
def test_wrong_inputs_get_the_reason(ask, inputs, reason):
    answer = ask(inputs)
    assert answer.status_code == 422
    assert list(answer.json()) == ["detail"]
    assert reason in answer.json()["detail"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_get_the_reason(ask, number):
    answer = ask(data=f'{{"inputs": [[{number}, 0, 0], [0, 0, 0]]}}', headers=JSON)
    assert answer.status_code == 422
    assert "finite number" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"null", 422),
        (b'{"input": 1}', 422),
        (json.dumps({"inputs": ONE, "model": "other"}).encode(), 422),
        (b"\xff", 400),  # no UTF-8
        (b"[" * 15_000, 400),  # deeper than Python's own stack
        (b'{"inputs": ' + b"1" * 5_000 + b"}", 400),  # more digits than Python reads
    ],
    ids=lambda value: repr(value)[:30],
)
def test_wrong_bodies_get_a_reason(ask, body, status):
    answer = ask(data=body, headers=JSON)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert "Traceback" not in answer.text


def test_a_body_that_is_not_declared_as_json_is_refused(ask):
    answer = ask(data=json.dumps({"inputs": ONE}), headers={"content-type": "text/plain"})
    assert answer.status_code == 422


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 5 * MAX_BYTES, 20 * MAX_BYTES])
def test_a_body_too_long_is_refused_with_and_without_its_length(ask, size):
    for body in (b" " * size, (b" " * 1000 for _ in range(-(-size // 1000)))):
        answer = ask(data=body, headers=JSON)
        assert answer.status_code == 413
        assert answer.json() == {"detail": "need a body of at most 20,000 bytes"}


def test_a_body_of_just_the_limit_is_read(ask):
    body = json.dumps({"inputs": ONE}).encode().ljust(MAX_BYTES)
    assert ask(data=body, headers=JSON).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("POST", "/health", 405),
        ("GET", "/", 404),
        ("GET", "/docs", 404),  # the pages of documentation load scripts from elsewhere
        ("GET", "/redoc", 404),
        ("GET", "/../serve.py", 404),
    ],
)
def test_other_methods_and_paths(service, method, path, status):
    answer = requests.request(method, service.url + path, timeout=60)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]


def test_scores_that_overflow_are_the_requests_fault(tmp_path):
    path = write(tmp_path / "small.onnx", signature=None)  # so any float32 may come
    with started(path) as service:
        answers = [
            requests.post(f"{service.url}/predict", json={"inputs": [[x] * 3] * 2}, timeout=60)
            for x in (FLOAT32, 1.0)
        ]
    assert [answer.status_code for answer in answers] == [422, 200]
    assert "no finite scores" in answers[0].json()["detail"]


# --- by its own description ---


@pytest.fixture(scope="module")
def description(service):
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


@pytest.mark.parametrize("kind", schemathesis.GenerationMode)
def test_fuzzed_predict_answers_as_it_describes(service, description, kind):
    """What fits the description is answered, what does not is refused, all as described."""
    statuses = set()

    @given(case=description["/predict"]["POST"].as_strategy(generation_mode=kind))
    @settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None)
    def fuzz(case):
        statuses.add(case.call_and_validate().status_code)

    fuzz()
    expected = {200} if kind is schemathesis.GenerationMode.POSITIVE else {400, 422}
    assert statuses
    assert statuses <= expected
    assert requests.get(f"{service.url}/health", timeout=60).status_code == 200


def test_fuzzed_health_answers_as_it_describes(description):
    @given(case=description["/health"]["GET"].as_strategy())
    @settings(max_examples=5, suppress_health_check=list(HealthCheck), database=None)
    def fuzz(case):
        case.call_and_validate()

    fuzz()


# --- the process ---


def test_it_listens_on_loopback_alone(service):
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(service.process.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_it_stops_cleanly(model, name):
    with started(model) as service:
        requests.get(f"{service.url}/health", timeout=60)
        service.process.send_signal(signal.Signals[name])
        assert service.process.wait(30) == 0
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{service.url}/health", timeout=60)


def test_leaving_the_block_leaves_no_process_even_after_an_error(model):
    with pytest.raises(KeyError), started(model) as service:
        raise KeyError("in the block")
    assert not psutil.pid_exists(service.process.pid)


def test_one_that_cannot_begin_says_why(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({}, path)
    reason = r"did not begin: .*need a \.safetensors or \.onnx"
    with pytest.raises(RuntimeError, match=reason), started(path):
        pass


def test_a_port_in_use_is_told(model, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert serve.main([str(model), "--port", port]) == 1
    assert "Address already in use" in capsys.readouterr().err


def test_answers_leave_at_once():
    """Named TCP: otherwise asyncio keeps Nagle's algorithm, and each answer waits 40 ms."""
    with serve._listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    "options",
    [["--port", "-1"], ["--port", "65536"], ["--threads", "0"], ["--max-batch", "x"], []],
    ids=str,
)
def test_options_that_cannot_be(model, options, capsys):
    with pytest.raises(SystemExit) as stop:
        serve.main([str(model), *options] if options else [])
    assert stop.value.code == 2
    assert "usage: python -m bigmodel_lib.serve" in capsys.readouterr().err


def test_help_names_every_option():
    command = [sys.executable, "-m", "bigmodel_lib.serve", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    for word in ("--host", "--port", "--threads", "--max-batch", "--max-bytes", "127.0.0.1"):
        assert word in result.stdout
