"""Pure values of the domain: issues, runs, attempts, and what may become of them. No I/O."""
