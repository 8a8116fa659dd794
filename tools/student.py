"""A simulated student in a JupyterHub: logs in by the form, starts a server, runs cells.

Speaks to the hub's public address alone, with cookies, as a browser does.
"""

import json
import time
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

import requests
import websocket

PATIENCE = 180.0  # seconds; a class that comes all at once keeps a small machine busy


class Refused(Exception):
    """The hub, or what is behind it, said no."""


class Student:
    """One browser: a session of cookies at a hub's address."""

    def __init__(self, hub: str, name: str):
        self.hub, self.name, self.session = hub.rstrip("/"), name, requests.Session()
        self.server = f"/user/{name}"

    def token(self, path: str) -> str:
        """What a form or call under that path sends along, so that no other site can send it."""
        fitting = [
            cookie
            for cookie in self.session.cookies
            if cookie.name == "_xsrf" and path.startswith(cookie.path)
        ]
        return max(fitting, key=lambda cookie: len(cookie.path)).value if fitting else ""

    def call(self, method: str, path: str, **options) -> requests.Response:
        """Ask for a path of the hub's address; options are those of requests."""
        headers = {"X-XSRFToken": self.token(path), "Referer": f"{self.hub}{path}"}
        return self.session.request(
            method, self.hub + path, headers=headers, timeout=PATIENCE, **options
        )

    def ask(self, method: str, path: str, **options) -> requests.Response:
        """The same, for what has to succeed.

        Raises:
            Refused: the answer is an error; says which.
        """
        answer = self.call(method, path, **options)
        if not answer.ok:
            text = answer.text[:2000]
            raise Refused(f"{self.name}: {method} {path} → {answer.status_code}\n{text}")
        return answer

    def log_in(self, password: str) -> None:
        """Fill in the login form, and send it.

        Raises:
            Refused: wrong name or password.
        """
        self.ask("GET", "/hub/login")
        form = {"username": self.name, "password": password, "_xsrf": self.token("/hub/")}
        self.ask("POST", "/hub/login", data=form, allow_redirects=False)

    def start_server(self) -> None:
        """Start the own server, wait until it answers, and open JupyterLab once.

        Raises:
            Refused: it did not start; says what the hub says.
        """
        self.ask("GET", f"/hub/spawn/{self.name}")
        path = f"/hub/api/users/{self.name}/server/progress"
        query = {"_xsrf": self.token(path)}
        with self.ask("GET", path, params=query, stream=True) as progress:
            for line in progress.iter_lines(decode_unicode=True):
                event = json.loads(line.partition(":")[2]) if line.startswith("data:") else {}
                if event.get("failed"):
                    raise Refused(f"{self.name}: {event}")
        self.open(f"{self.server}/lab")

    def open(self, path: str) -> requests.Response:
        """Open a page as a browser does: what it asks for at the hub leaves a cookie behind."""
        page = self.ask("GET", path)
        if urlsplit(page.url).path.startswith("/hub/"):
            raise Refused(f"{self.name}: {path} leads to {page.url}")
        return page

    def start_kernel(self) -> "Kernel":
        """A kernel on the own server, ready for cells."""
        model = self.ask("POST", f"{self.server}/api/kernels", json={"name": "python3"}).json()
        return Kernel(self, model["id"])


class Kernel:
    """A kernel behind a websocket.

    The messages are those of https://jupyter-client.readthedocs.io/en/stable/messaging.html.
    """

    def __init__(self, student: Student, kernel: str):
        self.id, self.run_by = uuid.uuid4().hex, student.name
        path = f"{student.server}/api/kernels/{kernel}/channels"
        jar = requests.cookies.get_cookie_header(
            student.session.cookies, requests.Request("GET", student.hub + path).prepare()
        )
        query = f"session_id={self.id}&_xsrf={student.token(path)}"
        address = student.hub.replace("http", "ws", 1) + f"{path}?{query}"
        self.socket = websocket.create_connection(
            address, cookie=jar, origin=student.hub, timeout=PATIENCE
        )
        self.request(
            "kernel_info_request", {}, lambda message: message["msg_type"].endswith("_reply")
        )

    def request(self, kind: str, content: dict, last: Callable[[dict], bool]) -> list[dict]:
        """Send a message, and collect what answers it up to the last one."""
        sent = self.send(kind, content)
        answers, end = [], time.monotonic() + PATIENCE
        while not (answers and last(answers[-1])):
            message = json.loads(self.socket.recv())
            if message["parent_header"].get("msg_id") == sent:
                answers.append(message)
            if time.monotonic() > end:
                raise Refused(f"{self.run_by}: no answer to {kind} within {PATIENCE:.0f} s")
        return answers

    def send(self, kind: str, content: dict) -> str:
        """Returns the message's id."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": self.id}
        header |= {"username": self.run_by, "version": "5.3", "date": ""}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.send(json.dumps(message | {"channel": "shell", "buffers": []}))
        return header["msg_id"]

    def run(self, code: str) -> str:
        """What a cell prints.

        Raises:
            Refused: the cell raised; says what.
        """
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        content |= {"user_expressions": {}, "stop_on_error": True}
        answers = self.request(
            "execute_request",
            content,
            lambda message: message["content"].get("execution_state") == "idle",
        )
        for message in answers:
            if message["msg_type"] == "error":
                raise Refused(f"{message['content']['ename']}: {message['content']['evalue']}")
        printed = [m["content"]["text"] for m in answers if m["msg_type"] == "stream"]
        return "".join(printed)

    def close(self) -> None:
        self.socket.close()
