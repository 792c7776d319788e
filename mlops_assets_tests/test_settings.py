"""A setting that is wrong is said to be wrong, by the name of its variable."""

import pytest

from mlops_assets.settings import PREFIX, Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """A valid environment, whatever the one of the caller says."""
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    monkeypatch.setenv("MLOPS_ASSETS_DATA_DIR", str(tmp_path))
    return monkeypatch


def test_a_misspelt_variable_is_not_silently_ignored(environment):
    environment.setenv("MLOPS_ASSETS_ALERT_URL", "json://localhost")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert "MLOPS_ASSETS_ALERT_URL:" in str(raised.value)
    assert "did you mean MLOPS_ASSETS_ALERT_URLS?" in str(raised.value)


def test_an_unknown_variable_like_no_other_lists_those_that_there_are(environment):
    environment.setenv("MLOPS_ASSETS_XYZZY", "1")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    for name in Settings.model_fields:
        assert PREFIX + name.upper() in str(raised.value)


def test_a_missing_data_folder_is_named_with_what_to_do(environment, tmp_path):
    environment.setenv("MLOPS_ASSETS_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert f"{tmp_path / 'nowhere'} does not exist" in str(raised.value)
    assert "Create it, or set MLOPS_ASSETS_DATA_DIR" in str(raised.value)


def test_a_file_in_place_of_the_data_folder_is_no_data_folder(environment, tmp_path):
    (tmp_path / "file").write_text("")
    environment.setenv("MLOPS_ASSETS_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(SettingsError, match="MLOPS_ASSETS_DATA_DIR"):
        load_settings()


@pytest.mark.parametrize("value", ["soon", "0", "-1"])
def test_a_value_that_does_not_fit_names_its_variable(environment, value):
    environment.setenv("MLOPS_ASSETS_LOCK_TIMEOUT_SECONDS", value)
    with pytest.raises(SettingsError, match=r"MLOPS_ASSETS_LOCK_TIMEOUT_SECONDS: .*"):
        load_settings()


@pytest.mark.parametrize(
    "value",
    ["json://a json://b", "json://a,json://b", "json://a, json://b\n", " json://a\tjson://b"],
)
def test_alert_urls_are_split_at_commas_and_white_space(environment, value):
    environment.setenv("MLOPS_ASSETS_ALERT_URLS", value)
    urls = [url.get_secret_value() for url in load_settings().alert_urls]
    assert urls == ["json://a", "json://b"]


@pytest.mark.parametrize("value", ["", " ", " , "])
def test_no_alert_urls_are_none(environment, value):
    environment.setenv("MLOPS_ASSETS_ALERT_URLS", value)
    assert load_settings().alert_urls == ()


def test_a_secret_in_an_alert_url_is_not_shown(environment):
    environment.setenv("MLOPS_ASSETS_ALERT_URLS", "slack://T0KEN")
    assert "T0KEN" not in repr(load_settings())


def test_use_cases_share_no_file(tmp_path):
    settings = load_settings()
    places = [
        place(name)
        for name in ("one", "two")
        for place in (
            settings.database,
            settings.landing,
            settings.artifacts,
            settings.snapshots,
            settings.outbox,
            settings.alert_log,
        )
    ]
    assert len(set(places)) == len(places)
    assert all(place.is_relative_to(tmp_path) for place in places)


def test_files_may_land_outside_the_data_folder(environment, tmp_path):
    environment.setenv("MLOPS_ASSETS_LANDING_DIR", str(tmp_path / "elsewhere"))
    assert load_settings().landing("one") == tmp_path / "elsewhere" / "one"
