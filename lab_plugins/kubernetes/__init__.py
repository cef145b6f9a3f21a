"""Stand-in for `pulumi-resource-kubernetes`: any group, version and kind of any Kubernetes API server."""
