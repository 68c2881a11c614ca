"""The REST face: the Assistants v2 API of threads, messages, assistants and runs, to the letter."""
