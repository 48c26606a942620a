"""Text from wherever it lies to clean documents, split into what is learned from and what is measured on."""
