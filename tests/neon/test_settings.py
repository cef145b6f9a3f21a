"""Key and host: where they come from and what they may be."""

import pytest

from kardinal_infra.databases.neon.errors import NeonKeyError, NeonSettingsError
from kardinal_infra.databases.neon.settings import NeonSettings, normal_host, resolve_settings

# Settings.


def test_the_environment_wins_over_configuration() -> None:
    settings = resolve_settings(
        config_key="from-config",
        config_host="https://config.test",
        argument_host="https://argument.test",
        environment={"NEON_API_KEY": " from-env\n", "NEON_API_HOST": "http://127.0.0.1:9095/"},
    )
    assert settings.api_key.get_secret_value() == "from-env"
    assert settings.base_url == "http://127.0.0.1:9095/api/v2"


def test_an_argument_wins_over_configuration_and_the_default_is_neon() -> None:
    assert resolve_settings(
        config_key="k", config_host="https://config.test", argument_host="https://a.test", environment={}
    ).base_url.startswith("https://a.test")
    assert resolve_settings(config_key="k", environment={}).base_url == NeonSettings.base_url


def test_a_missing_key_says_what_to_set() -> None:
    with pytest.raises(NeonKeyError) as caught:
        resolve_settings(environment={"NEON_API_KEY": " "})
    assert "set NEON_API_KEY or `pulumi config set --secret kardinal:neonApiKey`" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("https://console.neon.tech", "https://console.neon.tech/api/v2"),
        ("https://console.neon.tech/api/v2/", "https://console.neon.tech/api/v2"),
        ("http://10.1.2.3:9095/neon", "http://10.1.2.3:9095/neon/api/v2"),
        ("http://[::1]:9095", "http://[::1]:9095/api/v2"),
    ],
)
def test_hosts_come_with_and_without_the_path(given: str, normal: str) -> None:
    assert normal_host(given) == normal


@pytest.mark.parametrize("given", ["console.neon.tech", "ftp://x", "", "https://", "http://u:p@h/"])
def test_other_hosts_are_refused(given: str) -> None:
    with pytest.raises(NeonSettingsError):
        normal_host(given)
