"""The command line: the commands of operators."""
