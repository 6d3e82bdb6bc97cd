"""Which files words mean: natural order, each file once, links that go round."""

import os
from pathlib import Path

import pytest

from fkit.data.path import image_paths, natural
from fkit.tree.error import FkitError


@pytest.fixture(autouse=True)
def folder(here):
    return here


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_the_order_is_peoples():
    names = ["a10.png", "a2.png", "A3.png", "a02.png", "b1/9.png", "b1/10.png", "b.png", "01.png", "²5.png"]
    assert sorted(names, key=natural) == [
        "01.png", "a02.png", "a2.png", "A3.png", "a10.png", "b1/9.png", "b1/10.png", "b.png", "²5.png",
    ]  # fmt: skip


def test_words_keep_their_order_and_files_come_once():
    touch("a/2.png", "a/1.png", "b.png")
    Path("link").symlink_to("a")
    assert image_paths(["b.png", "a", "./b.png", "link/1.png", os.path.abspath("a/2.png")]) == (
        "b.png", "a/1.png", "a/2.png",
    )  # fmt: skip


def test_two_links_to_one_file_are_two_images():
    touch("a.png")
    os.symlink("a.png", "b.png")
    assert image_paths(["."]) == ("./a.png", "./b.png")


def test_a_link_to_a_folder_above_is_followed_once():
    touch("a/b/1.png", "a/2.jpg")
    Path("a/b/loop").symlink_to("..")
    assert image_paths(["a/**"]) == ("a/2.jpg", "a/b/1.png")


def test_what_systems_leave_behind_is_no_image():
    touch("a/1.png", "a/._1.png", "__MACOSX/1.png", "a/.hidden/1.png", ".cache/1.png")
    assert image_paths(["**"]) == ("a/1.png",)
    assert image_paths(["a"]) == ("a/1.png",)
    assert image_paths([".cache/*"]) == (".cache/1.png",)


def test_a_folder_whose_name_ends_as_an_image_does():
    touch("a.png/1.png")
    assert image_paths(["*.png/*"]) == ("a.png/1.png",)
    with pytest.raises(FkitError, match="matches no file"):
        image_paths(["*.png"])


def test_addresses_stay_as_they_are():
    assert image_paths(["s3://bucket//a.png", "memory://x/*.png"]) == ("s3://bucket//a.png", "memory://x/*.png")


def test_home():
    touch("home/1.png")
    os.environ["HOME"], before = os.path.abspath("home"), os.environ["HOME"]
    try:
        assert image_paths(["~"]) == (os.path.abspath("home/1.png"),)
    finally:
        os.environ["HOME"] = before
