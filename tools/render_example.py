"""Render examples/street.mp4, the example clip of the README: a drawn street corner, free to share.

Everything is painted at 8 times the size of the clip and reduced twice, which gives edges the blur of a camera.
A drawing is text, see `paint`: shapes `kind[:extra] colour x y x y ...`, separated by semicolons or line ends.
"""

import argparse
import math
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image, ImageColor, ImageDraw, ImageFont
from PIL.ImageDraw import ImageDraw as Draw

FPS, SECONDS, RATE, SEED, FINE = 30, 6, 48_000, 7, 8  # FINE: painted pixels per pixel of the clip
WIDTH, HEIGHT, STREET = 320, 180, 376  # the clip's pixels; the camera pans along a wider street
VANISHING, EYE_M, FOCAL = (196.0, 98.0), 1.6, 240.0  # the lane's end; FOCAL pixels are 1 m at a distance of 1 m
FACADES_M, KERB_M, BIKE_M, CAR_STOPS_M, CORNERS_M, LANE_M = 16.7, 11.6, 8.4, 6.75, 6.5, 3.4  # LANE_M: half the width
X264 = {"crf": "20", "preset": "slow", "mbtree": "0"}  # with mbtree the file differs a little from run to run
PAINTS = ("#d8433b", "#f0c243", "#3f7fb5", "#f6f1e4", "#4f9a5c", "#5d3a66")
Point = tuple[float, float]
Projection = Callable[[float, float], Point]
Box = tuple[float, float, float, float]

