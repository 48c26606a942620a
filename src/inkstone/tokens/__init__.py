"""Text to ids and back: tokenizers, token shards on disk, batches for training."""
