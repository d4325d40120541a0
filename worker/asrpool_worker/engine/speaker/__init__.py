"""Who speaks: CAM++ embeddings (batched over sessions), a roster of enrolled people, and each session's own speakers."""
