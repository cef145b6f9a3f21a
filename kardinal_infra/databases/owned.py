"""A branch that some stack of ours made, as a backend lists it: what `reap` decides on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kardinal_infra.model.names import BRANCH_ANNOTATION_STACK


@dataclass(frozen=True)
class OwnedBranch:
    """A branch that carries the mark `kardinal-stack`; times are aware.

    Attributes:
        branch_id: Id in the backend, the same as the output `branch_id` of the resource that made it.
        name: Name in the backend.
        project: Where it lives, in a form that the backend takes back.
        annotations: All its marks.
        created_at: When it was made; None when the backend does not know.
        expires_at: When its time is over; None: never.
        protected: The backend refuses its deletion.
        default: It is what others branch from by default; never ours to delete.
        children: Names of the branches made from it, whoever made them.
        size_bytes: Size of its data as the backend tells it; with copy-on-write the disk it takes is less.
        other_ids: Further resource ids under which a stack's state may hold it.
    """

    branch_id: str
    name: str
    project: str
    annotations: Mapping[str, str]
    created_at: datetime | None = None
    expires_at: datetime | None = None
    protected: bool = False
    default: bool = False
    children: tuple[str, ...] = field(default=())
    size_bytes: int | None = None
    other_ids: frozenset[str] = frozenset()

    @property
    def stack(self) -> str:
        """Its owner, `organization/project/stack`."""
        return self.annotations[BRANCH_ANNOTATION_STACK]
