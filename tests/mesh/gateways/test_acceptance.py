"""What a Gateway says about routes that it does not take, and how long it is waited for."""

from __future__ import annotations

import pytest

from kardinal_infra.errors import ClusterError
from tests.mesh.gateways.conftest import Edge, own_route

pytestmark = pytest.mark.lab


def test_routes_that_are_not_accepted_are_named_with_the_reason(edge: Edge) -> None:
    absent = own_route(edge, "absent", "https", "a.shop.test")
    absent["spec"]["rules"][0]["backendRefs"][0]["name"] = "nothing"
    several = own_route(edge, "several", "https", "b.shop.test")
    parent = several["spec"]["parentRefs"][0]
    several["spec"]["parentRefs"] += [{**parent, "sectionName": "none"}, {**parent, "name": "gone"}]
    good = own_route(edge, "good", "https", "c.shop.test")
    edge.mesh.apply([absent, several, good])

    edge.accepted([good])
    edge.accepted([{**good, "kind": "VirtualService"}], 0)  # has no status to wait for
    with pytest.raises(ClusterError) as caught:
        edge.accepted([absent, several, good], 3)
    where, public = f"HTTPRoute {edge.mesh.namespace}", f"Gateway {edge.own.namespace}/public"
    found = str(caught.value).removeprefix("not accepted within 3 s: ").split(f"; {where}")
    assert len(found) == 3
    assert found[0].startswith(
        f"{where}/absent is not in effect at {public} listener https: BackendNotFound: backend(nothing."
    )
    assert f"/several is not in effect at {public} listener none: NoMatchingParent: " in found[1]
    assert found[2] == (
        f"/several is not in effect at Gateway {edge.own.namespace}/gone listener https: nobody has looked at"
        " it: does that parent exist?"
    )
    edge.mesh.delete("httproute", "several")
    with pytest.raises(ClusterError, match="several is gone: somebody deleted it"):
        edge.accepted([several], 0)
