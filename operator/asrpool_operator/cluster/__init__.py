"""The Kubernetes API as the operator needs it: the `Cluster` protocol, its implementation, leader election."""
