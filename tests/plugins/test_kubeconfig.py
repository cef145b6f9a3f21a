from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from lab_plugins.common.wire import UNKNOWN, Secret
from lab_plugins.kubernetes.kubeconfig import Connection, KubeconfigError, active_cluster, connect
from lab_plugins.kubernetes.provider_config import diff_config
from lab_plugins.kubernetes.settings import Settings, read_settings

GCP: dict[str, Any] = {"auth-provider": {"name": "gcp"}}


def config(
    server: str = "https://one:6443",
    name: str = "one",
    namespace: str | None = None,
    current: bool = True,
    **user: Any,
) -> dict[str, Any]:
    context = {"cluster": name, "user": name} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": name, "user": user or {"token": "t"}}],
        "contexts": [{"name": name, "context": context}],
    } | ({"current-context": name} if current else {})


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_path_or_the_text(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(config(namespace="shop")))
    for source in (str(file), file.read_text()):
        connection = connect(source, None)
        assert (connection.server, connection.namespace) == ("https://one:6443", "shop")


def test_the_environments_files_are_merged_and_the_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text(yaml.safe_dump(config("https://first:1", "one")))
    second.write_text(yaml.safe_dump({**config("https://second:2", "two"), "current-context": "two"}))
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{second}")
    assert connect(None, None).server == "https://first:1"
    assert connect(None, "two").server == "https://second:2"


def test_the_default_file(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(yaml.safe_dump(config()))
    assert connect("", "").server == "https://one:6443"


def test_another_cluster_of_the_same_file() -> None:
    both = config()
    both["clusters"] += config("https://two:1", "two")["clusters"]
    assert connect(yaml.safe_dump(both), None, "two").server == "https://two:1"
    with pytest.raises(KubeconfigError, match="no cluster 'three'"):
        connect(yaml.safe_dump(both), None, "three")


@pytest.mark.parametrize(
    ("source", "context", "message"),
    [
        ("", None, "no kubeconfig"),
        ("/does/not/exist", None, "names no file and is not a kubeconfig"),
        ("{token: hunter2, : [", None, "is not YAML"),
        (yaml.safe_dump(config()), "other", "no context 'other'"),
        (yaml.safe_dump(config(current=False)), None, "no current context"),
    ],
)
def test_mistakes_are_told_without_the_text(source: Any, context: str | None, message: str) -> None:
    with pytest.raises(KubeconfigError, match=message) as caught:
        connect(source, context)
    assert "hunter2" not in str(caught.value)


def sent(connection: Connection, *codes: int) -> list[str | None]:
    """The Authorization headers that reach a server which answers with the given codes."""
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization"))
        return httpx.Response(codes[len(seen) - 1])

    with httpx.Client(transport=httpx.MockTransport(answer), auth=connection.client.auth) as client:
        client.get("https://x/")
    return seen


def test_a_program_that_prints_a_token_is_asked_again_when_it_is_refused(tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = (
        f'echo x >> {count}; n=$(wc -l < {count}); echo "{{\\"status\\": {{\\"token\\": \\"t$n$EXTRA\\"}}}}"'
    )
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", script],
        "env": [{"name": "EXTRA", "value": "e"}],
    }
    connection = connect(yaml.safe_dump(config(exec=plugin)), None)
    assert sent(connection, 200) == ["Bearer t1e"]
    assert sent(connection, 401, 200) == ["Bearer t1e", "Bearer t2e"]


def test_a_failing_program_is_named() -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", "echo no >&2; exit 1"],
    }
    with pytest.raises(httpx.RequestError, match="credential plugin sh failed: no"):
        sent(connect(yaml.safe_dump(config(exec=plugin)), None), 200)


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "t"}, "Bearer t"),
        ({"username": "u", "password": "p"}, "Basic dTpw"),
        ({"impersonate": "x"}, None),
    ],
)
def test_what_signs_a_request(user: dict[str, Any], header: str | None) -> None:
    assert sent(connect(yaml.safe_dump(config(**user)), None), 200) == [header]


def test_a_token_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    connection = connect(yaml.safe_dump(config(tokenFile=str(file))), None)
    assert sent(connection, 200) == ["Bearer one"]
    file.write_text("two\n")
    assert sent(connection, 200) == ["Bearer two"]


def test_an_authentication_of_the_past_is_refused() -> None:
    with pytest.raises(KubeconfigError, match="auth-provider is not supported"):
        connect(yaml.safe_dump(config(**GCP)), None)


def test_relative_certificates_belong_to_the_files_folder(tmp_path: Path) -> None:
    broken = config()
    broken["clusters"][0]["cluster"] = {"server": "https://one:1", "certificate-authority": "ca.crt"}
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(broken))
    with pytest.raises(KubeconfigError, match="credentials of context 'one' cannot be used"):
        connect(str(file), None)


def test_the_active_cluster() -> None:
    text = yaml.safe_dump(config())
    for found in (active_cluster(text, None, None), active_cluster(config(), "one", None)):
        assert found is not None
        assert found["server"] == "https://one:6443"
    assert active_cluster("nonsense", None, None) is None


class TestProviderChanges:
    def test_only_another_cluster_is_another_provider(self) -> None:
        one, renewed, two = config(), config(token="new"), config("https://two:1")
        assert diff_config({"kubeconfig": one}, {"kubeconfig": one}).changed == []
        changed = diff_config({"kubeconfig": one}, {"kubeconfig": Secret(renewed)})
        assert (changed.changed, changed.replaces) == (["kubeconfig"], [])
        assert diff_config({"kubeconfig": one}, {"kubeconfig": two}).replaces == ["kubeconfig"]

    def test_other_settings_replace_nothing(self) -> None:
        diff = diff_config({"namespace": "a"}, {"namespace": "b"})
        assert (diff.changed, diff.replaces) == (["namespace"], [])

    def test_an_identifier_decides_alone(self) -> None:
        one, two = config(), config("https://two:1")
        same = diff_config(
            {"kubeconfig": one, "clusterIdentifier": "x"}, {"kubeconfig": two, "clusterIdentifier": "x"}
        )
        other = diff_config(
            {"kubeconfig": one, "clusterIdentifier": "x"}, {"kubeconfig": one, "clusterIdentifier": "y"}
        )
        assert same.replaces == []
        assert other.replaces == ["clusterIdentifier"]

    def test_an_unknown_cluster_is_taken_for_another(self) -> None:
        assert diff_config({"kubeconfig": config()}, {"kubeconfig": UNKNOWN}).replaces == ["kubeconfig"]


def test_settings_come_from_the_provider_then_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
    monkeypatch.setenv("PULUMI_K8S_ENABLE_SECRET_MUTABLE", "true")
    variables = {"kubernetes:config:namespace": "n", "kubernetes:config:enableSecretMutable": "false"}
    assert read_settings(variables) == Settings(namespace="n", delete_unreachable=True)