CHURCH = """fade:#a98 #dca 184 42 208 106; box #4445 200 42 208 106; poly #789 182 42 210 42 196 8
poly #567 198 42 210 42 196 8; line:.7 #345 196 10 196 3; line:.7 #345 194.2 5.2 197.8 5.2; oval #345 189 47 203 61
oval #eed 190 48 202 60; line:1 #234 196 54 199 52; line:.7 #234 196 54 196.4 49
box #654 192 66 200 67 192 68.5 200 69.5 192 71 200 72 192 73.5 200 74.5; oval #443 193 92 199 108"""
WINDOW = """box #dcb -1 -3 21 0; box #ffe 0 0 20 26; fade:#345 #bcd 1 1 19 25; poly #edcc 1 1 6 1 3 25 1 25
poly #edcc 19 1 14 1 17 25 19 25; poly #fff4 5 25 11 1 15 1 9 25
box #ffe 6.4 0 7 26 13 0 13.6 26 0 6 20 7 0 12 20 14 0 19 20 20; box #0006 -2 27 22 29; box #edc -2 26 22 28"""
BOOKSHOP = """text:6.6 #eecc 91 36 BOOKBINDERS SINCE 1887; fade:#243 #365 3 76 144 121; box #386 2 75 145 76.5
box #0005 3 90 144 91.5; box #ec7 6 78.3 141 78.8 6 88.7 141 89.2; text:9.6 #121 73.7 84.7 QUILLMOOR BOOKS
text:9.6 #ed8 73 84 QUILLMOOR BOOKS; fade:#753 #ec9 9 93 61 114; fade:#753 #ec9 87 93 139 114
box #643 9 103 61 104 87 103 139 104; box #eed 66 92.5 82 121; fade:#233 #376 67 93.5 81 121
fade:#444 #abc 69.5 96 78.5 110; box #ffe 70 99 78 103.5; text:3 #a22 74 101.3 OPEN; text:4.4 #ed8 74 115 14
oval #ec7 78 112 79.4 113.4; box #122 9 117.8 61 118.3 87 117.8 139 118.3"""
SHOPFRONTS = """poly #fff3 16 114 30 93 39 93 25 114; poly #fff3 100 114 114 93 118 93 104 114
box #243 34.4 93 35.6 114 112.4 93 113.6 114; box #243b 40 94 58 99 90 94 110 99; text:4 #fec 49 96.6 MAPS
text:4 #fec 100 96.6 PRINTS; fade:#dc9 #fed 245 60 330 121; box #865 245 113 330 121
text:10.6 #ffe 289.6 70.6 CAFE ORLUNE; text:10.6 #166 289 70 CAFE ORLUNE; box #247 248.6 77 276.4 92
box #ffe 249.5 78 275.5 91; text:5.6 #124 262.5 84.6 LANTERN|LANE; box #542 252 95 272 112 281 112.6 309 116
box #233 253 96 271 111; text:3.9 #eed 262 103.4 SOUP 4|TART 3|TEA 2; box #166 281 88 309 113
fade:#753 #ec8 282 89 308 112; poly #fff4 285 112 296 89 302 89 291 112; box #166 294 88 296 113 281 96 309 97
box #166 312 88 327 121; fade:#543 #db8 314 91 325 108; box #166 319 88 320 109; oval #ec6 313 110 315 112
box #edb 330 30 376 33; fade:#a97 #dca 330 84 376 121; box #edc 330 82 376 85; text:5.4 #523 352 90.4 VESPERINE
box #412 339 96 365 121; fade:#344 #abc 341 98 351 114 353 98 363 114; box #235 333 36 342.6 81
box #ec7 333.8 36.8 341.8 80.2; box #236 334.4 37.4 341.2 79.6; text:6.8 #fff 337.8 58.6 H|O|T|E|L
box #0004 280 87 327 92"""
CAR = """oval #0005 -12 -10 192 10 0 -7 180 6; box:7 #111 16 -40 46 0 134 -40 164 0
poly #822 44 -134 136 -134 156 -86 24 -86; box:13 #b23 42 -141 138 -112; fade:#578 #cde 50 -128 130 -92
poly #822 40 -130 52 -130 36 -90 24 -90; poly #822 128 -130 140 -130 156 -90 144 -90; oval #222 98 -120 116 -98
box:8 #345 88 -102 126 -90; poly #fff6 60 -92 78 -128 90 -128 72 -92; line:1.4 #111 62 -90 88 -96
line:1.4 #111 108 -90 132 -96; box:2 #111 80 -128 100 -122; box:5 #822 8 -98 26 -84 154 -98 172 -84
box:22 #a22 12 -92 168 -24; box:18 #c44 22 -91 158 -66; box:5 #e778 34 -90 146 -80
oval #ddd 22 -78 56 -44 124 -78 158 -44; oval #778 25 -75 53 -47 127 -75 155 -47
oval #ffd 27 -73 51 -49 129 -73 153 -49; oval #fff 31 -71 43 -60 133 -71 145 -60; box:4 #dee 62 -70 118 -46
box:3 #222 65 -67 115 -49; box #ccd 65 -62 115 -60.4 65 -56 115 -54.4; oval #ec4 84 -66 96 -54
box:2 #e82 28 -42 50 -36 130 -42 152 -36; box:5 #899 8 -36 172 -18; box:4 #eee 8 -36 172 -28
box:2 #111 47 -39 133 -15; box:2 #ffe 49 -37 131 -17; text:18 #111 90 -26.6 QX 407 V"""
BICYCLE = """oval #0005 -6 -5 190 6; oval:4 #222 2 -67 70 1 113 -67 181 1; oval:2 #9aa -1 -70 73 4 110 -70 184 4
line:4 #276 36 -33 84 -31 66 -84 68 -76 128 -84 130 -78 84 -31; line:4 #444 118 -99 136 -100 126 -97 133 -70 147 -33
box:3 #322 52 -92 80 -86; box:3 #c43 -2 -122 46 -74; box:3 #d64 -2 -122 46 -114; text:11.5 #fed 22 -95 ORLUNE
poly #da4 54 -92 82 -90 112 -140 96 -152 78 -144; oval #da4 84 -154 114 -128; oval #da7 101 -176 121 -152
box:5 #da7 98 -160 111 -144; box:5 #358 97 -181 121 -168; box #358 109 -172 127 -168"""
RAILING = """box #222 -.5 0 .5 36 6.5 0 7.5 36 0 0 7 1.6 0 33 7 34.4; line:.7 #222 0 18 3.5 6 7 18 3.5 30 0 18"""
HOUSES = """-1 46 60 7.5 #887; -1 35 46 9 #865; -1 26 35 8 #a98; -1 16.7 26 11 #776a60; 1 46 60 7 #dca; 1 35 46 8 #c97
1 24 35 7 #eeddbb; 1 16.7 24 4.3 #e6d3a8"""  # side of the lane; near end, far end, height in metres


