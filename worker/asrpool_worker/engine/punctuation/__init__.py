"""Punctuation: CT-Transformer over the words of many sessions at once, and FunASR's rules for cutting and writing text."""
