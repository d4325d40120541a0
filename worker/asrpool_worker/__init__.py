"""The worker: admission, stream protocols and the batching engine of one pod."""
