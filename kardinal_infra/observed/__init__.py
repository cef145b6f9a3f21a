"""What is on the cluster, as plain data, and pure questions about it."""
