"""The releases of the agents' programs that this service is tested with.

A newer one can behave differently: raise these only together with the integration tests.
"""

CLAUDE_FLOW_VERSION = "3.43.0"
"""The npm package ``claude-flow``; the default of the setting ``claude_flow.version``."""
CLAUDE_FLOW_2_VERSION = "2.7.47"
"""The latest of the line before, for those who set ``claude_flow.version`` to it."""
CLAUDE_CODE_VERSION = "2.1.330"
"""The npm packages ``@anthropic-ai/claude-code-*``."""
