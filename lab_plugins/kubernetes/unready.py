"""Replacement of a Job that is not done, for those who ask for it (`pulumi.com/replaceUnready`)."""

from __future__ import annotations

from lab_plugins.kubernetes.api import ApiError
from lab_plugins.kubernetes.discovery import NoMatchError
from lab_plugins.kubernetes.objects import Object, condition, split_identity
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.steering import REPLACE_UNREADY, is_true

PLACE = f'metadata.annotations["{REPLACE_UNREADY}"]'
"""The property that is named as the cause."""


def must_replace(session: Session, identifier: str, inputs: Object) -> bool:
    """Tell whether a Job failed or still runs and its new inputs ask for a new one then.

    Args:
        session: the provider.
        identifier: the resource's id.
        inputs: the new inputs.

    Returns:
        False for other kinds, and when the Job cannot be read: the operation that follows will say why.
    """
    if inputs.get("kind") != "Job" or not is_true(inputs, REPLACE_UNREADY) or session.unreachable:
        return False
    namespace, name = split_identity(identifier)
    try:
        live = session.api.get(session.resource_type(inputs).path(namespace, name))
    except (ApiError, NoMatchError):
        return False
    return condition(live, "Complete").get("status") != "True"
