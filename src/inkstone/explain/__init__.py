"""What a model looked at and how sure it was: the inside of a trained model, for people to see."""
