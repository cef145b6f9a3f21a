"""The lab: a real Kubernetes with Istio on one machine, for the demo and the tests."""
