"""Word vectors: learned from text, read and written, asked for neighbours, tested against people's judgements."""
