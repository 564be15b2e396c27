"""Build the emoji data set: pictures with captions, in the Hugging Face imagefolder convention.

Run as ``python tools/emoji/build_dataset.py OUT --size 256``.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from captions import PLAIN_STYLE, captions
from compose import colours_for
from concepts import Emoji, is_held_out, normal_code, read_emoji, weights
from notices import notices
from packages import EMOJIBASE, EMOJILIB, FLUENT_3D, FLUENT_FLAT, NOTO, TWEMOJI, Package
from pictures import Art, Files, Icons, over_white
from PIL import Image
from rich.console import Console
from rich.progress import track
from scenes import Cast, Scene, cast_of, draw_scene, held_out_scenes, scene_captions, training_scenes

from fictile.errors import FictileError, RequestError

Line = dict[str, Any]  # of metadata.jsonl

HERE = Path(__file__).parent
SEED = 0  # of all scenes
HELD_OUT_SCENES = {"beside": 70, "above": 30, "wearing": 20, "holding": 10, "colour": 40, "ground": 30}
SCENES_WEIGHT = 0.4  # of all scenes together in training, beside all single things together
OTHER_STYLES_WEIGHT = 0.12  # of a picture in a style that is not the plain one, beside the same thing in that
COLOURS_SEEN_AT = 64  # pixels: enough to tell the colour of a thing
console = Console(stderr=True)


def main(
    out: Annotated[Path, typer.Argument(help="Folder of the data set; what is finished in it stays.")],
    size: Annotated[int, typer.Option(min=16, max=1024, help="Width and height of the pictures.")] = 256,
    styles: Annotated[str, typer.Option(help="Which art, of 3d, flat, noto, twemoji, with commas.")] = "3d",
    scenes: Annotated[int, typer.Option(min=0, help="Composed pictures beside those of single things.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="So many emoji of each style at most, for a trial.")] = None,
    cache: Annotated[Path, typer.Option(help="Where the npm packages are kept.")] = HERE.parents[1] / ".cache" / "npm",
) -> None:
    """Build the emoji data set from openly licensed art."""
    try:
        build(out, size, list(dict.fromkeys(styles.split(","))), cache, scenes=scenes, limit=limit)
    except FictileError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(2 if isinstance(error, RequestError) else 1) from error


def build(out: Path, size: int, styles: list[str], cache: Path, *, scenes: int = 0, limit: int | None = None) -> None:
    """Write OUT/train, OUT/heldout, OUT/scenes (those held out) and OUT/LICENSES.md.

    The lists of what is held out are written beside this file, unless a limit leaves things out.
    """
    unknown = [style for style in styles if style not in ART]
    if unknown:
        raise RequestError(f'There is no style "{unknown[0]}": choose from {", ".join(ART)}.')
    everyday = read_table(HERE / "everyday.txt")
    exempt = {normal_code(code) for codes in everyday.values() for code in codes}
    emoji = known_emoji(everyday, cache)
    held_out = {one.concept: one.names[0] for one in emoji.values() if is_held_out(one.concept, exempt)}
    if limit is None:
        write_text(HERE / "heldout.txt", "".join(f"{concept}\t{name}\n" for concept, name in sorted(held_out.items())))

    lines: dict[str, list[Line]] = {"train": [], "heldout": []}
    for style in styles:
        art = ART[style](cache)
        plain = style == PLAIN_STYLE  # the other styles go without skin tones: how those look, the plain one says
        drawn = spread([one for code, one in emoji.items() if code in art.codes and (plain or not one.tones)], limit)
        weight = {code: (1 if plain else OTHER_STYLES_WEIGHT) * share for code, share in weights(drawn).items()}
        for one in track(drawn, f"Drawing {style}", console=console):
            part = "heldout" if one.concept in held_out else "train"
            name = f"{style}-{one.code}.png"
            draw_once(partial(art.draw, one.code, size), size, out / part / name)
            lines[part].append(line_of(one, name, style, weight[one.code]))
    if scenes:
        art = ART[PLAIN_STYLE](cache)
        cast = known_cast(spread([one for code, one in emoji.items() if code in art.codes], limit), held_out, art)
        never = held_out_scenes(cast, HELD_OUT_SCENES if limit is None else dict.fromkeys(HELD_OUT_SCENES, 1), SEED)
        shown = training_scenes(cast, never, scenes, SEED)
        weight = SCENES_WEIGHT * sum(line["weight"] for line in lines["train"]) / len(shown)
        for part, told, share in (("scenes", never, 1.0), ("train", shown, weight)):
            lines[part] = lines.get(part, []) + compose(out / part, told, emoji, art, size, weight=share)
        if limit is None:
            write_text(HERE / "heldout-scenes.txt", "".join(f"{line['text']}\n" for line in lines["scenes"]))
    for part, described in lines.items():
        write_metadata(out / part, described)
        concepts = len({line["concept"] for line in described})
        console.print(f"{part}: {len(described)} pictures of {concepts} concepts or scenes in {out / part}")
    write_text(out / "LICENSES.md", notices(styles))


def spread(emoji: list[Emoji], limit: int | None) -> list[Emoji]:
    """All, or not more than the limit and then from everywhere in the list."""
    return emoji if limit is None else emoji[:: max(1, -(-len(emoji) // limit))]


def known_emoji(everyday: Mapping[str, Iterable[str]], cache: Path) -> dict[str, Emoji]:
    """Every emoji that may be drawn, by code, with its names and keywords."""
    prompts = {normal_code(code): [without_article(prompt)] for prompt, codes in everyday.items() for code in codes}
    entries = EMOJIBASE.fetch(cache).json("en/data.json")
    words = EMOJILIB.fetch(cache).json("dist/emoji-en-US.json")
    return read_emoji(entries, words, prompts, read_table(HERE / "nicknames.txt"))


def without_article(prompt: str) -> str:
    """The name in a prompt: "fox" in "a fox"."""
    return prompt.split(" ", 1)[1]


def fluent_3d(cache: Path) -> Art:
    """The 3D art, without the files that the flat set of the same artists does not know: their origin is unclear."""
    known = {normal_code(code) for code in FLUENT_FLAT.fetch(cache).json("chars.json")}
    files = FLUENT_3D.fetch(cache).files(".webp")
    return Files({name: content for name, content in files.items() if normal_code(name) in known})


def icons(package: Package) -> Callable[[Path], Art]:
    """How to read the art of an Iconify package from the cache."""

    def read(cache: Path) -> Art:
        archive = package.fetch(cache)
        return Icons(archive.json("icons.json"), archive.json("chars.json"))

    return read


ART: dict[str, Callable[[Path], Art]] = {
    "3d": fluent_3d,
    "flat": icons(FLUENT_FLAT),
    "noto": icons(NOTO),
    "twemoji": icons(TWEMOJI),
}


def known_cast(emoji: list[Emoji], held_out: Collection[str], art: Art) -> Cast:
    """What scenes are made of; looking for the colours of things takes a moment."""
    looked_at = [one for one in emoji if one.share == 1 and not one.tones]
    colours = {
        one.code: colours_for(art.draw(one.code, COLOURS_SEEN_AT))
        for one in track(looked_at, "Looking for colours", console=console)
    }
    return cast_of(emoji, held_out, colours)


def scaled(art: Art, size: int, code: str) -> Image.Image:
    """One emoji of the art in this size."""
    picture = art.draw(code, size)
    return picture if picture.size == (size, size) else picture.convert("RGBa").resize((size, size)).convert("RGBA")


def compose(
    folder: Path, scenes: Sequence[Scene], emoji: Mapping[str, Emoji], art: Art, size: int, *, weight: float
) -> list[Line]:
    """Draw scenes into a folder, and describe them."""
    names, lines = {code: one.names[0] for code, one in emoji.items()}, list[Line]()
    for scene in track(scenes, f"Composing {folder.name}", console=console):
        name = f"scene-{scene.name}.png"
        draw_once(partial(draw_scene, scene, partial(scaled, art, size)), size, folder / name)
        told = scene_captions(scene, names)
        lines.append(
            {
                "file_name": name,
                "text": told[0],
                "captions": told,
                "weight": round(weight, 4),
                "style": PLAIN_STYLE,
                "concept": scene.name,
                "scene": asdict(scene),
                "flip": False,  # left and right, and what is held, stand as the words are drawn
            }
        )
    return lines


def line_of(emoji: Emoji, name: str, style: str, weight: float) -> Line:
    """One line of metadata.jsonl."""
    found = captions(emoji.names, emoji.keywords, emoji.tones, style)
    return {
        "file_name": name,
        "text": found[0],
        "captions": found,
        "weight": weight,
        "style": style,
        "concept": emoji.concept,
        "flip": emoji.mirrors,
    }


def draw_once(draw: Callable[[], Image.Image], size: int, path: Path) -> None:
    """Draw one picture, unless it is there already in this size."""
    if path.exists():
        with Image.open(path) as finished:
            if finished.size == (size, size):
                return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    over_white(draw(), size).save(unfinished, format="PNG")
    unfinished.replace(path)


def write_metadata(folder: Path, lines: list[Line]) -> None:
    """Write metadata.jsonl, and remove the pictures of an earlier build that are in it no more."""
    path = folder / "metadata.jsonl"
    before = path.read_text("utf-8").splitlines() if path.exists() else []
    gone = {json.loads(line)["file_name"] for line in before} - {line["file_name"] for line in lines}
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    for name in gone:
        (folder / name).unlink(missing_ok=True)


def read_table(path: Path) -> dict[str, list[str]]:
    """Lines "key<TAB>value, value"."""
    rows = (line.split("\t") for line in path.read_text("utf-8").splitlines())
    return {key: values.split(", ") for key, values in rows}


def write_text(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text, "utf-8")
    unfinished.replace(path)


if __name__ == "__main__":
    typer.run(main)
