"""Addresses for Services of type LoadBalancer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.loadbalancer import free_address, wanted_addresses


def test_the_first_address_is_not_the_networks_own() -> None:
    assert free_address("10.0.0.0/24", []) == "10.0.0.1"


def test_a_freed_address_is_given_again() -> None:
    assert free_address("10.0.0.0/24", ["10.0.0.1", "10.0.0.3"]) == "10.0.0.2"


def test_a_full_range_gives_nothing() -> None:
    assert free_address("10.0.0.0/30", ["10.0.0.1", "10.0.0.2"]) is None
    services = {"a": (True, "10.0.0.1"), "b": (True, "10.0.0.2"), "c": (True, "")}
    assert wanted_addresses("10.0.0.0/30", services) == {}


def test_the_oldest_is_served_first_and_nobody_is_moved() -> None:
    services = {"old": (True, ""), "settled": (True, "10.0.0.1"), "young": (True, ""), "other": (False, "")}
    assert wanted_addresses("10.0.0.0/24", services) == {"old": "10.0.0.2", "young": "10.0.0.3"}


def test_a_service_that_is_no_longer_balanced_gives_its_address_back() -> None:
    assert wanted_addresses("10.0.0.0/24", {"a": (False, "10.0.0.1")}) == {"a": ""}


addresses = st.sampled_from(["", "10.0.0.1", "10.0.0.2", "10.0.0.3"])


@given(st.lists(st.booleans(), max_size=8))
def test_no_address_is_given_twice(wishes: list[bool]) -> None:
    services = {str(number): (wants, "") for number, wants in enumerate(wishes)}
    given_out = [address for address in wanted_addresses("10.0.0.0/24", services).values() if address]
    assert len(given_out) == len(set(given_out)) == sum(wishes)


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.tuples(st.booleans(), addresses), max_size=6)
)
def test_what_was_written_once_needs_no_second_write(services: dict[str, tuple[bool, str]]) -> None:
    changes = wanted_addresses("10.0.0.0/24", services)
    after = {key: (wants, changes.get(key, address)) for key, (wants, address) in services.items()}
    assert wanted_addresses("10.0.0.0/24", after) == {}
