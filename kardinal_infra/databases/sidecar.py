"""Database hand-over by a PgBouncer in the fork's pod.

For applications whose database host is hard-coded: a host alias makes the unchanged host name resolve to
127.0.0.1, where PgBouncer forwards to the branch with the branch's own credentials. Whatever user and
password the application sends are ignored (`auth_type = any` with a forced user), so the parent's credential
opens nothing but the branch.

Settings that matter, each seen working on a mesh with native sidecars
(docs/facts/postgres.md#what-a-pooler-cannot-prove and the facts beside it):

- `pool_mode = session`: transaction pooling leaks SET, temporary tables and advisory locks between clients
  (docs/facts/postgres.md#session-pooling-is-transparent).
- `listen_addr` on the loopback: Istio does not capture it, and nothing outside the pod can use the pooler
  (docs/facts/postgres.md#the-loopback-is-not-captured).
- `restartPolicy: Always` on an init container (a native sidecar): migrations in later init containers reach
  it too.
- The client side offers TLS with a self-signed certificate made at start, so that `sslmode=require` works. A
  client that verifies the server's name or binds its channel cannot be served; it fails closed.
- `options` is not ignored: silently dropping it would lose a `search_path`
  (docs/facts/postgres.md#options-are-not-dropped).
- The database's name stands unquoted in the configuration: PgBouncer 1.18 takes no quotes there.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

DEFAULT_POOLER_IMAGE = "edoburu/pgbouncer:v1.24.1-p1"
"""Image with `pgbouncer`, `openssl` and a shell, used when the database's `poolerImage` is not set."""

CONTAINER_NAME = "kardinal-pgbouncer"
RUNTIME_VOLUME = "kardinal-pgbouncer"
POOLER_UID = 70
"""Unprivileged; any number works, PgBouncer only refuses root."""

SECRET_KEYS = ("host", "port", "database", "user", "password", "sslmode")
"""Keys of the Secret that the pooler reads: the branch's connection, one part each."""

_START = r"""set -eu
cd /run/kardinal-pgbouncer
umask 077
client_tls=
if command -v openssl >/dev/null; then
  [ -s tls.key ] || openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=kardinal-pgbouncer \
    -keyout tls.key -out tls.crt 2>/dev/null
  client_tls="client_tls_sslmode = allow
client_tls_key_file = $PWD/tls.key
client_tls_cert_file = $PWD/tls.crt
client_tls_ca_file = $PWD/tls.crt"
fi
# PgBouncer loads a CA file even where it verifies nobody, and does not start without one.
server_ca=/etc/ssl/certs/ca-certificates.crt
[ -s "$server_ca" ] || case "$BRANCH_SSLMODE" in verify-*) ;; *) server_ca=$PWD/tls.crt ;; esac
quote() { printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"; }
target="host=$BRANCH_HOST port=$BRANCH_PORT dbname=$(quote "$BRANCH_DATABASE")"
target="$target user=$(quote "$BRANCH_USER") password=$(quote "$BRANCH_PASSWORD")"
cat > pgbouncer.ini <<CONFIG
[databases]
$CLIENT_DATABASE = $target
[pgbouncer]
listen_addr = $CLIENT_ADDRESS
listen_port = $CLIENT_PORT
unix_socket_dir =
auth_type = any
pool_mode = session
server_tls_sslmode = $BRANCH_SSLMODE
server_tls_ca_file = $server_ca
$client_tls
ignore_startup_parameters = extra_float_digits
max_client_conn = 200
default_pool_size = 100
CONFIG
exec pgbouncer pgbouncer.ini
"""


def add_pooler(
    deployment: Mapping[str, Any],
    *,
    secret_name: Any,
    client_host: str,
    client_port: int,
    client_database: str,
    image: str = DEFAULT_POOLER_IMAGE,
) -> dict[str, Any]:
    """Puts a PgBouncer in front of every container of a fork.

    Args:
        deployment: The fork's Deployment manifest; not changed.
        secret_name: Name of the Secret with `SECRET_KEYS` (a string, or an output of the Secret resource).
        client_host: Host name that the application uses, unchanged.
        client_port: Port that the application uses, unchanged.
        client_database: Database name that the application uses.
        image: Image of the pooler.

    Returns:
        The manifest with the sidecar as first init container, the host alias and the runtime volume.
    """
    result: dict[str, Any] = _copy(deployment)
    pod = result["spec"]["template"]["spec"]
    containers = pod.get("initContainers", [])
    number = 1 + sum(1 for container in containers if container["name"].startswith(CONTAINER_NAME))
    suffix = "" if number == 1 else f"-{number}"
    # Of two databases with one port each pooler needs an address of its own; all of 127/8 is the pod's.
    address = f"127.0.0.{number}"
    pod["hostAliases"] = [
        *_without(pod.get("hostAliases", []), client_host),
        {"ip": address, "hostnames": [client_host]},
    ]
    volume = RUNTIME_VOLUME + suffix
    pod.setdefault("volumes", []).append({"name": volume, "emptyDir": {"medium": "Memory"}})
    pooler = {
        "name": CONTAINER_NAME + suffix,
        "image": image,
        "restartPolicy": "Always",
        "command": ["/bin/sh", "-c", _START],
        "env": [
            {"name": "CLIENT_DATABASE", "value": client_database},
            {"name": "CLIENT_ADDRESS", "value": address},
            {"name": "CLIENT_PORT", "value": str(client_port)},
            *(
                {
                    "name": f"BRANCH_{key.upper()}",
                    "valueFrom": {"secretKeyRef": {"name": secret_name, "key": key}},
                }
                for key in SECRET_KEYS
            ),
        ],
        "securityContext": {
            "runAsUser": POOLER_UID,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": volume, "mountPath": "/run/kardinal-pgbouncer"}],
        # Later init containers (migrations) start when this holds. A tcpSocket probe cannot reach 127.0.0.1.
        "startupProbe": {
            "exec": {"command": ["grep", "-q", listening_socket(address, client_port), "/proc/net/tcp"]},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
    }
    pod["initContainers"] = [pooler, *containers]
    return result


def _copy(value: Any) -> Any:
    """Copies mappings and lists; everything else, an output for example, is the same object."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _without(aliases: Sequence[Mapping[str, Any]], host: str) -> list[dict[str, Any]]:
    """Removes a host's other addresses: with two the application might take production's."""
    others = [
        {**alias, "hostnames": [name for name in alias.get("hostnames", ()) if name != host]}
        for alias in aliases
    ]
    return [alias for alias in others if alias["hostnames"]]


def listening_socket(address: str, port: int) -> str:
    """Returns how /proc/net/tcp shows a listener: address and port in hexadecimal, state 0A.

    Args:
        address: IPv4 address.
        port: TCP port.
    """
    reversed_bytes = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    return f"{reversed_bytes}:{port:04X} 00000000:0000 0A"


def server_sslmode(uri: str) -> str:
    """Chooses how the pooler verifies the branch's server.

    Args:
        uri: The branch's connection URI.

    Returns:
        `verify-full` where the URI demands TLS (Neon's certificates are public), else the URI's own wish.
    """
    wish = parse_qs(urlsplit(uri).query).get("sslmode", [""])[0]
    return "verify-full" if wish in {"require", "verify-ca", "verify-full"} else wish or "prefer"
