"""Calls on anonymized branches (beta): copies whose columns are masked before anyone can connect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kardinal_infra.databases.neon.decode import decode, field
from kardinal_infra.databases.neon.http import NeonHttp, segment
from kardinal_infra.databases.neon.models import (
    AnonymizedStatus,
    BranchCreated,
    BranchOptions,
    EndpointOptions,
    MaskingRule,
    body,
)


class AnonymizedBranches:
    """Calls on masking."""

    def __init__(self, http: NeonHttp) -> None:
        self._http = http

    def create(
        self,
        project_id: str,
        options: BranchOptions,
        *,
        rules: Sequence[MaskingRule],
        endpoints: Sequence[EndpointOptions],
        annotations: Mapping[str, str],
    ) -> BranchCreated:
        """Starts the creation of a masked branch; connections are refused until masking is done.

        Args:
            project_id: The project.
            options: Name, parent and so on.
            rules: Columns to mask; columns of a foreign key cannot be.
            endpoints: Its computes.
            annotations: Ownership marks.
        """
        request = {
            "branch_create": {
                "branch": body(options),
                "endpoints": [body(endpoint) for endpoint in endpoints],
            },
            "masking_rules": [body(rule) for rule in rules],
            "start_anonymization": True,
            "annotation_value": dict(annotations),
        }
        answer = self._http.post(f"/projects/{segment(project_id)}/branch_anonymized", request)
        return decode(BranchCreated, answer)

    def rules(self, project_id: str, branch_id: str) -> list[MaskingRule]:
        """Returns the masking rules of a branch."""
        answer = self._http.get(_path(project_id, branch_id, "masking_rules"))
        return [decode(MaskingRule, item) for item in field(answer, "masking_rules")]

    def set_rules(self, project_id: str, branch_id: str, rules: Sequence[MaskingRule]) -> list[MaskingRule]:
        """Replaces the whole list of masking rules."""
        request = {"masking_rules": [body(rule) for rule in rules]}
        answer = self._http.patch(_path(project_id, branch_id, "masking_rules"), request)
        return [decode(MaskingRule, item) for item in field(answer, "masking_rules")]

    def start(self, project_id: str, branch_id: str) -> AnonymizedStatus:
        """Masks (again); already masked data is masked once more."""
        return decode(AnonymizedStatus, self._http.post(_path(project_id, branch_id, "anonymize")))

    def status(self, project_id: str, branch_id: str) -> AnonymizedStatus:
        """Reads how far masking has come; a branch made a moment ago may take some seconds to be visible."""
        path = _path(project_id, branch_id, "anonymized_status")
        return decode(AnonymizedStatus, self._http.get(path, just_made=True))


def _path(project_id: str, branch_id: str, what: str) -> str:
    return f"/projects/{segment(project_id)}/branches/{segment(branch_id)}/{what}"
