"""A JupyterHub for a class on one machine: jupyterhub --config classroom/jupyterhub_config.py

README.md beside this file says what to prepare. What a teacher may want to change comes from
the environment:

CLASSROOM_FOLDER     holds students.txt, teachers.txt, course/, exchange/, and hub/, which it makes
CLASSROOM_LOGIN      pam: accounts of this machine; shared-password: to try it out, no accounts
CLASSROOM_ADDRESS    where to listen; a proxy with TLS is expected before it
CLASSROOM_PORT       the hub's port; the three after it are for its parts, on 127.0.0.1
CLASSROOM_MEMORY     GiB for each student
CLASSROOM_CORES      processor cores for each student
CLASSROOM_GRADER     the account that grades (pam)
CLASSROOM_PASSWORD, CLASSROOM_TEACHER_PASSWORD    for shared-password
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

c = get_config()  # noqa: F821 -- jupyterhub provides it

HERE = Path(__file__).resolve().parent
COURSE = "bigmodel"  # as in notebooks/assignments/nbgrader_config.py
HOUR, PATIENCE = 3600, 180  # seconds


def setting(name: str, default: str) -> str:
    return os.environ.get(f"CLASSROOM_{name}") or default


def names(file: Path) -> set[str]:
    """The names in a file, one a line; what follows a # is a remark.

    Raises:
        SystemExit: there is no such file.
    """
    if not file.is_file():
        raise SystemExit(f"need {file} with one name a line, found no such file")
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    return {line for line in lines if line}


def beside(command: str) -> str:
    """A command of the environment that runs the hub."""
    return str(Path(sys.executable).with_name(command))


def with_systemd() -> bool:
    """Whether systemd runs here, so that it can hold students to their memory.

    Raises:
        SystemExit: it does, but the package that speaks to it is missing.
    """
    if not Path("/run/systemd/system").is_dir():
        return False
    if importlib.util.find_spec("systemdspawner") is None:
        raise SystemExit("need jupyterhub-systemdspawner where systemd runs: pip install '.[hub]'")
    return True


FOLDER = Path(setting("FOLDER", "/srv/classroom"))
LOGIN = setting("LOGIN", "pam")
PORT = int(setting("PORT", "8000"))
PATH = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
MEMORY = float(setting("MEMORY", "2"))  # GiB: a chapter takes up to 1.2, Jupyter 0.1
CORES = float(setting("CORES", "2"))

# Who may come in. The files alone decide: whoever is taken out of them stays out.
teachers, students = names(FOLDER / "teachers.txt"), names(FOLDER / "students.txt")
if not teachers:
    raise SystemExit(f"need at least one name in {FOLDER / 'teachers.txt'}, found none")
c.Authenticator.admin_users = teachers
c.Authenticator.allowed_users = teachers | students
c.Authenticator.allow_existing_users = False
c.JupyterHub.load_groups = {"teachers": {"users": sorted(teachers)}}

# Where to listen.
c.JupyterHub.bind_url = f"http://{setting('ADDRESS', '127.0.0.1')}:{PORT}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{PORT + 1}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{PORT + 2}"
grading_url = f"http://127.0.0.1:{PORT + 3}"

# The hub's own files, which are nobody else's business.
own = FOLDER / "hub"
own.mkdir(mode=0o700, exist_ok=True)
c.JupyterHub.db_url = f"sqlite:///{own / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(own / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(own / "proxy.pid")
c.ConfigurableHTTPProxy.command = [
    shutil.which("configurable-http-proxy", path=PATH) or "configurable-http-proxy"
]

# A student's server.
to_everyone = {
    "CLASSROOM_LOGIN": LOGIN,
    "CLASSROOM_EXCHANGE": str(FOLDER / "exchange"),
    "JUPYTER_CONFIG_PATH": str(HERE / "settings" / "everyone"),
    "PATH": PATH,  # nbgrader calls jupyter and alembic by their names
    # Threads that wait sleep, and nobody starts more of them than there are cores to have.
    "OMP_WAIT_POLICY": "passive",
    "OMP_NUM_THREADS": str(max(1, round(CORES))),
}
to_students = to_everyone | {
    "JUPYTER_CONFIG_PATH": f"{HERE / 'settings' / 'students'}:{HERE / 'settings' / 'everyone'}",
}
c.Spawner.environment = to_students
c.Spawner.cmd = [beside("jupyterhub-singleuser")]
c.Spawner.default_url = "/lab"
c.Spawner.disable_user_config = True  # a student cannot change how the own server is guarded
c.Spawner.mem_limit = int(MEMORY * 2**30)
c.Spawner.cpu_limit = CORES
# A class comes all at once, and a busy machine starts servers slowly.
c.LocalProcessSpawner.interrupt_timeout = 5  # asked to end, a server does or never will
c.Spawner.start_timeout = c.Spawner.http_timeout = PATIENCE

as_root = []
if LOGIN == "pam":
    c.JupyterHub.authenticator_class = "pam"
    c.JupyterHub.spawner_class = "systemd" if with_systemd() else "localprocess"
elif LOGIN == "shared-password":
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = setting("PASSWORD", "")
    c.SharedPasswordAuthenticator.admin_password = setting("TEACHER_PASSWORD", "")
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = str(FOLDER / "homes" / "{username}")
    if os.getuid() == 0:  # as in a container
        c.Spawner.args = as_root = ["--allow-root"]
else:
    raise SystemExit(f"need CLASSROOM_LOGIN=pam or shared-password, got {LOGIN!r}")

if c.JupyterHub.spawner_class == "systemd":
    c.SystemdSpawner.isolate_tmp = True
    c.SystemdSpawner.unit_extra_properties = {"TasksMax": "512"}
    c.JupyterHub.cleanup_servers = False  # they go on while the hub starts anew
elif shutil.which("prlimit"):
    # Without systemd nothing counts a student's memory together: each process has the limit.
    c.Spawner.cmd = ["prlimit", f"--data={int(MEMORY * 2**30)}", *c.Spawner.cmd]

# The course: teachers find it under Services, and nobody else can open it.
course = {
    "name": COURSE,
    "url": grading_url,
    "command": [beside("jupyterhub-singleuser"), *as_root],
    "oauth_no_confirm": True,  # it is ours: nothing to ask the teacher
    "timeout": PATIENCE,  # without its services a hub does not start
    "cwd": str(FOLDER / "course"),
    "environment": to_everyone
    | {"CLASSROOM_COURSE": str(FOLDER / "course"), "JUPYTERHUB_DEFAULT_URL": "/formgrader"},
}
if LOGIN == "pam":
    course["user"] = setting("GRADER", "grader")

# Servers that nobody has used for two hours are stopped; what was saved stays.
culler = {
    "name": "idle-culler",
    "command": [
        *(sys.executable, "-m", "jupyterhub_idle_culler"),
        *(f"--timeout={2 * HOUR}", "--cull-every=300"),
    ],
    "cwd": str(FOLDER),
}
c.JupyterHub.services = [course, culler]
c.JupyterHub.load_roles = [
    {
        "name": "teacher",
        "groups": ["teachers"],
        "scopes": [f"access:services!service={COURSE}"],
    },
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    },
]
