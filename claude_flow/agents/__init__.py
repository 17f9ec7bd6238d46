"""The agents: how each kind is started and what its words and its end mean."""

from claude_flow.agents.factory import make_agent
from claude_flow.agents.settings import AgentSettings
from claude_flow.agents.surroundings import droppings

__all__ = ["AgentSettings", "droppings", "make_agent"]
