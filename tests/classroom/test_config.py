"""What jupyterhub_config.py makes of the environment; no hub is started."""

import json
from pathlib import Path

import pytest
from traitlets.config import Config, PyFileConfigLoader

ROOT = Path(__file__).resolve().parents[2]
CLASSROOM = ROOT / "classroom"


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads the configuration for a class of two, with settings as given."""
    (tmp_path / "students.txt").write_text("student01  # first row\n\nstudent02\n")
    (tmp_path / "teachers.txt").write_text("teacher01\n")
    (tmp_path / "exchange").mkdir()

    def read(**settings: str) -> Config:
        monkeypatch.setenv("CLASSROOM_FOLDER", str(tmp_path))
        for name, value in settings.items():
            monkeypatch.setenv(f"CLASSROOM_{name}", value)
        return PyFileConfigLoader("jupyterhub_config.py", path=str(CLASSROOM)).load_config()

    return read


def test_the_lists_alone_say_who_may_come_in(read):
    c = read()
    assert c.Authenticator.allowed_users == {"student01", "student02", "teacher01"}
    assert c.Authenticator.admin_users == {"teacher01"}
    assert c.Authenticator.allow_existing_users is False


def test_without_a_teacher_there_is_no_class(read, tmp_path):
    (tmp_path / "teachers.txt").write_text("# nobody yet\n")
    with pytest.raises(SystemExit, match=r"need at least one name in .*teachers.txt"):
        read()


@pytest.mark.parametrize("file", ["students.txt", "teachers.txt"])
def test_without_a_list_there_is_no_class(read, tmp_path, file):
    (tmp_path / file).unlink()
    with pytest.raises(SystemExit, match=rf"need .*{file} with one name a line"):
        read()


def test_an_unknown_way_to_log_in_is_refused(read):
    with pytest.raises(SystemExit, match="need CLASSROOM_LOGIN=pam or shared-password, got 'none'"):
        read(LOGIN="none")


def test_it_listens_to_this_machine_alone_unless_told_otherwise(read):
    c = read(PORT="9000")
    assert c.JupyterHub.bind_url == "http://127.0.0.1:9000"
    inner = [c.ConfigurableHTTPProxy.api_url, c.JupyterHub.hub_bind_url]
    inner += [service["url"] for service in c.JupyterHub.services if "url" in service]
    assert inner == [f"http://127.0.0.1:{port}" for port in (9001, 9002, 9003)]
    assert read(ADDRESS="192.0.2.1", PORT="9000").JupyterHub.bind_url == "http://192.0.2.1:9000"


@pytest.fixture
def on_systemd(monkeypatch):
    """Says whether systemd runs here, and whether the spawner that speaks to it is installed."""
    real = Path.is_dir

    def on_systemd(runs: bool, installed: bool = True) -> None:
        def is_dir(path: Path) -> bool:
            return runs if str(path) == "/run/systemd/system" else real(path)

        monkeypatch.setattr(Path, "is_dir", is_dir)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: installed or None)

    return on_systemd


@pytest.mark.parametrize(("runs", "spawner"), [(True, "systemd"), (False, "localprocess")])
def test_accounts_come_with_a_spawner_that_becomes_them(read, on_systemd, runs, spawner):
    on_systemd(runs)
    c = read(LOGIN="pam")
    assert (c.JupyterHub.authenticator_class, c.JupyterHub.spawner_class) == ("pam", spawner)
    assert c.JupyterHub.services[0]["user"] == "grader"
    assert "args" not in c.Spawner  # no --allow-root


def test_where_systemd_runs_its_spawner_must_be_there(read, on_systemd):
    on_systemd(True, installed=False)
    with pytest.raises(SystemExit, match="need jupyterhub-systemdspawner"):
        read(LOGIN="pam")


def test_nobody_but_the_hub_reads_its_database(read, tmp_path):
    file = Path(read().JupyterHub.db_url.removeprefix("sqlite:///"))
    assert file.parent.is_relative_to(tmp_path)
    assert file.parent.stat().st_mode & 0o077 == 0


def test_the_memory_of_each_student_is_what_the_teacher_says(read):
    assert read(MEMORY="1.5").Spawner.mem_limit == 3 * 2**29


def test_only_graders_learn_where_the_course_is(read):
    c = read()
    assert "CLASSROOM_COURSE" in c.JupyterHub.services[0]["environment"]
    assert "CLASSROOM_COURSE" not in c.Spawner.environment


def test_each_setting_is_one_that_jupyterhub_has(read, on_systemd):
    pytest.importorskip("jupyterhub")
    pytest.importorskip("systemdspawner")
    from jupyterhub import app, auth, proxy, spawner
    from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
    from systemdspawner import SystemdSpawner

    known = [app.JupyterHub, auth.Authenticator, proxy.ConfigurableHTTPProxy, spawner.Spawner]
    known += [spawner.LocalProcessSpawner, spawner.SimpleLocalProcessSpawner]
    known += [SharedPasswordAuthenticator, SystemdSpawner]
    traits = {one.__name__: set(one.class_trait_names(config=True)) for one in known}
    for login, systemd in (("pam", True), ("pam", False), ("shared-password", False)):
        on_systemd(systemd)
        for name, settings in read(LOGIN=login).items():
            assert set(settings) <= traits[name]


@pytest.mark.parametrize("who", ["everyone", "students"])
def test_nbgrader_finds_exchange_course_and_rules(read, monkeypatch, who):
    for name, value in read(LOGIN="pam").Spawner.environment.items():
        if name.startswith("CLASSROOM_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("JUPYTERHUB_USER", "student01")
    folder = CLASSROOM / "settings" / who
    c = PyFileConfigLoader("nbgrader_config.py", path=str(folder)).load_config()
    if who == "everyone":
        assert Path(c.Exchange.root).is_dir()
        assert c.CourseDirectory.course_id == read().JupyterHub.services[0]["name"]
        assert c.ExchangeCollect.check_owner is True
    else:  # an account signs by itself
        assert "student_id" not in c.CourseDirectory


def test_students_are_offered_no_tools_of_teachers():
    settings = CLASSROOM / "settings" / "students"
    pages = json.loads((settings / "labconfig" / "page_config.json").read_text(encoding="utf-8"))
    server = json.loads((settings / "jupyter_server_config.json").read_text(encoding="utf-8"))
    assert set(pages["disabledExtensions"]) >= {
        "@jupyter/nbgrader:formgrader",
        "@jupyter/nbgrader:create-assignment",
    }
    extensions = server["ServerApp"]["jpserver_extensions"]
    assert extensions["nbgrader.server_extensions.formgrader"] is False
