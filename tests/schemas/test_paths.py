"""Which paths of this machine a recipe names, whatever part they stand in."""

from __future__ import annotations

from pathlib import Path

from schemas.load import load_recipe
from schemas.paths import addresses, local_paths


def named(tmp_path: Path, text: str) -> dict[str, list[str]]:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    found: dict[str, list[str]] = {}
    for field, path in local_paths(load_recipe(file)):
        found.setdefault(field, []).append(str(path))
    return found


def test_paths_are_found_in_parts_and_in_lists_of_parts(tmp_path: Path) -> None:
    heads = "[{path: /m/a.safetensors, column: a}, {path: b.safetensors, column: b}]"

    found = named(tmp_path, f"kind: pairs\nsource: {{path: /data/pairs}}\nclip: {{model: /m/clip, heads: {heads}}}\n")

    assert found == {
        "source.path": ["/data/pairs"],
        "clip.model": ["/m/clip"],
        "clip.heads.path": ["/m/a.safetensors", str(tmp_path / "b.safetensors")],
    }


def test_names_of_packages_ids_on_a_hub_and_uris_are_no_paths(tmp_path: Path) -> None:
    source = "{kind: coco, images: package://skimage/data, captions: s3://bucket/c.json, instances: /data/i.json}"
    detector = "{kind: zero_shot, model: google/owlv2-base-patch16}"

    found = named(tmp_path, f"kind: grit\nsource: {source}\nparser: en_core_web_trf\ndetector: {detector}\n")

    assert found == {"source.instances": ["/data/i.json"]}


def test_addresses_are_what_stands_with_a_scheme_where_a_path_or_a_model_may(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    head = "{path: s3://bucket/head.pt, column: a}"
    clip = f"{{model: gs://bucket/clip, heads: [{head}, {{path: /m/b.pt, column: b}}]}}"
    file.write_text(f"kind: pairs\nsource: {{path: package://skimage/data}}\nclip: {clip}\n")

    found = dict(addresses(load_recipe(file)))

    assert found == {
        "source.path": "package://skimage/data",
        "clip.model": "gs://bucket/clip",
        "clip.heads.path": "s3://bucket/head.pt",
    }
