"""What a flow asks of a branching system, and its form in a stack's state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from kardinal_infra.model.branch_options import (
    BranchInit,
    BranchOptions,
    Compute,
    Location,
    MaskingRule,
    Option,
    Spell,
    text_check,
)
from kardinal_infra.model.branch_rules import expiry_problem, identifier_problem

__all__ = ["BranchInit", "BranchRequest", "Compute", "MaskingRule", "given"]


def _text_problem(text: str) -> str | None:
    return None if text.strip() else "must be a non-empty text"


def _branch_name_problem(text: str) -> str | None:
    if text.strip() and (text != text.strip() or not text.isprintable()):
        return "a branch name must not have white space at its ends or unprintable characters"
    return _text_problem(text)


def _marks(value: Mapping[str, str], _now: datetime | None, _spell: Spell) -> Iterable[tuple[Location, str]]:
    if not value:
        yield (), "must have at least one entry: it is how we know our own branches"
    if wrong := sorted(key for key, text in value.items() if not text):
        yield (), f"must hold non-empty texts only, which is not so for {', '.join(wrong)}"


def _end(value: str, now: datetime | None, _spell: Spell) -> Iterator[tuple[Location, str]]:
    if now is not None and (message := expiry_problem(value, now)):
        yield (), message


_Text = Annotated[str, Option(check=text_check(_text_problem))]
_Name = Annotated[str, Option(check=text_check(identifier_problem))]


class BranchRequest(BranchOptions):
    """The branch that a flow asks for: the options, and which branch it is. Structure is known at preview.

    Attributes:
        name: Name of the branch, unique within the project.
        project: Where the database lives, in the backend's words; for Neon a project id or name.
        database: Database to connect to.
        role: Role to connect as.
        parent: Branch to branch from, by id or name; None is the project's default branch.
        annotations: Marks of ownership besides the stack's own.
        expires_at: Time of its deletion, RFC 3339; not together with `ttl`.
        rotate_password: Give the role a password that does not open the parent.
        delete_children: Delete branches that this stack made from it before it.
        api_host: Address of the backend's API; None is its default.
    """

    name: Annotated[str, Option(check=text_check(_branch_name_problem))]
    project: _Text
    database: _Name
    role: _Name
    parent: Annotated[str | None, Option(check=text_check(_text_problem), replaces=True)] = None
    annotations: Annotated[dict[str, str], Option(check=_marks)] = Field(default_factory=dict)
    expires_at: Annotated[str | None, Option("delete branches after a time", _end)] = None
    rotate_password: bool = True
    delete_children: bool = False
    api_host: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """Returns it as JSON data without what has its default, so that new fields change no old state."""
        return given(self)

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """Builds a request from what `to_plain` made, now or in an earlier version.

        Args:
            data: JSON data.

        Raises:
            ValueError: A field is unknown or a required one is missing.
        """
        return cls.model_validate(data)


def given(model: BaseModel) -> dict[str, Any]:
    """Returns what a model says besides its defaults, as JSON data by the fields' names.

    Args:
        model: A request or a part of one.
    """
    found: dict[str, Any] = {}
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if value != info.get_default(call_default_factory=True):
            # pydantic's own `schema` is in the way of a field of this name.
            found[name.rstrip("_")] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return given(value)
    return list(map(_plain, value)) if isinstance(value, tuple) else value
