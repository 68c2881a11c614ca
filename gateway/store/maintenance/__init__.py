"""What an operator does with a whole database: look for what is wrong, back it up, and save what a damaged one has."""
