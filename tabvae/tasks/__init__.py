"""What a model is used for, one file a task."""
