"""Whisper as an offline choice, run by CTranslate2 with faster-whisper's front end: on CPUs without torch, many utterances at once."""
