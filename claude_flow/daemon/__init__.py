"""The service: one loop that polls, admits and watches, its signals, and its HTTP side."""
