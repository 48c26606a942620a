"""The families of language model, one a file, all behind the protocol of `base`."""

FAMILIES = {"decoder": "inkstone.models.decoder"}
