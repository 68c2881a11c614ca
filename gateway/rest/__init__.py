"""The REST face: the Assistants v2 threads and messages API, to the letter."""
