"""Text from any language model: sampling, beam search, conversation, and the fast step of the decoder."""
