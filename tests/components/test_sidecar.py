"""The hand-over by a pooler: the manifest, and the configuration that its start script writes."""

from __future__ import annotations

import configparser
import stat
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pulumi
import pytest

from kardinal_infra.databases.sidecar import listening_socket, server_sslmode
from tests.components.pooling import BRANCH, command, deployment, pod_of, programs, variables, with_pooler


def test_the_pooler_comes_before_every_other_container() -> None:
    manifest = deployment(initContainers=[{"name": "migrate", "image": "web:1"}])
    pod = pod_of(with_pooler(manifest, image="pooler:2"))

    [pooler, migrate] = pod["initContainers"]
    assert migrate["name"] == "migrate"
    assert pooler["image"] == "pooler:2"
    assert pooler["restartPolicy"] == "Always"  # a native sidecar
    assert pooler["securityContext"]["runAsNonRoot"] is True
    assert pooler["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    volume = pooler["volumeMounts"][0]["name"]
    assert {"name": volume, "emptyDir": {"medium": "Memory"}} in pod["volumes"]
    assert pod["containers"] == [{"name": "web", "image": "web:1"}]


def test_no_credential_is_in_the_manifest() -> None:
    [pooler] = pod_of(with_pooler())["initContainers"]

    plain = {entry["name"]: entry["value"] for entry in pooler["env"] if "value" in entry}
    assert plain == {"CLIENT_DATABASE": "votes", "CLIENT_ADDRESS": "127.0.0.1", "CLIENT_PORT": "5432"}
    references = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in pooler["env"] if "valueFrom" in e}
    assert references == {f"BRANCH_{key.upper()}": {"name": "branch", "key": key} for key in BRANCH}


def test_the_application_s_host_name_leads_to_the_pooler_alone() -> None:
    manifest = deployment(
        hostAliases=[
            {"ip": "10.0.0.5", "hostnames": ["votes-db", "metrics"]},
            {"ip": "10.0.0.6", "hostnames": ["votes-db"]},
            {"ip": "10.0.0.7", "hostnames": ["other"]},
        ]
    )

    assert pod_of(with_pooler(manifest))["hostAliases"] == [
        {"ip": "10.0.0.5", "hostnames": ["metrics"]},
        {"ip": "10.0.0.7", "hostnames": ["other"]},
        {"ip": "127.0.0.1", "hostnames": ["votes-db"]},
    ]


def test_the_manifest_it_was_given_stays_as_it_is_and_may_hold_outputs() -> None:
    secret = pulumi.Output.from_input("later")
    manifest = deployment(initContainers=[{"name": "a", "env": [{"value": secret}]}], volumes=[{"name": "v"}])
    before = {"init": list(pod_of(manifest)["initContainers"]), "volumes": list(pod_of(manifest)["volumes"])}

    pod = pod_of(with_pooler(manifest, secret_name=secret))
    assert pod["initContainers"][1]["env"][0]["value"] is secret
    assert pod["initContainers"][0]["env"][-1]["valueFrom"]["secretKeyRef"]["name"] is secret
    assert pod_of(manifest)["initContainers"] == before["init"]
    assert pod_of(manifest)["volumes"] == before["volumes"]
    assert "hostAliases" not in pod_of(manifest)


def test_two_databases_get_a_pooler_and_an_address_each() -> None:
    once = with_pooler()
    pod = pod_of(
        with_pooler(deepcopy(once), client_host="users-db", client_database="users", secret_name="b2")
    )

    assert {alias["hostnames"][0]: alias["ip"] for alias in pod["hostAliases"]} == {
        "votes-db": "127.0.0.1",
        "users-db": "127.0.0.2",
    }
    poolers = pod["initContainers"]
    assert len({pooler["name"] for pooler in poolers}) == 2
    assert len({pooler["volumeMounts"][0]["name"] for pooler in poolers}) == 2
    assert len({volume["name"] for volume in pod["volumes"]}) == 2
    probes = [pooler["startupProbe"]["exec"]["command"][2] for pooler in poolers]
    assert probes == ["0200007F:1538 00000000:0000 0A", "0100007F:1538 00000000:0000 0A"]


def test_how_the_kernel_shows_a_listener() -> None:
    assert listening_socket("127.0.0.1", 5432) == "0100007F:1538 00000000:0000 0A"
    assert listening_socket("127.0.0.12", 80) == "0C00007F:0050 00000000:0000 0A"


@pytest.mark.parametrize(
    ("wish", "mode"),
    [
        ("require", "verify-full"),
        ("verify-ca", "verify-full"),
        ("verify-full", "verify-full"),
        ("", "prefer"),
        ("prefer", "prefer"),
        ("disable", "disable"),
    ],
)
def test_who_demands_tls_gets_a_verified_server(wish: str, mode: str) -> None:
    assert server_sslmode(f"postgresql://u:p@host/db?sslmode={wish}") == mode


