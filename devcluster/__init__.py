"""A real one-node Kubernetes for the demo and the tests, without Docker and without a mock.

`python -m devcluster up` brings up etcd, the control plane, kubelet, kube-proxy, CoreDNS and containerd as ordinary
processes inside namespaces of their own. Because the whole node lives in its own process, mount and network namespace:

- nothing of the host's firewall, routes, mounts or `/run` is shared with it, so `down` ends one process and all is gone;
- no packet of a pod or a service can leave the machine: the node has no default route;
- several clusters can run beside one another, told apart by name, state folder and address range.

Binaries and image layers are built once into a cache outside the tree (`$ASRPOOL_CACHE`, else `~/.cache/asrpool`).
Only the standard library is used here, so that it runs before anything is installed.
"""
