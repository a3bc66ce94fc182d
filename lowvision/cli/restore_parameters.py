"""Arguments and options of `lowvision restore`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

# Inputs and results
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Image files, folders (searched recursively), quoted patterns, URLs, or - for stdin; or clips.",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="OUT",
        help="Output folder or URL; for one input also an output file, or - for stdout.",
    ),
]
Maps = Annotated[bool, typer.Option("--map", help="Also write NAME.map.png, which shows the branch per tile.")]
FileFormat = Annotated[
    Literal["png", "jpg", "jpeg", "tif", "tiff", "webp", "bmp"] | None,
    typer.Option("--format", help="File format of the results. Default: that of each input."),
]
Quality = Annotated[int, typer.Option(min=1, max=100, help="Quality of JPEG and WebP; WebP is lossless at 100.")]
NameSuffix = Annotated[
    str, typer.Option("--suffix", metavar="TEXT", help="Text before the ending of each result, e.g. _x4.")
]
FrameChoice = Annotated[
    str,
    typer.Option(
        metavar="FRAMES", help="Frames to restore: all, or first for animations and documents, or A:B for clips."
    ),
]
AlphaChoice = Annotated[
    Literal["bicubic", "restore"],
    typer.Option(help="Resample alpha bicubically, or restore it by the network as a grey image."),
]
Background = Annotated[
    str, typer.Option(metavar="COLOUR", help="Colour behind transparent pixels in JPEG, e.g. white or #ff8800.")
]
StripMetadata = Annotated[bool, typer.Option("--strip-metadata", help="Do not copy EXIF, ICC and other metadata.")]
KeepTimes = Annotated[bool, typer.Option("--keep-times", help="Give results the modification times of their inputs.")]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Skip inputs whose result exists.")]
MaxMegapixels = Annotated[
    float, typer.Option(min=0, help="Refuse inputs with more megapixels, before they are decoded.")
]

# Cost and quality
SpeedChoice = Annotated[
    Literal["fast", "balanced", "best"] | None,
    typer.Option(
        help="fast loses at most 0.3 dB of PSNR, balanced 0.05 dB, best none, on average over the photographs of the "
        "weights' calibration. Default: balanced if the weights have a curve, otherwise the classifier's choice."
    ),
]
Budget = Annotated[
    float | None, typer.Option(help="Maximum cost, as a share of the base's cost, e.g. 0.6. Default: no limit.")
]
MaxLoss = Annotated[
    float | None,
    typer.Option(
        metavar="DB",
        help="Maximum loss of PSNR in dB, e.g. 0.05, on average over the photographs of the weights' calibration; one "
        "image may lose more. Default: no limit.",
    ),
]
Worst = Annotated[
    float | None,
    typer.Option(
        metavar="DB",
        help="Maximum loss in dB of all tiles but one percent, e.g. 1, in addition to the loss of the whole. "
        "Default: no limit.",
    ),
]

# Size of the results
Scale = Annotated[
    float | None, typer.Option(help="Size of the result relative to the input; default: that of the weights.")
]
Width = Annotated[int | None, typer.Option(help="Width of the result; with --height the largest width.")]
Height = Annotated[int | None, typer.Option(help="Height of the result; with --width the largest height.")]
Megapixels = Annotated[float | None, typer.Option(help="Size of the result in megapixels.")]
Passes = Annotated[int, typer.Option(min=1, help="Number of times that the network is applied.")]

# Clips
Still = Annotated[
    Literal["exact", "visually", "off"],
    typer.Option(
        help="Parts of a clip that are copied from the frame before: those whose pixels are the same, which changes "
        "no result; those that differ as little as a decoder's noise; or none."
    ),
]
ClipCodec = Annotated[
    Literal["h264", "hevc", "av1", "vp9", "prores", "ffv1"] | None,
    typer.Option("--codec", help="Codec of clips. Default: h264; av1 in .webm."),
]
Crf = Annotated[
    int | None,
    typer.Option(help="Constant quality of clips, smaller is better. Default: 17 for h264, 20 hevc, 24 av1 and vp9."),
]
Preset = Annotated[
    str | None, typer.Option(help="Speed of encoding clips, e.g. fast or slow; 0 to 13 for av1. Default: medium.")
]
FramesPerSecond = Annotated[
    float | None, typer.Option("--fps", min=0.001, help="Frames per second of an image sequence. Default: 25.")
]

# The machine
Threads = Annotated[int | None, typer.Option(min=1, help="Number of CPU threads. Default: all cores.")]
Processes = Annotated[
    int | None, typer.Option(min=1, help="Number of processes that share the inputs. Default: 1.", show_default=False)
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Share the inputs among the workers of a Ray cluster: local, or ray://HOST:PORT. --processes is then the "
        "number of workers, by default one per GPU or machine, --threads the cores of each.",
    ),
]
RuntimeChoice = Annotated[
    str,
    typer.Option(
        help="Runtime of the networks (`lowvision ls runtimes`), also with options, e.g. '{torch: {batch: 64}}'; "
        "auto measures the fastest one once."
    ),
]
PrecisionChoice = Annotated[
    Literal["f32", "bf16", "f16"],
    typer.Option(
        help="bf16 is faster on CPUs and GPUs with bfloat16 instructions, f16 on GPUs; pixels differ slightly."
    ),
]
