"""Sound: files read as samples, their features, and how they are altered while a model learns."""
