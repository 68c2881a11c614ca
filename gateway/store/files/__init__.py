"""The files of a SQLite database as files: where they are, who may read them, and which server has them."""
