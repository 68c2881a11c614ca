"""What things are: threads, messages, pages, and how raw JSON becomes them. No I/O, no async."""
