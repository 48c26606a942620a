"""What a model can be trained to do: each task says what an example is and what the loss is."""
