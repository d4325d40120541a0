"""Voice activity detection: the FSMN network (batched over sessions) and the end-pointing of each session (plain Python)."""
