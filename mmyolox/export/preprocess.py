"""Letterboxing as an ONNX graph."""

from string import Template

from onnx import ModelProto, compose, parser

from mmyolox.deploy import ModelInfo

_GRAPH = Template("""
<ir_version: 8, opset_import: ["" : $opset]>
letterbox (uint8[$batch, image_height, image_width, $channels] images)
    => (float[$batch, $channels, $height, $width] letterboxed, float[2] scale, float[2] image_size)
{
  room_height = Constant <value = int64[1] {$height}> ()
  room_width = Constant <value = int64[1] {$width}> ()
  zero = Constant <value = int64[1] {0}> ()
  one = Constant <value = int64[1] {1}> ()
  grey = Constant <value = float {$pad_value.0}> ()
  sizes = Shape (images)
  four = Constant <value = int64[4] {1, 1, 1, 1}> ()
  batch, image_height, image_width, channels = Split <axis = 0> (sizes, four)

  height_product = Mul (image_height, room_width)
  height_by_width = Div (height_product, image_width)
  height_in_room = Min (height_by_width, room_height)
  height = Max (height_in_room, one)
  width_product = Mul (image_width, room_height)
  width_by_height = Div (width_product, image_height)
  width_in_room = Min (width_by_height, room_width)
  width = Max (width_in_room, one)

  planes = Transpose <perm = [0, 3, 1, 2]> (images)
  pixels = Cast <to = 1> (planes)
  resized_sizes = Concat <axis = 0> (batch, channels, height, width)
  resized = Resize <mode = "linear"> (pixels, , , resized_sizes)
  grey_levels = Round (resized)
  below = Sub (room_height, height)
  beside = Sub (room_width, width)
  pads = Concat <axis = 0> (zero, zero, zero, zero, zero, zero, below, beside)
  letterboxed = Pad (grey_levels, pads, grey)

  resized_size = Concat <axis = 0> (width, height)
  whole_size = Concat <axis = 0> (image_width, image_height)
  resized_floats = Cast <to = 1> (resized_size)
  image_size = Cast <to = 1> (whole_size)
  scale = Div (resized_floats, image_size)
}
""")


def letterbox_graph(info: ModelInfo, channels: int, batch: int | str, opset: int) -> ModelProto:
    """The graph from images to a network's input, as :class:`mmyolox.datasets.transforms.Letterbox` does it.

    The sides are the same to the pixel: whole numbers are divided, which needs no guard against rounding.
    The grey levels differ by 1 at most: OpenCV, which the transform uses, interpolates uint8 images in fixed
    point, runtimes in floats, here rounded to whole levels too.

    Input: ``images`` (B, height, width, channels) uint8. Outputs: ``letterboxed`` (B, channels, h, w) float32
    with grey levels 0-255; ``scale`` (2,) float32, pixels of the network's input a pixel of the image, in x
    and y; ``image_size`` (2,) float32, width and height of the images.

    Args:
        info: The info, of which ``input_size`` and ``pad_value`` are read.
        channels: The number of channels of an image.
        batch: The number of images, or the name of that dimension.
        opset: The version of the operators.
    """
    height, width = info.input_size
    text = _GRAPH.substitute(
        opset=opset, batch=batch, channels=channels, height=height, width=width, pad_value=info.pad_value
    )
    graph = parser.parse_model(text)
    return compose.add_prefix(graph, 'letterbox/', rename_inputs=False, rename_outputs=False)
