"""The Kubernetes values: only keys that the chart has, and what they say agrees with the rest.

The chart's own schema is not on PyPI, so KEYS names what its configuration reference documents:
https://z2jh.jupyter.org/en/stable/resources/reference.html (for chart 4).
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
VALUES = yaml.safe_load((ROOT / "classroom" / "kubernetes.yaml").read_text(encoding="utf-8"))
GUIDE = (ROOT / "classroom" / "README.md").read_text(encoding="utf-8")
IMAGE_FOLDER = "/srv/bigmodel"
BYTES = {"G": 2**30, "M": 2**20}  # as KubeSpawner counts them
NUMBER, TEXT = (int, float), str

# key → type; a dict is open to all keys below it, as the reference says of it
KEYS = {
    "hub.config": dict,
    "hub.extraConfig": dict,
    "singleuser.image.name": TEXT,
    "singleuser.image.tag": TEXT,
    "singleuser.defaultUrl": TEXT,
    "singleuser.startTimeout": int,
    "singleuser.memory.guarantee": TEXT,
    "singleuser.memory.limit": TEXT,
    "singleuser.cpu.guarantee": NUMBER,
    "singleuser.cpu.limit": NUMBER,
    "singleuser.storage.homeMountPath": TEXT,
    "singleuser.storage.capacity": TEXT,
    "singleuser.storage.extraVolumes": list,
    "singleuser.storage.extraVolumeMounts": list,
    "singleuser.extraEnv": dict,
    "cull.enabled": bool,
    "cull.timeout": int,
    "cull.every": int,
    "scheduling.userPlaceholder.enabled": bool,
    "scheduling.userPlaceholder.replicas": int,
    "proxy.https.enabled": bool,
    "proxy.https.hosts": list,
    "proxy.https.letsencrypt.contactEmail": TEXT,
}


def leaves(values: dict, above: str = "") -> dict[str, object]:
    """Dotted key → value, down to where KEYS ends."""
    found = {}
    for key, value in values.items():
        name = f"{above}{key}"
        if name in KEYS or not isinstance(value, dict):
            found[name] = value
        else:
            found |= leaves(value, f"{name}.")
    return found


def amount(text: str) -> float:
    """Bytes."""
    return float(text[:-1]) * BYTES[text[-1]]


def test_the_chart_has_every_key_and_takes_its_value():
    wrong = {
        key: value
        for key, value in leaves(VALUES).items()
        if not isinstance(value, KEYS.get(key, ()))
    }
    assert wrong == {}
    assert set(leaves(VALUES)) == set(KEYS)  # nothing is listed that is not used


def test_hub_config_names_traits_that_jupyterhub_has():
    pytest.importorskip("jupyterhub")
    from jupyterhub import app, auth
    from jupyterhub.authenticators.shared import SharedPasswordAuthenticator

    classes = [app.JupyterHub, auth.Authenticator, SharedPasswordAuthenticator]
    known = {one.__name__: one.class_trait_names(config=True) for one in classes}
    config = VALUES["hub"]["config"]
    assert {name: set(traits) - set(known[name]) for name, traits in config.items()} == {
        name: set() for name in config
    }
    # The placeholders are long enough to start with, so that only they have to be changed.
    SharedPasswordAuthenticator(**config["SharedPasswordAuthenticator"])


def test_each_volume_that_is_mounted_exists_and_its_claim_is_in_the_guide():
    storage = VALUES["singleuser"]["storage"]
    volumes = {one["name"]: one["persistentVolumeClaim"] for one in storage["extraVolumes"]}
    assert {mount["name"] for mount in storage["extraVolumeMounts"]} == set(volumes)
    (text,) = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.M | re.S)
    claim = yaml.safe_load(text)
    assert claim["kind"] == "PersistentVolumeClaim"
    assert claim["metadata"]["name"] == volumes["exchange"]["claimName"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_exchange_is_where_it_is_mounted():
    (mount,) = VALUES["singleuser"]["storage"]["extraVolumeMounts"]
    assert VALUES["singleuser"]["extraEnv"]["CLASSROOM_EXCHANGE"] == mount["mountPath"]


def test_a_chapter_fits_into_what_is_kept_for_a_student():
    rules = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    chapter = 1e9 * float(re.search(r"a chapter in at most 60 seconds and ([\d.]+) GB", rules)[1])
    memory, jupyter = VALUES["singleuser"]["memory"], 130 * 2**20
    assert chapter + jupyter <= amount(memory["guarantee"]) < amount(memory["limit"])


@pytest.fixture(scope="module")
def c() -> SimpleNamespace:
    """What the lines of Python in the values set."""
    c = SimpleNamespace(KubeSpawner=SimpleNamespace())
    for lines in VALUES["hub"]["extraConfig"].values():
        exec(lines, {"c": c})
    return c


def test_a_server_starts_in_the_home_that_lasts(c):
    assert c.KubeSpawner.working_dir == VALUES["singleuser"]["storage"]["homeMountPath"]


def test_teachers_get_the_course_and_students_do_not(c):
    for admin in (True, False):
        spawner = SimpleNamespace(
            user=SimpleNamespace(admin=admin), environment=dict(VALUES["singleuser"]["extraEnv"])
        )
        c.KubeSpawner.pre_spawn_hook(spawner)
        assert ("CLASSROOM_COURSE" in spawner.environment) == admin
        paths = spawner.environment["JUPYTER_CONFIG_PATH"].split(":")
        assert len(paths) == (1 if admin else 2)
        assert all((ROOT / Path(path).relative_to(IMAGE_FOLDER)).is_dir() for path in paths)


@pytest.fixture(scope="module")
def build() -> list[str]:
    """The words of the command in the guide that builds the image."""
    (command,) = re.findall(r"^ *(\S*repo2docker (?:.*\\\n)*.*)$", GUIDE, re.M)
    return shlex.split(command.replace("\\\n", " "))[1:]


def test_the_image_keeps_its_files_out_of_the_home_that_a_volume_hides(build):
    assert build[build.index("--target-repo-dir") + 1] == IMAGE_FOLDER
    home = VALUES["singleuser"]["storage"]["homeMountPath"]
    assert not Path(IMAGE_FOLDER).is_relative_to(home)
    image = VALUES["singleuser"]["image"]
    assert build[build.index("--image-name") + 1] == f"{image['name']}:{image['tag']}"


def test_repo2docker_accepts_the_guides_command(build):
    words = [word for word in build if word not in ("--no-run", "--push")]
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", *words]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert build[build.index("--appendix") + 1] in result.stdout


def test_the_image_gets_the_versions_that_are_tested(build):
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    added = [word for word in build[build.index("--appendix") + 1].split() if "==" in word]
    assert {word.partition("==")[0] for word in added} == {"nbgrader", "nbgitpuller"}
    assert set(added) <= set(pins)