def project(x_m: float, y_m: float, z_m: float) -> Point:
    """The position in the clip of a point x right of the lane's middle, y above the ground, z from the camera."""
    return VANISHING[0] + x_m * FOCAL / z_m, VANISHING[1] + (EYE_M - y_m) * FOCAL / z_m


def lay_bricks(
    draw: Draw, at: Projection, box: Box, colour: str, pitch: Point = (99, 99), part: Point = (1, 1), spread: float = 0
) -> None:
    """Fill a box with staggered rows of bricks; `part` is brick size over pitch, `spread` the variation of colour."""
    rng, base = np.random.default_rng(SEED), np.array(ImageColor.getrgb(colour))
    for row, y in enumerate(np.arange(box[1], box[3], pitch[1])):
        for x in np.arange(box[0] - row % 2 * pitch[0] / 2, box[2], pitch[0]):
            x0, x1, y1 = max(x, box[0]), min(x + pitch[0] * part[0], box[2]), min(y + pitch[1] * part[1], box[3])
            corners = [at(*corner) for corner in ((x0, y), (max(x0, x1), y), (max(x0, x1), y1), (x0, y1))]
            shade = tuple(map(int, (base * rng.normal(1, spread)).clip(0, 255)))
            draw.polygon([(px * FINE, py * FINE) for px, py in corners], shade)


def paint(draw: Draw, drawing: str, size: float = 1.0, origin: Point = (0.0, 0.0)) -> None:
    """Paint a drawing in units of `size` pixels; `extra` is a radius, line width, text height or lower colour."""
    for shape in filter(str.strip, re.split("[;\n]", drawing)):
        head, colour, *rest = shape.split()
        kind, _, extra = head.partition(":")
        places = [(origin[i % 2] + float(v) * size) * FINE for i, v in enumerate(rest[:2] if kind == "text" else rest)]
        length = 0.0 if kind == "fade" else float(extra or 0) * size * FINE
        if kind == "poly":
            draw.polygon(places, colour)
        elif kind == "line":
            draw.line(places, colour, max(1, round(length)), "curve")
        elif kind == "text":
            font, words = ImageFont.load_default(length), " ".join(rest[2:]).replace("|", "\n")
            draw.text(places, words, colour, font, "mm", length / 12, "center", stroke_width=length / 45)
        for x0, y0, x1, y1 in zip(*[iter(places)] * 4, strict=True) if kind in ("box", "oval", "fade") else ():
            if kind == "box":
                draw.rounded_rectangle((x0, y0, x1, y1), length, colour)
            elif kind == "oval":
                draw.ellipse((x0, y0, x1, y1), None if length else colour, colour if length else None, round(length))
            else:
                shades = np.linspace(ImageColor.getrgb(colour), ImageColor.getrgb(extra), round(y1 - y0))
                for y, shade in enumerate(shades, round(y0)):
                    draw.line((x0, y, x1, y), tuple(map(int, shade)))


def noise(size: tuple[int, int], amounts: dict[float, float]) -> np.ndarray:
    """Smooth (height, width, 1) noise; `amounts` maps grain size in pixels to amplitude."""
    rng, total = np.random.default_rng(SEED), np.zeros((size[1], size[0], 1), np.float32)
    for grain, amount in amounts.items():
        small = rng.normal(0, amount / 2, [math.ceil(edge / grain) + 1 for edge in size[::-1]]).astype(np.float32)
        total += np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))[..., None]
    return total


def foliage(draw: Draw, centre: Point, radii: Point, leaves: int) -> None:
    """Paint leaves in an ellipse, from dark to light, lighter towards the sun at the upper left."""
    rng = np.random.default_rng(SEED)
    for share in np.linspace(0.35, 1.25, leaves):
        angle, away, r = rng.uniform(0, math.tau), math.sqrt(rng.uniform()), rng.uniform(0.5, 1.5)
        away *= 1 + 0.16 * math.sin(angle * 7 + 1)
        x, y = away * math.cos(angle), away * math.sin(angle)
        light = max(0.2, share * (1 - 0.25 * x - 0.35 * y) * rng.normal(1, 0.12))
        px, py, colour = centre[0] + x * radii[0], centre[1] + y * radii[1], [int(c * light) for c in (96, 132, 50)]
        draw.ellipse([v * FINE for v in (px - r, py - r * 0.7, px + r, py + r * 0.7)], tuple(colour))


