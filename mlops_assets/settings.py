"""Settings: one typed model, read from the environment and from nowhere else.

Every setting is the environment variable ``MLOPS_ASSETS_<NAME>``. A variable with that
prefix that is no setting is an error, so that a misspelt one is not silently ignored.
What belongs to a use case (its sources, models, policies) is declared there, not here.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "MLOPS_ASSETS_"
#: Characters of a signing key: 32 hexadecimal digits are 128 bits.
SHORTEST_KEY = 32
_CHECKOUT = Path(__file__).resolve().parents[1]


class SettingsError(ValueError):
    """A setting is wrong. The message names the variable and the remedy."""


def _default_data_dir() -> Path:
    root = _CHECKOUT if (_CHECKOUT / "pyproject.toml").exists() else Path.cwd()
    return root / "data"


class Settings(BaseSettings):
    """Where things are kept and how alerts leave.

    Attributes
    ----------
    data_dir
        Folder of everything produced: the DuckDB files, artifacts, snapshots, alerts.
        Default: ``data`` in the checkout.
    landing_dir
        Folder in which sources land, as ``<use case>/<source>/date=YYYY-MM-DD/``.
        Default: ``landing`` in ``data_dir``.
    lock_timeout_seconds
        How long a step waits for another process to let go of the DuckDB file.
    alert_urls
        Apprise URLs that alerts are sent to, separated by white space or commas. Alerts
        are always logged and appended to ``<data_dir>/<use case>.alerts.jsonl``.
    signing_key
        Model versions are signed with it when they are registered, and not loaded without.
        Several keys, separated by white space: the first signs, all are accepted.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data_dir: Path = Field(default_factory=_default_data_dir)
    landing_dir: Path | None = None
    lock_timeout_seconds: float = Field(default=60.0, gt=0)
    alert_urls: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    signing_key: SecretStr | None = None

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return re.findall(r"[^\s,]+", value) if isinstance(value, str) else value

    @field_validator("signing_key", mode="after")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _keys(value.get_secret_value())
        return value

    @field_validator("data_dir", "landing_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    def database(self, use_case: str) -> Path:
        """DuckDB file of a use case."""
        return self.data_dir / f"{use_case}.duckdb"

    def landing(self, use_case: str) -> Path:
        """Folder in which a use case's sources land."""
        return (self.landing_dir or self.data_dir / "landing") / use_case

    def artifacts(self, use_case: str) -> Path:
        """Folder of a use case's model files."""
        return self.data_dir / "artifacts" / use_case

    def snapshots(self, use_case: str) -> Path:
        """Folder of a use case's training sets."""
        return self.data_dir / "snapshots" / use_case

    def reports(self, use_case: str) -> Path:
        """Folder of a use case's reports."""
        return self.data_dir / "reports" / use_case

    def outbox(self, use_case: str) -> Path:
        """SQLite file with the state of a use case's alerts."""
        return self.data_dir / f"{use_case}.alerts.sqlite"

    def alert_log(self, use_case: str) -> Path:
        """JSON-lines file that every alert of a use case is appended to."""
        return self.data_dir / f"{use_case}.alerts.jsonl"


def signing_keys() -> tuple[bytes, ...]:
    """Return the keys of ``signing_key``, none if it is not set.

    Read when they are needed and from the environment only, so that no configuration that
    the UI shows holds them.

    Raises
    ------
    SettingsError
        If one is too short to be safe.
    """
    try:
        return _keys(os.environ.get(f"{PREFIX}SIGNING_KEY", ""))
    except ValueError as error:
        raise SettingsError(f"Settings do not fit: {PREFIX}SIGNING_KEY: {error}") from error


def _keys(text: str) -> tuple[bytes, ...]:
    keys = text.split()
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise ValueError(
            f"a key needs at least {SHORTEST_KEY} characters; make one with "
            "`python -c 'import secrets; print(secrets.token_hex(32))'`"
        )
    return tuple(key.encode() for key in keys)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment; ``overrides`` win.

    Raises
    ------
    SettingsError
        If a variable is unknown or its value does not fit, or the data folder is missing.
    """
    known = [name.upper() for name in Settings.model_fields]
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(PREFIX)
        if variable.upper().startswith(PREFIX) and name not in known:
            # Without the prefix, which would make any two variables look alike.
            close = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {PREFIX}{close[0]}?"
                if close
                else f"there are {', '.join(PREFIX + n for n in known)}."
            )
            raise SettingsError(f"Unknown setting {variable}: {hint} Unset it or correct its name.")
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()
        )
        raise SettingsError(f"Settings do not fit: {problems}") from error
    if not settings.data_dir.is_dir():
        raise SettingsError(
            f"The data folder {settings.data_dir} does not exist. Create it, or set "
            f"{PREFIX}DATA_DIR to the folder that holds what the pipeline produces."
        )
    return settings
