"""What trains many times: the comparison of all families, and later cross-validation and searches."""
