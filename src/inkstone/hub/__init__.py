"""Adapters of foreign formats, one a file: the only place where a Hugging Face or GGUF name may stand."""
