"""Reads a flow's stack from another program, typed and checked."""

import pulumi

from kardinal_infra import FlowOutputs

flow = FlowOutputs.from_stack(pulumi.Config().require("flow"))

# The values are plain, also in a preview: they can decide what is declared.
changed = ", ".join(f"`{name}` ({service.image})" for name, service in sorted(flow.services.items()))
pulumi.export("comment", f"Preview of {flow.flow}: {flow.url} runs {changed}")
pulumi.export("header", f"{flow.header['name']}: {flow.header['value']}")

# Only the connections are not: they stay secret.
assert flow.connection_uris is not None
pulumi.export("votes", flow.connection_uris.apply(lambda uris: uris.get("votes")))
