"""What goes into the shop's images."""

from lab.demo_images import SHOP, SHOP_IMAGES, contents, instructions, packages

BY_NAME = {image.name: image for image in SHOP_IMAGES}
NOT_IN_IMAGES = {"Dockerfile", "README.md"}


def test_releases_differ_in_their_data_only() -> None:
    for service in ("catalog", "fulfilment"):
        production, development = (contents(BY_NAME[f"shop-{service}:{tag}"]) for tag in ("1.0", "dev"))
        assert production.keys() == development.keys()
        changed = {path for path in production if production[path] != development[path]}
        assert changed == {"/app/catalog.json", "/app/fulfilment.json"}


def test_every_file_of_the_services_is_in_an_image() -> None:
    used = {file for image in SHOP_IMAGES for file in contents(image).values()}
    there = {
        file
        for file in SHOP.rglob("*")
        if file.is_file()
        and file.relative_to(SHOP).parts[0] not in {"production", "flows", "lab", *NOT_IN_IMAGES}
        and file.name not in NOT_IN_IMAGES
        and "__pycache__" not in file.parts
    }

    assert used == there


def test_all_programs_share_one_root_file_system() -> None:
    programs = [image for image in SHOP_IMAGES if image.name != "shop-queue:1.0"]
    assert len(programs) == 7
    assert len({tuple(packages(image)) for image in programs}) == 1
    for image in programs:
        steps = dict(instructions(image))
        assert (steps["USER"], steps["CMD"]) == ("10001:10001", '["python3", "/app/main.py"]')
    assert packages(BY_NAME["shop-queue:1.0"]) == ["redis-server"]
