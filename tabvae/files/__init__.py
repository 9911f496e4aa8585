"""Files read and written: CSV, Parquet, the container of models."""