def paint_lane(draw: Draw) -> None:
    """Paint the paving, the setts of the lane, the markings of the road, and the houses along the lane."""
    ground = partial(lay_bricks, draw, lambda x, z: project(x, 0, z))
    ground((-16, KERB_M, 16, 62), "#7a746b")
    for z0, z1 in ((KERB_M, FACADES_M), (3.5, CORNERS_M)):
        for x0, x1 in ((-16.0, -LANE_M), (LANE_M, 16.0)):
            ground((x0, z0, x1, z1), "#bdb5a8", (0.95, 0.85), (0.95, 0.95), 0.045)
            ground((x0, z0, x1, z0 + 0.25), "#d3ccc0", (1.4, 9), (0.97, 1))
    ground((-LANE_M, KERB_M, LANE_M, 62), "#a29a8f", (0.4, 0.28), (0.88, 0.85), 0.08)
    ground((-3.2, 4.75, LANE_M, 6.3), "#eeebe1", (0.8, 9), (0.58, 1))
    ground((-9, 8.9, 9, 9.05), "#e4e1d8", (1.9, 9), (0.6, 1))
    for house in re.split("[;\n]", HOUSES):
        (side, near, far, top), colour = map(float, house.split()[:4]), house.split()[4]
        wall = partial(lay_bricks, draw, lambda z, y, x=side * LANE_M: project(x, y, z))
        wall((near, 0, far, top), colour)
        if top == 11:
            wall((near, 0, far, top), "#8a4536", (0.46, 0.2), (0.93, 0.86), 0.09)
        for y in (y for y in (1.0, 4.2, 7.2) if y + 1.8 < top):
            wall((near + 0.6, y - 0.15, far, y + 1.75), "#d9d2c4", (2.9, 9), (0.5, 1))
            wall((near + 0.75, y, far - 0.15, y + 1.6), "#5d7280", (2.9, 0.85), (0.4, 0.88))
        wall((near, top, far, top + 0.2), "#5b4a42")


def paint_shops(draw: Draw) -> None:
    """Paint the three houses that face the camera."""
    rng, front = np.random.default_rng(SEED), partial(lay_bricks, draw, lambda x, y: (x, y))
    for box, colour in (((0, 0, 147, 121), "#a54"), ((296, 17, 310, 40), "#954"), ((330, 0, 376, 121), "#c79b5c")):
        front(box, "#b9a893")
        front(box, colour, (6.6, 2.9), (0.92, 0.83), 0.09)
    front((140, 0, 147, 76), "#dccfb8", (9, 6), (1, 0.93), 0.03)
    for x, y, size in (*((x, y, 1) for x in (9, 45, 81, 117) for y in (1, 44)), (351, 4, 0.9), (350, 46, 1)):
        paint(draw, WINDOW, size, (x, y))
    paint(draw, BOOKSHOP)
    for x, foot in ((x, foot) for x in np.arange(10, 137, 1.9) if not 60 < x < 87 for foot in (103, 114)):
        paint(draw, f"box {rng.choice(PAINTS)} {x} {foot - rng.uniform(5, 8)} {x + 1.6} {foot}")
    paint(draw, "box #765 295 15 311 18; poly #d9c69c 245 67 237 34 229 75; poly #543 236 31 330 31 330 62 244 62")
    for row, y in enumerate(np.arange(59, 31, -2.7)):
        for x in np.arange(244 - row % 2 * 2 - (60 - y) * 0.28, 330, 4.0):
            red, green, blue = (int(c * rng.normal(1, 0.06)) for c in (181, 99, 63))
            tile = f"{x + 0.2} {y - 2} {x + 3.6} {y + 3.4}"
            paint(draw, f"box:1.5 #632 {x} {y - 2} {x + 3.9} {y + 3.9}; box:1.5 rgb({red},{green},{blue}) {tile}")
    paint(draw, SHOPFRONTS)
    for x, colour in zip(range(278, 326, 4), ("#c33", "#fed") * 6, strict=True):
        paint(draw, f"poly {colour} {x + 1} 78 {x + 5} 78 {x + 4} 88 {x} 88; oval {colour} {x} 86 {x + 4} 90.4")
    foliage(draw, (295, 112), (14, 2.6), 160)
    paint(draw, "oval #e56 " + " ".join(f"{x} {112 - x % 3} {x + 1.5} {113.5 - x % 3}" for x in range(283, 308, 2)))
    for x in range(345, 377, 3):
        paint(draw, RAILING, 0.42, (x, 63))