# The start script, with stand-ins for PgBouncer and OpenSSL.

BOUNCER = 'echo started "$@" && pwd'
OPENSSL = 'echo key > tls.key; echo certificate > tls.crt; echo "$@" >> calls'


def start(tmp_path: Path, branch: dict[str, str] | None = None, **scripts: str) -> tuple[Path, str]:
    """Runs the start script; the folder it worked in, and what it printed."""
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    manifest = with_pooler(client_port=6000, client_database="votes.db-1")
    path = tmp_path / "bin"
    if not path.exists():
        programs(path, **{"pgbouncer": BOUNCER, "openssl": OPENSSL, **scripts})
    done = subprocess.run(
        command(manifest, folder),
        env=variables(manifest, {**BRANCH, **(branch or {})}, str(path)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return folder, done.stdout


def settings(folder: Path) -> Any:
    parser = configparser.RawConfigParser(delimiters=("=",), strict=True)
    parser.read(folder / "pgbouncer.ini")
    return parser


def test_it_starts_pgbouncer_in_its_folder_in_place_of_the_shell(tmp_path: Path) -> None:
    folder, output = start(tmp_path)

    assert output == f"started pgbouncer.ini\n{folder}\n"


def test_clients_are_taken_as_they_come_and_lead_to_the_branch_alone(tmp_path: Path) -> None:
    folder, _ = start(tmp_path)

    parser = settings(folder)
    assert dict(parser["databases"]) == {
        "votes.db-1": "host=ep-1.example.test port=5433 dbname='votes' user='votes_owner' password='secret'"
    }
    bouncer = parser["pgbouncer"]
    assert bouncer["listen_addr"] == "127.0.0.1"
    assert bouncer["listen_port"] == "6000"
    assert bouncer["auth_type"] == "any"
    assert bouncer["pool_mode"] == "session"
    assert bouncer["server_tls_sslmode"] == "verify-full"
    assert bouncer["unix_socket_dir"] == ""
    assert "options" not in bouncer["ignore_startup_parameters"]


@pytest.mark.parametrize(
    "password",
    [
        "it's",
        "''",
        'double"quote',
        "back\\slash\\n",
        "$HOME `id` $(id)",
        "a b  c ",
        "semi;colon # hash % per=cent",
        "CONFIG",
        "*?[a-z]",
        "umläut-€",
        "-n -e",
        "%s%d",
    ],
)
def test_no_password_breaks_out_of_its_quotes(tmp_path: Path, password: str) -> None:
    folder, _ = start(tmp_path, {"password": password, "user": "o'wner", "database": "my votes"})

    [line] = [text for text in (folder / "pgbouncer.ini").read_text().splitlines() if "password=" in text]
    quoted = password.replace("'", "''")
    assert line == (
        f"votes.db-1 = host=ep-1.example.test port=5433 dbname='my votes' user='o''wner' password='{quoted}'"
    )


def test_nobody_else_can_read_what_it_writes(tmp_path: Path) -> None:
    folder, _ = start(tmp_path)

    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_clients_may_use_tls_with_a_certificate_made_once(tmp_path: Path) -> None:
    folder, _ = start(tmp_path)
    start(tmp_path)  # the container was restarted, the volume is the pod's

    bouncer = settings(folder)["pgbouncer"]
    assert bouncer["client_tls_sslmode"] == "allow"
    assert bouncer["client_tls_key_file"] == str(folder / "tls.key")
    assert bouncer["client_tls_cert_file"] == str(folder / "tls.crt")
    assert len((folder / "calls").read_text().splitlines()) == 1


def test_an_image_without_openssl_serves_clients_without_tls(tmp_path: Path) -> None:
    path = tmp_path / "bin"
    programs(path, pgbouncer=BOUNCER)
    folder, output = start(tmp_path)

    assert output.startswith("started")
    assert not [key for key in settings(folder)["pgbouncer"] if key.startswith("client_tls")]


def test_a_broken_openssl_stops_it(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        start(tmp_path, openssl="exit 3")

    assert caught.value.returncode == 3
    assert "started" not in caught.value.stdout


def test_a_missing_part_of_the_connection_stops_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    manifest = with_pooler()
    environment = variables(manifest, BRANCH, programs(tmp_path / "bin", pgbouncer=BOUNCER))
    del environment["BRANCH_PASSWORD"]
    done = subprocess.run(command(manifest, folder), env=environment, capture_output=True, text=True)

    assert done.returncode != 0
    assert "BRANCH_PASSWORD" in done.stderr
    assert done.stdout == ""
