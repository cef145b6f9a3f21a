"""Which cluster and whose credentials: the order of kubectl, and what a broken kubeconfig says."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kardinal_infra.cluster.client import connect
from kardinal_infra.cluster.kubeconfig import load_kubeconfig
from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.errors import ClusterError
from tests.components.kubernetes_api import KubernetesApi, kubeconfig
from tests.pure.samples import NAMESPACE

TOKEN = "t0ken-of-mine"


@pytest.fixture(autouse=True)
def nobody_s_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither variables nor a kubeconfig of the user's own."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def refused(kubeconfig: str | None = None, context: str | None = None) -> str:
    with pytest.raises(ClusterError) as caught:
        connect(NAMESPACE, kubeconfig=kubeconfig, context=context)
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    return str(caught.value)


def named(name: str, **more: Any) -> dict[str, Any]:
    """A kubeconfig of one context, cluster and user of this name."""
    return {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.test", **more}}],
        "users": [{"name": name, "user": {"token": f"token-{name}"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def test_text_as_yaml_or_json_or_a_path(tmp_path: Path) -> None:
    content = named("a")
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(content))

    for given in (yaml.safe_dump(content), json.dumps(content), json.dumps(content, indent=1), str(file)):
        assert load_kubeconfig(given, None).cluster.server == "https://a.test"


def test_the_environment_s_then_the_user_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "home" / ".kube" / "config"
    own.parent.mkdir(parents=True)
    own.write_text(yaml.safe_dump(named("own")))
    assert load_kubeconfig(None, None).cluster.server == "https://own.test"

    (tmp_path / "other").write_text(yaml.safe_dump(named("other")))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "other"))
    assert load_kubeconfig(None, None).cluster.server == "https://other.test"
    assert load_kubeconfig("~/.kube/config", None).cluster.server == "https://own.test"


def test_several_files_are_merged_and_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = {**named("a"), "current-context": None}
    second = named("b")
    second["clusters"] += [{"name": "a", "cluster": {"server": "https://late.test"}}]
    for name, content in (("one", first), ("two", second)):
        (tmp_path / name).write_text(yaml.safe_dump(content))
    paths = [str(tmp_path / name) for name in ("absent", "one", "two")]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(["", *paths]))

    assert load_kubeconfig(None, None).context_name == "b"
    assert load_kubeconfig(None, "a").cluster.server == "https://a.test"
    user = load_kubeconfig(None, "b").user
    assert user is not None
    assert user.token == "token-b"


def test_files_are_relative_to_the_one_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    (tmp_path / "one" / "config").write_text(yaml.safe_dump(named("a")))
    second = named("b", **{"certificate-authority": "ca.crt"})
    second["users"][0]["user"] = {"tokenFile": "token", "client-certificate": "/etc/me.crt"}
    (tmp_path / "two" / "config").write_text(yaml.safe_dump(second))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(["one/config", "two/config"]))

    config = load_kubeconfig(None, "b")
    assert config.user is not None
    assert config.cluster.certificate_auth == str(tmp_path / "two" / "ca.crt")
    assert config.user.token_file == str(tmp_path / "two" / "token")
    assert config.user.client_cert == "/etc/me.crt"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [1\n", "no usable kubeconfig: expected ',' or ']', but got '<stream end>' in line 2"),
        (f"token: {TOKEN}: x\n", "no usable kubeconfig: mapping values are not allowed here in line 1"),
        ("just words\nof text\n", "no usable kubeconfig: it has another form (AttributeError)"),
        ("clusters: []\n", "no usable kubeconfig: it has no 'contexts'"),
        ("clusters:\ncontexts:\n", "no usable kubeconfig: it has another form (TypeError)"),
        (
            yaml.safe_dump({**named("a"), "current-context": "b"}),
            "no usable kubeconfig: Context 'b' not found",
        ),
        (
            yaml.safe_dump({**named("a"), "current-context": None}),
            "no usable kubeconfig: No current context set and no default provided",
        ),
        (yaml.safe_dump({**named("a"), "clusters": []}), "no usable kubeconfig: it has no 'a'"),
    ],
)
def test_a_broken_kubeconfig_says_what_is_wrong(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "broken"
    file.write_text(content)

    assert refused(content) == message
    assert refused(str(file)) == message


def test_an_empty_file_and_none_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").write_text("")
    assert refused(str(tmp_path / "empty")) == "no usable kubeconfig: it has another form (AttributeError)"
    assert refused() == "no usable kubeconfig: ~/.kube/config not found (set KUBECONFIG)"
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    assert refused() == "no usable kubeconfig: /nowhere/config not found (set KUBECONFIG)"


def test_a_context_that_is_not_there_is_named() -> None:
    assert refused(yaml.safe_dump(named("a")), "prod") == "no usable kubeconfig: Context 'prod' not found"


@pytest.mark.parametrize(
    ("user", "cluster", "message"),
    [
        ({}, {"certificate-authority-data": "!"}, "no usable credentials in the kubeconfig: "),
        ({}, {"certificate-authority": "/nowhere/ca.crt"}, "no usable credentials in the kubeconfig: "),
        ({"client-certificate-data": "eA==", "client-key-data": "eA=="}, {}, "no usable credentials"),
        ({"auth-provider": {"name": "gcp"}}, {}, "auth-provider not supported"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # lightkube leaves its files to the collector
def test_credentials_that_cannot_be_used(user: Any, cluster: Any, message: str) -> None:
    content = named("a", **cluster)
    content["users"][0]["user"] = user

    assert message in refused(yaml.safe_dump(content))
    gc.collect()


def test_without_a_user_requests_are_anonymous(kubernetes: KubernetesApi) -> None:
    content = yaml.safe_load(kubernetes.kubeconfig())
    del content["contexts"][0]["context"]["user"]

    read_live(NAMESPACE, kubeconfig=yaml.safe_dump(content))
    assert set(kubernetes.tokens) == {""}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_program_of_the_kubeconfig_gives_the_token(kubernetes: KubernetesApi, version: str) -> None:
    # Answers in the version that it is asked for, as the clouds' programs do.
    program = (
        "import json, os; asked = json.loads(os.environ['KUBERNETES_EXEC_INFO']);"
        "print(json.dumps({**asked, 'status': {'token': asked['apiVersion'] + os.environ['SUFFIX']}}))"
    )
    api_version = f"client.authentication.k8s.io/{version}"
    user = {
        "apiVersion": api_version,
        "command": sys.executable,
        "args": ["-c", program],
        "env": [{"name": "SUFFIX", "value": "-of-me"}],
    }
    read_live(NAMESPACE, kubeconfig=kubernetes.kubeconfig(exec=user))

    assert set(kubernetes.tokens) == {f"Bearer {api_version}-of-me"}


@pytest.mark.parametrize(
    ("command", "args", "message"),
    [
        ("no-such-program", [], "No such file or directory: 'no-such-program'"),
        (sys.executable, ["-c", "import sys; sys.exit('log in first')"], "returned 1: log in first"),
        (sys.executable, ["-c", "print('{}')"], "(KeyError)"),
    ],
)
def test_a_program_that_fails_is_told_in_one_sentence(
    kubernetes: KubernetesApi, command: str, args: list[str], message: str
) -> None:
    user = {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": args, "env": None}
    with pytest.raises(ClusterError) as caught:
        read_live(NAMESPACE, kubeconfig=kubernetes.kubeconfig(exec=user))

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_pod_s_own_account_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    # Half of a pod's surroundings: variables without the mounted account.
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert "not found (set KUBECONFIG)" in refused()


def test_no_repr_shows_a_token(kubernetes: KubernetesApi) -> None:
    with connect(NAMESPACE, kubeconfig=kubeconfig(kubernetes.url, token=TOKEN)) as client:
        assert TOKEN not in repr(client)
