"""Flows come and go, four engines at a time, while requests with and without a key are answered.

The short form of `make churn`, which does the same a hundred times and more.
"""

import pytest
from rich.console import Console

from tests.e2e.churn.patience import make_patient
from tests.e2e.churn.run import churn
from tests.e2e.production import Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]

CYCLES = 8
UNTAGGED = 2000
SEED = 8


def test_flows_come_and_go_and_no_request_lands_at_another_flow(
    production: Production, capsys: pytest.CaptureFixture[str]
) -> None:
    make_patient(production)
    verdict = churn(production, cycles=CYCLES, untagged=UNTAGGED, seed=SEED, say=lambda _: None)

    with capsys.disabled():
        Console().print("", verdict.table())
    assert verdict.problems() == []
