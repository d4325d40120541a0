"""Paraformer with a time-stamp head (BiCif) and with a bias encoder for hotwords (SeACo) as a model of the second pass."""