def paint_street() -> Image.Image:
    """The street without moving objects, (STREET, HEIGHT) times FINE."""
    image = Image.new("RGB", (STREET * FINE, HEIGHT * FINE))
    draw = ImageDraw.Draw(image, "RGBA")
    paint(draw, f"fade:#f3efe4 #3f84cc 0 0 {STREET} 121; fade:#77787b #66686d 0 121 {STREET} {HEIGHT}")
    clouds = np.clip(noise(image.size, {560: 1.2, 260: 0.6, 110: 0.3, 40: 0.1})[:968, :, 0] + 0.25, 0, 0.9)
    image.paste("#fff", (0, 0, image.width, 968), Image.fromarray((clouds * 250).astype(np.uint8)))
    paint(draw, CHURCH)
    foliage(draw, (196, 104), (14, 4), 300)
    paint_lane(draw)
    paint_shops(draw)
    for top, slope, sag in ((18, -0.04, 9), (31, -0.06, 10), (55, -0.056, 15)):
        rope = [(x, top + slope * x + sag * (1 - (x / 98 - 2.43) ** 2)) for x in range(140, 337, 7)]
        paint(draw, "line:.6 #223 " + " ".join(f"{x} {y}" for x, y in rope))
        for i, (x, y) in enumerate(rope[1:15] if sag == 15 else ()):
            paint(draw, f"poly {PAINTS[i % 5]} {x - 2.6} {y} {x + 2.6} {y} {x} {y + 6.5}")
    paint(draw, "oval #1233 -6 123 44 129; poly #543 9 126 19 126 17 70 11 70; poly #765 9 126 12 126 13 70 11 70")
    foliage(draw, (10, 42), (30, 34), 3200)
    rough = np.asarray(image) * (1 + noise(image.size, {4: 0.03, 12: 0.03, 30: 0.02, 300: 0.06}))
    return Image.fromarray(rough.clip(0, 255).astype(np.uint8))


def limb(a: Point, b: Point, length: float, look: str) -> str:
    """The drawing of a leg or arm from a to b, of two parts of that length, bent to the left."""
    out = math.sqrt(max(0.0, (length / math.dist(a, b)) ** 2 - 0.25))
    x, y = (a[0] + b[0]) / 2 + (b[1] - a[1]) * out, (a[1] + b[1]) / 2 - (b[0] - a[0]) * out
    return f"line:{look} {a[0]} {a[1]} {x} {y} {b[0]} {b[1]}\n"


def cyclist(travelled_m: float) -> str:
    """The drawing of a cyclist who rides to the right, in centimetres from the ground behind the rear wheel."""
    turn, legs = travelled_m / 0.33, []
    spokes = [(31 * math.cos(turn + k * math.pi / 8), 31 * math.sin(turn + k * math.pi / 8) - 33) for k in range(16)]
    wheels = "".join(f"line:.8 #ccd {hub} -33 {hub + x} {y}\n" for hub in (36, 147) for x, y in spokes)
    for half, look in ((math.pi, "13 #2b3346"), (0, "14 #3a4661")):
        x, y = 84 + 17 * math.cos(turn / 2 + half), -33 + 17 * math.sin(turn / 2 + half)
        legs.append(limb((66, -98), (x, y), 45, look) + f"box:3 #112 {x - 8} {y - 4} {x + 18} {y + 5}\n")
    return wheels + legs[0] + BICYCLE + "\n" + legs[1] + limb((134, -101), (101, -140), 31, "10 #cf9a2b")


