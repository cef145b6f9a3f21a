"""A flow's routes in VirtualServices, for the mesh and on Istio's Gateways."""
