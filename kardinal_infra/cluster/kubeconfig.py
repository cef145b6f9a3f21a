"""Finds the cluster and the credentials as kubectl and the Pulumi provider do."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml
from lightkube import KubeConfig
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, NameValue, User, UserExec
from lightkube.core.exceptions import ConfigError as KubeConfigError

from kardinal_infra.errors import ClusterError

DEFAULT_PATH = "~/.kube/config"

_EXEC_GROUP = "client.authentication.k8s.io/"
_EXEC_OF_LIGHTKUBE = f"{_EXEC_GROUP}v1beta1"


def load_kubeconfig(kubeconfig: str | None, context: str | None) -> SingleConfig:
    """Reads a kubeconfig and picks a context.

    Args:
        kubeconfig: Content (YAML or JSON) or path; None for `KUBECONFIG` (several files are merged, the first
            that names something wins), then the user's own, then the pod's service account.
        context: Context's name; None for the current one.

    Raises:
        ClusterError: There is no usable kubeconfig or no such context; no content is in the message.
    """
    try:
        if kubeconfig and ("\n" in kubeconfig or kubeconfig.lstrip().startswith("{")):
            config = KubeConfig.from_dict(yaml.safe_load(kubeconfig))
        else:
            config = _from_files(kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT_PATH)
        picked = cast("SingleConfig", config.get(context))
    except yaml.MarkedYAMLError as error:
        # Its own text quotes the line, which may hold a token.
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ClusterError(f"no usable kubeconfig: {error.problem or 'not YAML'}{line}") from None
    except KeyError as error:
        raise ClusterError(f"no usable kubeconfig: it has no {error}") from error
    except (KubeConfigError, OSError) as error:
        raise ClusterError(f"no usable kubeconfig: {error}") from error
    except (AttributeError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ClusterError(f"no usable kubeconfig: it has another form ({type(error).__name__})") from None
    # Without a user requests are anonymous, as kubectl's are.
    return picked._replace(user=_with_exec_info(picked.user or User()))


def _from_files(paths: str) -> KubeConfig:
    files = [Path(part).expanduser() for part in paths.split(os.pathsep) if part]
    found = [
        _absolute(KubeConfig.from_file(file), file.absolute().parent) for file in files if file.is_file()
    ]
    if not found:
        try:
            return KubeConfig.from_service_account()
        except (KubeConfigError, KeyError):
            raise KubeConfigError(f"{paths} not found (set KUBECONFIG)") from None
    first, *others = found
    for other in others:
        first.current_context = first.current_context or other.current_context
        for mine, theirs in _sections(first, other):
            mine.update({key: value for key, value in theirs.items() if key not in mine})
    return first


def _sections(first: KubeConfig, other: KubeConfig) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    yield first.clusters, other.clusters
    yield first.users, other.users
    yield first.contexts, other.contexts


def _absolute(config: KubeConfig, folder: Path) -> KubeConfig:
    """Makes file names absolute: each is relative to the file that names it, also after merging."""
    fields: dict[type, tuple[str, ...]] = {
        Cluster: ("certificate_auth",),
        User: ("client_cert", "client_key", "token_file"),
    }
    for entry in (*config.clusters.values(), *config.users.values()):
        for field in fields[type(entry)]:
            if path := getattr(entry, field):
                setattr(entry, field, str(folder / path))
    return config


def _with_exec_info(user: User) -> User:
    """Lets credential programs of version v1 be run by lightkube, which knows the versions before only."""
    if user.exec is None or not user.exec.apiVersion.startswith(_EXEC_GROUP):
        return user
    # What kubectl tells such programs; they answer in the version that it names.
    info = {"apiVersion": user.exec.apiVersion, "kind": "ExecCredential", "spec": {"interactive": False}}
    program: UserExec = replace(
        user.exec,
        apiVersion=_EXEC_OF_LIGHTKUBE,
        env=[*(user.exec.env or ()), NameValue("KUBERNETES_EXEC_INFO", json.dumps(info))],
    )
    return replace(user, exec=program)
