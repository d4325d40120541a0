"""SenseVoiceSmall: a CTC encoder that also hears language, emotion and kind of sound, each utterance of a batch asked in its own way."""
