"""What trained networks say of cells that they were not shown."""