def traffic_m(time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The car's distance from the camera, and the cyclist's position right of the lane's middle."""
    return CAR_STOPS_M + 33 * np.clip(1 - time_s / 5.3, 0, 1) ** 1.6, 3.3 * time_s - 5.9


def render_frames() -> Iterator[np.ndarray]:
    """The frames of the clip in order, (720, 1280, 3) uint8 RGB, before the last reduction."""
    street, times_s = paint_street(), np.arange(FPS * SECONDS) / FPS
    for time_s, car, bike in zip(times_s, *traffic_m(times_s), strict=True):
        frame = street.copy()
        draw = ImageDraw.Draw(frame, "RGBA")
        paint(draw, CAR, FOCAL / car / 100, project(-2.15, 0, car))
        paint(draw, cyclist(bike), FOCAL / BIKE_M / 100, project(bike, 0, BIKE_M))
        for x in (*range(-7, 58, 7), *range(326, 376, 7)):
            paint(draw, RAILING, 1, (x, 121))
        left = FINE * (6 + 22 * (1 - math.cos(math.pi * time_s / SECONDS)))
        box = (left, 0, left + WIDTH * FINE, HEIGHT * FINE)
        yield np.asarray(frame.resize((WIDTH * 4, HEIGHT * 4), Image.Resampling.BICUBIC, box))


def render_audio() -> np.ndarray:
    """The audio of the clip, (2, samples) float32: town hum, church bell, the car, the bicycle from left to right."""
    time_s = np.arange(SECONDS * RATE) / RATE
    (car, bike), struck = traffic_m(time_s), ((0.5, 0.6), (1, 1), (1.19, 0.6), (2, 0.5), (2.76, 0.25), (4.1, 0.1))

    def bell(start_s: float, pitch_hz: float, ring_s: float) -> np.ndarray:
        after = np.maximum(time_s - start_s, 0)
        return sum(gain * np.sin(math.tau * pitch_hz * k * after) * np.exp(-after * k / ring_s) for k, gain in struck)

    hiss = np.fft.rfft(np.random.default_rng(SEED).normal(size=(2, time_s.size)))
    hum = np.fft.irfft(hiss / (1 + (np.fft.rfftfreq(time_s.size, 1 / RATE) / 120) ** 1.3))
    phase = math.tau * np.cumsum(32 + 5 * (speed := -np.gradient(car, 1 / RATE))) / RATE
    engine = sum(np.sin(k * phase) / k for k in (1, 2, 3, 4, 6, 9)) * 0.05 + hum[0] * speed * 0.12
    freewheel = np.sin(math.tau * 3600 * time_s) * np.exp(-(time_s * 13 % 1) * 30) * 0.03
    bicycle = freewheel + (bell(1.0, 1900, 0.25) + bell(1.22, 1900, 0.25)) * 0.03
    sound = hum * 0.25 + sum(bell(start_s, 330, 1.1) for start_s in (0.25, 2.25, 4.25)) * 0.05
    sound += bicycle / (1 + (bike / 2.5) ** 2) * np.stack((1 - np.tanh(bike / 5), 1 + np.tanh(bike / 5)))
    sound += engine * CAR_STOPS_M / car * np.array([[0.8], [0.6]])
    return (sound * np.clip(np.minimum(time_s, SECONDS - time_s) * 16, 0, 2)).astype(np.float32)


def write(target: Path, frames: Iterable[np.ndarray], size: tuple[int, int]) -> None:
    """Write the frames, reduced to a size, and the audio; the file appears under its name when it is complete."""
    part = target.with_name(target.name + ".part")
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as output:
        video = output.add_stream("libx264", rate=FPS, options=X264)
        audio = output.add_stream("aac", rate=RATE, layout="stereo", bit_rate=96_000)
        (video.width, video.height), video.pix_fmt, context = size, "yuv420p", video.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        bt709 = {"format": "yuv420p", "dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
        for frame in frames:
            small = Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
            output.mux(video.encode(av.VideoFrame.from_image(small).reformat(**bt709)))
        sound = av.AudioFrame.from_ndarray(render_audio(), "fltp", "stereo")
        sound.sample_rate, sound.pts = RATE, 0  # without pts the encoder delay is not trimmed
        output.mux([*video.encode(None), *audio.encode(sound), *audio.encode(None)])
    part.replace(target)


def main() -> None:
    """Render the clip."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=Path("examples/street.mp4"), help="%(default)s")
    parser.add_argument("--large", action="store_true", help="write the 640x360 reference instead")
    args = parser.parse_args()
    write(args.target, render_frames(), (WIDTH * 2, HEIGHT * 2) if args.large else (WIDTH, HEIGHT))


if __name__ == "__main__":
    main()
