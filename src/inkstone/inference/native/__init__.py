"""Decoders on a CPU in compiled code: the code, what compiles and finds it, and models whose weights lie as it reads them."""
