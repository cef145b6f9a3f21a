"""A flow's routes as HTTPRoutes and GRPCRoutes, on Services and on Gateways."""
