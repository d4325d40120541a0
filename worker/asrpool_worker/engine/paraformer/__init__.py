"""Paraformer as pure tensor functions: one streaming step over many sessions, and the whole-utterance second pass."""
