"""The one training loop, and what it needs: plan, optimisers, schedule, checkpoints, machine."""
