"""What a request's handler hands on."""

from tests.shop.conftest import Load


def test_the_keys_of_a_flow_and_of_traces_are_handed_on_and_nothing_else(load: Load) -> None:
    context_of = load("shop-web:1.0", "context").context_of

    assert context_of(
        [
            ("X-Kardinal-Flow", "dev"),
            ("baggage", "kardinal-flow=dev"),
            ("baggage", "a=b"),
            ("authorization", "secret"),
            ("traceparent", "00-1-2-01"),
        ]
    ) == {"x-kardinal-flow": "dev", "baggage": "kardinal-flow=dev, a=b", "traceparent": "00-1-2-01"}


def test_binary_metadata_is_no_context(load: Load) -> None:
    assert load("shop-catalog:1.0", "context").context_of([("baggage", b"\x00")]) == {}
