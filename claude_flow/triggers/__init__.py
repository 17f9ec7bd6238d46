"""What becomes a run: the poller, admission and the trust gate."""
