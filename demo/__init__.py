"""`make demo`: the main job on a real Kubernetes, shown live, with a verdict that a script can trust."""
