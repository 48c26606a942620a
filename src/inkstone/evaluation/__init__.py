"""Scores with intervals, the yardsticks beside them, and the report and model card that show them."""
