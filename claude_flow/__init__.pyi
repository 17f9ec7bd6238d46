from claude_flow.config import ConfigError as ConfigError
from claude_flow.config import ConfigManager as ConfigManager
from claude_flow.runner import RunResult as RunResult
from claude_flow.runner import WorkflowRunner as WorkflowRunner
from claude_flow.service import ServiceManager as ServiceManager
from claude_flow.version import __version__ as __version__
