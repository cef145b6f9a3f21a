"""Schedules: what some stacks are told to do, one step after the other, and how each step is disturbed.

A schedule follows from its seed alone, and its text says everything that it does.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from kardinal_infra.databases.request import BranchRequest, Compute
from tests.neon.faults.injector import Plan
from tests.neon.wanted import replace

Program = Mapping[str, BranchRequest]

FOLDER = "kardinal/shop"
STACKS = ("dev", "pr-7")
_LONGEST = 26
"""Calls of a create with everything, about: a crash comes at one of these."""


@dataclass(frozen=True)
class Step:
    """One thing that happens.

    Attributes:
        action: `up`, `refresh and up`, `destroy`; `squat` and `fork` are done by somebody else: a branch with
            the name that the stack wants, or one made from the stack's own.
        stack: Whose.
        program: What the stack wants.
        plan: How it is disturbed.
    """

    action: str
    stack: str
    program: Program
    plan: Plan = field(default_factory=Plan)

    def __str__(self) -> str:
        wanted = {name: _short(request) for name, request in self.program.items()}
        return f"{self.action} of {self.stack}: {wanted}\n    disturbed: {self.plan}"


@dataclass(frozen=True)
class Schedule:
    """Steps, and what the stacks want in the end.

    Attributes:
        seed: It follows from this.
        steps: Disturbed ones.
        final: Programs of the last, undisturbed `up`, by stack.
    """

    seed: int
    steps: list[Step]
    final: dict[str, Program]

    def __str__(self) -> str:
        lines = [f"schedule {self.seed}", *(f"  {n}. {step}" for n, step in enumerate(self.steps, 1))]
        for stack, program in self.final.items():
            lines.append(f"  at last {stack}: { {name: _short(r) for name, r in program.items()} }")
        return "\n".join(lines)


def schedule(seed: int, project: str) -> Schedule:
    """Makes the schedule of a seed.

    Args:
        seed: Any number.
        project: Id of the project.
    """
    dice = random.Random(f"schedule {seed}")
    rate = dice.choice([0.0, 0.03, 0.08, 0.15, 0.3])
    stacks = STACKS if dice.random() < 0.2 else STACKS[:1]
    programs: dict[str, Program] = {stack: _first(dice, stack, project) for stack in stacks}
    steps = []
    for number in range(dice.choice([1, 2, 2, 3, 3, 4])):
        stack = dice.choice(stacks)
        if number and dice.random() < 0.7:
            programs[stack] = _changed(dice, stack, programs[stack], project)
        action = dice.choices(["up", "refresh and up", "destroy", "squat", "fork"], [14, 2, 3, 1, 1])[0]
        steps.append(Step(action, stack, programs[stack], _plan(dice, seed, number, rate)))
        if action == "squat":
            name = dice.choice(sorted(programs[stack]))
            free = replace(programs[stack][name], name=f"{FOLDER}/{stack}/{name}-elsewhere")
            steps.append(Step("up", stack, programs[stack], _plan(dice, seed, number + 10, rate)))
            programs[stack] = {**programs[stack], name: free}
    return Schedule(seed, steps, programs)


def _plan(dice: random.Random, seed: int, number: int, rate: float) -> Plan:
    crash = dark = None
    if dice.random() < 0.45:
        crash = (dice.randint(1, _LONGEST), dice.choice(["before", "after"]))
    elif dice.random() < 0.1:
        dark = dice.randint(1, _LONGEST)
    return Plan(f"{seed}/{number}", rate, crash, dark)


def _first(dice: random.Random, stack: str, project: str) -> Program:
    names = ["votes", "audit"] if dice.random() < 0.15 else ["votes"]
    return {name: _request(dice, stack, name, project) for name in names}


def _request(dice: random.Random, stack: str, name: str, project: str) -> BranchRequest:
    request = BranchRequest(
        name=f"{FOLDER}/{stack}/{name}",
        project=project,
        database="votes",
        role="votes_owner",
        annotations={
            "kardinal-stack": f"organization/kardinal/{stack}",
            "kardinal-flow": stack,
            "kardinal-database": name,
        },
        ttl=dice.choice([None, "24h"]),
    )
    for part in dice.sample(["parent", "roles", "databases", "compute", "init", "rotate"], 2):
        if dice.random() < 0.4:
            request = _with(dice, request, part)
    return request


def _changed(dice: random.Random, stack: str, program: Program, project: str) -> Program:
    changed = dict(program)
    chance = dice.random()
    if chance < 0.1 and len(changed) > 1:
        del changed[sorted(changed)[-1]]
    elif chance < 0.2:
        name = "audit" if "audit" not in changed else "votes"
        changed[name] = _request(dice, stack, name, project)
    else:
        name = dice.choice(sorted(changed))
        parts = ["name", "ttl", "end", "roles", "databases", "compute", "parent", "protected", "init"]
        part = dice.choices(parts, [3, 3, 1, 3, 3, 3, 1, 1, 0.5])[0]
        changed[name] = _with(dice, changed[name], part)
    return changed


def _with(dice: random.Random, request: BranchRequest, part: str) -> BranchRequest:
    match part:
        case "name":
            stem = request.name.removesuffix("-b")
            return replace(request, name=stem if stem != request.name else f"{stem}-b")
        case "ttl":
            return _ending(replace(request, ttl=dice.choice(["24h", "48h"])))
        case "end":
            return replace(request, ttl=None, expires_at=None)
        case "roles":
            roles = dice.choice([(), ("reader",), ("reader", "writer")])
            made = request.databases or {}
            kept = {name: owner for name, owner in made.items() if owner in (*roles, "votes_owner")}
            return replace(request, roles=roles, databases=kept)
        case "databases":
            owner = dice.choice(["votes_owner", *(request.roles or ())])
            return replace(
                request, databases=dice.choice([{}, {"log": owner}, {"log": owner, "more": owner}])
            )
        case "compute":
            small = Compute(min_units=0.25, max_units=1.0)
            large = Compute(min_units=0.5, max_units=2.0, suspend_after="5m")
            sizes = [None, small, large, Compute(suspend_after="never")]
            return replace(request, compute=dice.choice(sizes))
        case "parent":
            return replace(request, parent=dice.choice([None, "main", "staging"]))
        case "protected":
            return replace(request, protected=not request.protected, ttl=None, expires_at=None)
        case "rotate":
            return replace(request, rotate_password=False)
        case "init":
            return replace(request, init=dice.choice(["data", "schema-only"]))
    raise AssertionError(part)


def _ending(request: BranchRequest) -> BranchRequest:
    return replace(request, protected=False)


def _short(request: BranchRequest) -> dict[str, object]:
    usual = ("project", "database", "role", "annotations")
    return {name: value for name, value in request.to_plain().items() if name not in usual}
