"""Models behind HTTP: the OpenAI-compatible API and the studio."""
