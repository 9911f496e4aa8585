"""The networks: layers, the likelihood of cells, the model and its objective."""
