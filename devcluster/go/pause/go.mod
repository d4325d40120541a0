// The process that holds a pod's namespaces open.
module asrpool.dev/devcluster/pause

go 1.26
