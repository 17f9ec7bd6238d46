"""The same job done by each library: a full file, ten overrides from the environment, checks.

What each can check and remember differs: ``scope`` says what its load includes.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jsonschema
import omegaconf
import pydantic
import pydantic_settings
from dynaconf import Dynaconf, Validator

from claude_flow.config import ConfigManager, Setting, config_schema

SCHEMA = config_schema()


class Contestant(ABC):
    """One library at the job. ``module`` is what its users import."""

    name: ClassVar[str]
    module: ClassVar[str]
    scope: ClassVar[str]

    @abstractmethod
    def load(self) -> object:
        """Read, merge and check everything once; raise if it is invalid."""

    @abstractmethod
    def getter(self, loaded: Any) -> Callable[[], object]:
        """Reads ``github.poll_interval_seconds`` once per call."""


class ClaudeFlow(Contestant):
    """This project."""

    name = "claude_flow"
    module = "from claude_flow import ConfigManager"
    scope = "file, conf.d, environment, schema, rules, origins"

    def __init__(self, path: Path, overrides: Mapping[str, str]) -> None:
        self._path = path
        self._environ = {SCHEMA.settings[key].variable: text for key, text in overrides.items()}

    def load(self) -> ConfigManager:
        """Load by ``ConfigManager``."""
        return ConfigManager.load(self._path, environ=self._environ)

    def getter(self, loaded: ConfigManager) -> Callable[[], object]:
        """By dotted key."""
        return lambda: loaded.get("github.poll_interval_seconds")


class PydanticSettings(Contestant):
    """pydantic-settings with models that have the schema's fields, types and bounds."""

    name = "pydantic-settings"
    module = "import pydantic_settings"
    scope = "file, environment, types, bounds"

    def __init__(self, path: Path, overrides: Mapping[str, str]) -> None:
        # It wants its delimiter between the parts of a name.
        names = {"BENCH__" + key.replace(".", "__"): text for key, text in overrides.items()}
        sections = _pydantic_fields(SCHEMA.document["properties"])

        class Settings(pydantic_settings.BaseSettings):
            model_config = pydantic_settings.SettingsConfigDict(extra="forbid", json_file=path)

            @classmethod
            def settings_customise_sources(
                cls,
                settings_cls: type[pydantic_settings.BaseSettings],
                init_settings: pydantic_settings.PydanticBaseSettingsSource,
                env_settings: pydantic_settings.PydanticBaseSettingsSource,
                dotenv_settings: pydantic_settings.PydanticBaseSettingsSource,
                file_secret_settings: pydantic_settings.PydanticBaseSettingsSource,
            ) -> tuple[pydantic_settings.PydanticBaseSettingsSource, ...]:
                del env_settings, dotenv_settings, file_secret_settings  # the process's own
                env = pydantic_settings.EnvSettingsSource(
                    settings_cls, env_prefix="BENCH__", env_nested_delimiter="__"
                )
                env.env_vars = {name.lower(): text for name, text in names.items()}
                file = pydantic_settings.JsonConfigSettingsSource(settings_cls)
                return init_settings, env, file

        self._model = pydantic.create_model("Full", __base__=Settings, **sections)

    def load(self) -> Any:
        """Make the settings object."""
        return self._model()

    def getter(self, loaded: Any) -> Callable[[], object]:
        """By nested attributes."""
        return lambda: loaded.github.poll_interval_seconds


class DynaconfLibrary(Contestant):
    """Dynaconf with one validator per setting."""

    name = "dynaconf"
    module = "import dynaconf"
    scope = "file, environment, types, bounds"

    def __init__(self, path: Path, overrides: Mapping[str, str]) -> None:
        self._path = path
        self._overrides = overrides

    def load(self) -> Any:
        """Make and check the settings object; overrides as its own ``set``, being no process's."""
        settings = Dynaconf(
            settings_files=[str(self._path)], validators=[_dynaconf(s) for s in _scalars()]
        )
        for key, text in self._overrides.items():
            settings.set(key, text, tomlfy=True)
        settings.validators.validate()
        return settings

    def getter(self, loaded: Any) -> Callable[[], object]:
        """By dotted key."""
        return lambda: loaded.get("github.poll_interval_seconds")


class OmegaConfLibrary(Contestant):
    """OmegaConf, which has no checks for plain documents."""

    name = "OmegaConf"
    module = "import omegaconf"
    scope = "file, overrides, no checks"

    def __init__(self, path: Path, overrides: Mapping[str, str]) -> None:
        self._path = path
        self._dots = [f"{key}={text}" for key, text in overrides.items()]

    def load(self) -> Any:
        """Merge the file and the overrides."""
        document = json.loads(self._path.read_text(encoding="utf-8"))
        return omegaconf.OmegaConf.merge(
            omegaconf.OmegaConf.create(document), omegaconf.OmegaConf.from_dotlist(self._dots)
        )

    def getter(self, loaded: Any) -> Callable[[], object]:
        """By nested attributes."""
        return lambda: loaded.github.poll_interval_seconds


class PlainJson(Contestant):
    """json and jsonschema with a validator made beforehand; no environment, no origins."""

    name = "json + jsonschema"
    module = "import json, jsonschema"
    scope = "file, schema"

    def __init__(self, path: Path, overrides: Mapping[str, str]) -> None:
        del overrides  # there is nothing to read them
        self._path = path
        self._validator = jsonschema.Draft202012Validator(dict(SCHEMA.document))

    def load(self) -> Any:
        """Parse and check the file."""
        document = json.loads(self._path.read_text(encoding="utf-8"))
        self._validator.validate(document)
        return document

    def getter(self, loaded: Any) -> Callable[[], object]:
        """By nested keys."""
        return lambda: loaded["github"]["poll_interval_seconds"]


CONTESTANTS: tuple[Callable[[Path, Mapping[str, str]], Contestant], ...] = (
    ClaudeFlow,
    PydanticSettings,
    DynaconfLibrary,
    OmegaConfLibrary,
    PlainJson,
)

_PYTHON = {"string": str, "integer": int, "number": float, "boolean": bool}


def _pydantic_fields(properties: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, spec in properties.items():
        if name == "$schema":
            continue
        if "properties" in spec:
            model = pydantic.create_model(
                name, __config__={"extra": "forbid"}, **_pydantic_fields(spec["properties"])
            )
            fields[name] = (model, model())
        else:
            fields[name] = (_pydantic_type(spec), spec["default"])
    return fields


def _pydantic_type(spec: Mapping[str, Any]) -> Any:
    kinds = [spec["type"]] if isinstance(spec["type"], str) else spec["type"]
    bounds = {
        "ge": spec.get("minimum"),
        "le": spec.get("maximum"),
        "gt": spec.get("exclusiveMinimum"),
        "max_length": spec.get("maxLength"),
    }
    kind = next(kind for kind in kinds if kind != "null")
    plain: Any = list[str] if kind == "array" else _PYTHON[kind]
    limited = Annotated[plain, pydantic.Field(**{k: v for k, v in bounds.items() if v is not None})]
    return limited | None if "null" in kinds else limited


def _scalars() -> list[Setting]:
    return [s for s in SCHEMA.settings.values() if not s.types & {"array", "null"}]


def _dynaconf(setting: Setting) -> Validator:
    (kind,) = setting.types
    python: Any = (int, float) if kind == "number" else _PYTHON[kind]
    bounds = {"gte": setting.spec.get("minimum"), "lte": setting.spec.get("maximum")}
    return Validator(
        setting.key, is_type_of=python, **{k: v for k, v in bounds.items() if v is not None}
    )
