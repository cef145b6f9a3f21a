"""Flows and stacks of a project folder, by Pulumi's Automation API and command line."""

from kardinal_infra.automation.project import FlowRequest, FlowSummary, Project
from kardinal_infra.automation.stacks import PulumiStacks, StateBackend
from kardinal_infra.automation.workspace import AutomationError

__all__ = ["AutomationError", "FlowRequest", "FlowSummary", "Project", "PulumiStacks", "StateBackend"]
