"""The command line: a thin front to the library, one file a command."""
