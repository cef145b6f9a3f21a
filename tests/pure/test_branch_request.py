"""The form in which a request for a branch lives in a stack's state."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.databases.request import BranchRequest, Compute, MaskingRule
from tests.pure.samples import MANY

NEEDED: dict[str, Any] = {
    "name": "kardinal/voting/dev/votes",
    "project": "p",
    "database": "votes",
    "role": "votes_owner",
}

texts = st.text(min_size=1, max_size=8)
maybe = st.none() | texts
rules = st.builds(
    MaskingRule, table=texts, column=texts, schema=texts, database=maybe, function=maybe, value=maybe
)
sizes = st.none() | st.floats(0.25, 56)
requests = st.builds(
    BranchRequest,
    **dict.fromkeys(NEEDED, texts),
    **dict.fromkeys(("parent", "ttl", "api_host", "parent_timestamp", "parent_lsn", "expires_at"), maybe),
    **{name: st.booleans() for name in ("protected", "rotate_password", "delete_children")},
    annotations=st.dictionaries(texts, texts, max_size=2),
    databases=st.dictionaries(texts, texts, max_size=2),
    init=st.sampled_from(["data", "schema-only", "masked"]),
    masking_rules=st.lists(rules, max_size=2).map(tuple),
    compute=st.none() | st.builds(Compute, min_units=sizes, max_units=sizes, suspend_after=maybe),
    roles=st.lists(texts, max_size=2).map(tuple),
)


@MANY
@given(requests)
def test_plain_data_give_the_request_back(request: BranchRequest) -> None:
    assert BranchRequest.from_plain(json.loads(json.dumps(request.to_plain()))) == request


def test_every_field_takes_part() -> None:
    everything: dict[str, Any] = {
        **NEEDED,
        "parent": "main",
        "ttl": "1d",
        "protected": True,
        "annotations": {"a": "b"},
        "rotate_password": False,
        "delete_children": True,
        "api_host": "http://127.0.0.1:1",
        "init": "masked",
        "masking_rules": (MaskingRule(table="voter", column="email", function="anon.fake_email()"),),
        "parent_timestamp": "2026-11-23T11:00:00Z",
        "parent_lsn": "0/1",
        "expires_at": "2026-12-23T11:00:00Z",
        "compute": Compute(min_units=0.5),
        "databases": {"audit": "auditor"},
        "roles": ("auditor",),
    }
    assert set(everything) == set(BranchRequest.model_fields)
    plain = BranchRequest(**everything).to_plain()
    assert plain == {
        **everything,
        "masking_rules": [{"table": "voter", "column": "email", "function": "anon.fake_email()"}],
        "compute": {"min_units": 0.5},
        "roles": ["auditor"],
    }


def test_what_has_its_default_is_not_stored_so_that_new_fields_change_no_state() -> None:
    assert BranchRequest(**NEEDED).to_plain() == NEEDED


def test_a_state_of_an_earlier_version_is_read() -> None:
    stored = {
        **NEEDED,
        "annotations": {},
        "rotate_password": True,
        "delete_children": False,
    }
    assert BranchRequest.from_plain(stored) == BranchRequest(**NEEDED)
