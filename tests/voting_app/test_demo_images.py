"""What goes into the demo's images."""

from lab.demo_images import DEMO_IMAGES, VOTING_APP, contents, instructions, packages

BY_NAME = {image.name: image for image in DEMO_IMAGES}


def test_images_differ_by_release_only() -> None:
    production, development = (
        contents(BY_NAME["voting-app-ui:1.0"]),
        contents(BY_NAME["voting-app-ui-dev:latest"]),
    )

    assert development.keys() - production.keys() == {
        "/app/migrations/002_parrots.sql",
        "/app/icons/parrots.svg",
    }
    assert {path for path in production if production[path] != development[path]} == {"/app/release.json"}


def test_the_api_has_only_the_schema() -> None:
    assert sorted(contents(BY_NAME["votes-api:1.0"])) == [
        "/app/database.py",
        "/app/migrations/001_votes.sql",
        "/app/server.py",
        "/app/serving.py",
        "/app/store.py",
    ]


def test_every_file_of_the_app_is_in_an_image() -> None:
    used = {file for image in DEMO_IMAGES for file in contents(image).values()}
    there = {
        file
        for file in VOTING_APP.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.name not in {"Dockerfile", "README.md"}
    }

    assert used == there


def test_dockerfiles_say_how_images_are_made() -> None:
    for name in ("voting-app-ui:1.0", "voting-app-ui-dev:latest", "votes-api:1.0"):
        image = BY_NAME[name]
        steps = dict(instructions(image))
        assert packages(image) == ["python3", "python3-psycopg2"]
        assert steps["CMD"] == '["python3", "/app/server.py"]'
        assert steps["USER"] == "10001:10001"
        assert "$" not in steps["COPY"]


def test_the_pooler_s_image_has_what_its_start_script_runs() -> None:
    image = BY_NAME["kardinal-pgbouncer:lab"]
    assert {"pgbouncer", "openssl", "dash", "coreutils", "grep", "sed"} <= set(packages(image))
    assert contents(image) == {}
