"""All I/O with the cluster: the Kubernetes API, and requests to its public hosts."""
