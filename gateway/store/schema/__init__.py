"""Tables, their migrations, and the revision that a database is at."""
