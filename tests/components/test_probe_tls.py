"""Public hosts behind TLS, asked over real connections: whom the probe trusts, and what it says otherwise."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kardinal_infra.cluster.probe import ProbeCheck, run_probe
from kardinal_infra.config import load_baseline
from kardinal_infra.errors import ConfigError, ProbeError
from kardinal_infra.model.certificates import authority_problem
from kardinal_infra.model.topology import Topology
from tests.authority import DAY, Authority
from tests.components import recorder
from tests.components.test_baseline import BASELINE, declare
from tests.loopback import Answer, serving

HOST = "dev.shop.test"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def shop(authority: Authority, tmp_path: Path) -> Iterator[str]:
    yield from serve(authority.server(tmp_path, ["shop.test", "*.shop.test"]))


def serve(context: ssl.SSLContext | None) -> Iterator[str]:
    answer = Answer(200, headers={"x-kardinal-flow": "dev"})
    with serving(
        lambda request: answer if "shop.test" in request.headers["host"] else Answer(500), context
    ) as url:
        yield url.partition("//")[2]


def ask(address: str, authority: str = "", host: str = HOST) -> None:
    run_probe([ProbeCheck(f"https://{host}", address, {"x-kardinal-flow": "dev"})], 0.0, authority=authority)


def refused(address: str, authority: str = "", host: str = HOST) -> str:
    with pytest.raises(ProbeError) as caught:
        ask(address, authority, host)
    return str(caught.value).partition("within 0 s: ")[2]


def test_a_private_authority_is_trusted_when_the_config_says_so(authority: Authority, shop: str) -> None:
    ask(shop, authority.pem)
    ask(shop, Authority("another").pem + authority.pem)
    assert refused(shop) == (
        f"the certificate shown for {HOST} is signed by no authority known here (unable to get local issuer"
        " certificate): gateway.certificateAuthority of the baseline stack must be the PEM text of the one"
        " that signed it"
    )
    assert "is signed by no authority known here" in refused(shop, Authority("another").pem)


def test_a_certificate_of_other_names_is_told_with_them(authority: Authority, shop: str) -> None:
    assert refused(shop, authority.pem, "dev.web.shop.test") == (
        "the certificate shown for dev.web.shop.test is for shop.test, *.shop.test and does not name it: give"
        " the Gateway's listener one for *.web.shop.test"
    )


def test_a_certificate_of_another_time_is_told(authority: Authority, tmp_path: Path) -> None:
    messages = [
        refused(address, authority.pem)
        for age in (3 * DAY, -datetime.timedelta(hours=1))
        for address in serve(authority.server(tmp_path, ["*.shop.test"], age=age))
    ]
    assert messages == [
        f"the certificate shown for {HOST} is not valid now (certificate {why}): renew it"
        for why in ("has expired", "is not yet valid")
    ]


def test_a_port_without_tls_is_told(authority: Authority) -> None:
    for address in serve(None):
        message = refused(address, authority.pem)
    assert message.startswith(f"no TLS connection for {HOST} (")
    assert "gateway.address must lead to it" in message


# The config.

NOT_PEM = "must be the PEM text of a certificate"


def gateway_problem(text: str) -> str:
    return config_problem("certificateAuthority", certificateAuthority=text)


def config_problem(field: str, **gateway: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_baseline({**BASELINE, "gateway": {"scheme": "https", **gateway}})
    [problem] = caught.value.problems
    assert problem.path == f"kardinal:baseline.gateway.{field}"
    return problem.message


@pytest.mark.parametrize("text", ["/etc/ssl/ca.pem", "-----BEGIN X-----\nabc\n-----END X-----"])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    assert gateway_problem(text).startswith(NOT_PEM)


def test_half_a_certificate_and_a_private_key_are_refused(authority: Authority) -> None:
    assert gateway_problem(authority.pem[:200]).startswith("is no readable certificate")
    broken = authority.pem.replace("\nMII", "\nMIJ", 1)
    assert gateway_problem(broken).startswith("is no readable certificate")
    assert gateway_problem(authority.pem + "é").startswith("is no readable certificate")
    assert gateway_problem("".join(authority.certificate("a.test"))).startswith("holds a private key")
    assert authority_problem(authority.pem * 2) is None


def test_the_probe_is_told_and_the_contract_says_it(authority: Authority, preview: bool) -> None:
    gateway: Any = {"scheme": "https", "port": 443, "certificateAuthority": authority.pem}
    stack = declare(preview=preview, gateway=gateway)
    assert stack.one(recorder.PROBE).inputs["authority"] == authority.pem
    assert stack.exports["topology"]["gateway"]["certificateAuthority"] == authority.pem


def test_what_only_one_kind_of_gateway_has_is_refused_for_the_others() -> None:
    existing = {"name": "public", "namespace": "edge"}
    assert config_problem("certificate", certificate="a b") == '"a b" is no name of a Secret'
    assert "leave it out" in config_problem("certificate", certificate="tls", existing=existing)
    istio = {**existing, "kind": "istio", "listener": "https"}
    assert "leave it out" in config_problem("existing.listener", existing=istio)


@pytest.mark.parametrize(
    ("gateway", "url"),
    [
        ({}, "http://shop.test"),
        ({"scheme": "https"}, "https://shop.test"),
        ({"scheme": "https", "port": 8443}, "https://shop.test:8443"),
        ({"scheme": "https", "port": 80}, "https://shop.test:80"),
    ],
)
def test_the_port_of_urls_is_the_schemes_unless_the_config_says_another(
    gateway: dict[str, Any], url: str
) -> None:
    topology = load_baseline({**BASELINE, "gateway": gateway}).to_topology()
    assert Topology.from_plain(topology.to_plain(), "baseline").gateway.url("shop.test") == url
