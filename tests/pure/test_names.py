"""Names made from names: short enough, deterministic, apart from each other."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kardinal_infra.model import names
from tests.pure.samples import MANY

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
DNS_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


@MANY
@given(labels, labels, st.integers(1, 65535), st.integers(1, 99))
def test_every_derived_name_is_a_dns_label(service: str, flow: str, port: int, part: int) -> None:
    for name in (
        names.fork_name(service, flow),
        names.route_name(service, flow, port, part),
        names.entry_route_name(service, flow, part),
        names.catch_all_name(service, port),
        names.production_route_name(service, part),
    ):
        assert DNS_LABEL.fullmatch(name), name
        assert names.label_problem(name) is None


@MANY
@given(labels, labels, labels)
def test_services_of_one_flow_never_share_a_fork_name(flow: str, one: str, other: str) -> None:
    assume(one != other)
    assert names.fork_name(one, flow) != names.fork_name(other, flow)


def test_long_names_that_differ_only_at_the_end_stay_apart() -> None:
    long = "s" * 60
    assert names.fork_name(long, "flow-1") != names.fork_name(long, "flow-2")
    assert names.fork_name(long, "flow-1").startswith("s" * 54 + "-")


def test_short_names_are_left_readable() -> None:
    assert names.fork_name("voting-app-ui", "dev") == "voting-app-ui-dev"
    assert names.route_name("votes-api", "dev", 80) == "votes-api-dev-80"
    assert names.route_name("votes-api", "dev", 80, 2) == "votes-api-dev-80-02"
    assert names.branch_name("shop", "dev", "votes") == "kardinal/shop/dev/votes"


@pytest.mark.parametrize("text", ["", "Dev", "a_b", "-a", "a-", "a.b", "ä", "a" * 64, "a\n"])
def test_what_is_not_a_dns_label_is_no_flow_id(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|characters"):
        names.flow_id(text)


@given(labels)
def test_every_dns_label_is_a_flow_id(text: str) -> None:
    assert names.flow_id(text) == text


@pytest.mark.parametrize("host", ["", "a..b", "a.b_c", "A.b", "x." + "y" * 64, ".".join(["abcdefgh"] * 30)])
def test_what_is_not_a_host_name_is_told(host: str) -> None:
    assert names.host_problem(host)


@pytest.mark.parametrize("host", ["localhost", "dev.voting.localhost", "1.2.example"])
def test_host_names_pass(host: str) -> None:
    assert names.host_problem(host) is None


def test_metadata_says_whose_an_object_is() -> None:
    owner = names.Owner("organization/kardinal/dev", "shop", "dev")
    assert owner.metadata("x", "web", {"a": "b"}) == {
        "name": "x",
        "namespace": "shop",
        "labels": {
            "app.kubernetes.io/managed-by": "kardinal",
            "kardinal.dev/flow": "dev",
            "kardinal.dev/service": "web",
        },
        "annotations": {"a": "b", "kardinal.dev/stack": "organization/kardinal/dev"},
    }
    assert "kardinal.dev/flow" not in names.Owner("s", "shop").labels()
