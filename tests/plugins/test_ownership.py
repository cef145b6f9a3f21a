from typing import Any

from lab_plugins.kubernetes.ownership import owned_paths, owns, take_over


def entry(manager: str, operation: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


def live(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "7", "managedFields": list(entries)}}


CREATED = entry("pulumi-kubernetes", "Update", {"f:data": {"f:a": {}}})
KUBECTL = entry("kubectl-client-side-apply", "Update", {"f:data": {"f:b": {}}})
STATUS = entry("pulumi-kubernetes", "Update", {"f:status": {}}, subresource="status")
OTHER = entry("controller", "Update", {"f:data": {"f:c": {}}})


def test_fields_of_earlier_tools_move_to_the_manager() -> None:
    patch = take_over(live(CREATED, KUBECTL, OTHER, STATUS), "pulumi-kubernetes-1")
    moved = entry("pulumi-kubernetes-1", "Apply", {"f:data": {"f:a": {}, "f:b": {}}})
    assert patch[0]["value"] == [moved, OTHER, STATUS]
    assert patch[1] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


def test_an_entry_of_ours_takes_them_in() -> None:
    ours = entry("pulumi-kubernetes-1", "Apply", {"f:spec": {}})
    patch = take_over(live(ours, CREATED), "pulumi-kubernetes-1")
    assert patch[0]["value"] == [entry("pulumi-kubernetes-1", "Apply", {"f:spec": {}, "f:data": {"f:a": {}}})]


def test_nothing_to_move() -> None:
    assert take_over(live(OTHER, STATUS), "pulumi-kubernetes-1") == []
    assert take_over({"metadata": {}}, "pulumi-kubernetes-1") == []


def test_who_owns_a_field() -> None:
    ours, theirs = owned_paths(live(entry("me", "Apply", {"f:spec": {"f:a": {}}}), OTHER), "me")
    assert owns(ours, ["spec", "a"])
    assert not owns(theirs, ["spec", "a"])
    assert owns(theirs, ["data", "c"])
