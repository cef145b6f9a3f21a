"""Masked branches of the Neon in memory: their states move on with every look at them."""

from __future__ import annotations

from typing import Any

import httpx

Json = dict[str, Any]

NOW = "2026-11-23T12:00:00Z"


class FakeMasking:
    """The rules and the state of one masked branch.

    Attributes:
        steps: States still to come, one for each look; the last one stays.
        runs: The rules of each masking that has been done.
    """

    def __init__(self, rules: list[Json], *, start: bool, failure: str | None) -> None:
        self.rules = rules
        self.failure = failure
        self.steps = ["created", "initialized"]
        self.runs: list[list[Json]] = []
        if start:
            self.start()

    @property
    def state(self) -> str:
        return self.steps[0]

    def start(self) -> None:
        self.steps = [*self.steps, "anonymizing", "error" if self.failure else "anonymized"]

    def answer(self, project_id: str, branch_id: str) -> Json:
        """The state as one look finds it."""
        found = {"project_id": project_id, "branch_id": branch_id, "state": self.state}
        if self.state == "error" and self.failure:
            found["status_message"] = self.failure
        if self.state == "anonymized" and len(self.steps) == 1 and self.runs[-1:] != [self.rules]:
            self.runs.append(self.rules)
        if len(self.steps) > 1:
            self.steps.pop(0)
        return {**found, "created_at": NOW, "updated_at": NOW}

    def call(self, method: str, what: str, body: Json, ids: tuple[str, str]) -> httpx.Response | None:
        """Answers the calls below a branch; None when there is no such call."""
        match method, what:
            case "GET", "anonymized_status":
                return httpx.Response(200, json=self.answer(*ids))
            case "POST", "anonymize" if self.state in ("initialized", "error", "anonymized"):
                self.steps = [self.state]
                self.start()
                self.steps.pop(0)
                return httpx.Response(200, json=self.answer(*ids))
            case "POST", "anonymize":
                return httpx.Response(422, json={"code": "", "message": f"cannot start while {self.state}"})
            case "PATCH", "masking_rules":
                self.rules = body["masking_rules"]
        if what == "masking_rules":
            return httpx.Response(200, json={"masking_rules": self.rules})
        return None
