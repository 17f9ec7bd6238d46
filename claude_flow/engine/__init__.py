"""The durable engine behind ``claude_flow.ports.Engine``: the only room with SQL and DBOS.

``claude_flow.engine.durable`` has ``DurableEngine`` and loads DBOS (half a second): import it
where the daemon starts. ``claude_flow.engine.record`` reads the runs without it.
"""
