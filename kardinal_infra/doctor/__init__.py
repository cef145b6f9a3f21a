"""The propagation doctor: which service of an application does not send the routing key on.

A probe is a small flow without forks: a key that nobody else has, routes of its own that match it exactly,
and a host of its own at the Gateway. Its routes lead where requests go anyway, and mirror what carries the
key to a collector, an Envoy of the mesh's own image that logs who called whom. Nothing that exists is
changed, and requests without the probe's key meet none of its routes.
"""

from kardinal_infra.doctor.plan import ProbePlan, plan_probe
from kardinal_infra.doctor.run import Question, diagnose
from kardinal_infra.doctor.verdict import Diagnosis, Edge, Trace

__all__ = ["Diagnosis", "Edge", "ProbePlan", "Question", "Trace", "diagnose", "plan_probe"]
