"""Tiny recognition models: the speech they learn from, their training and the folders they ship in.

They exist so that the demo and the tests recognise real audio on a machine without a GPU and
without downloads. They know one small vocabulary and one synthesiser; see ``models/README.md``.
"""
