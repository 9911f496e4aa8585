"""Files read and written: tables of several formats, the container of models."""
