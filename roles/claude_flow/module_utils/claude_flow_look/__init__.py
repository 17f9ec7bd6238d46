"""What the role looks at on a host, by subject; the module ``claude_flow_host`` asks it all."""
