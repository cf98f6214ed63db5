# SPDX-License-Identifier: Apache-2.0
"""The figures of compare as a picture: bars of wall time as a multiple of Sluice's, a panel for each
image. Its colours are read on white and on black; the background is left to the page."""
from xml.sax.saxutils import escape

import pull_report

KINDS = {"gzip": "gzip", "zstd": "zstd", "enc": "gzip, encrypted", "zstd-enc": "zstd, encrypted"}
SHAPES = {"small": "many small files", "single": "one large layer", "many": "many layers"}
TITLES = {"shell": "shell, verifying", "shell-unchecked": "shell, no checks"}
TEXT, FAINT, OURS, THEIRS = "#7f8a96", "#7f8a9640", "#0f9d6e", "#8796ab"
FONT = "system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
MARGIN, HEADER, LABELS, BARS, VALUES, ROW, BAR, GAP = 24, 96, 118, 150, 50, 21, 13, 34
LEAST_WIDTH = 580


class Drawing:
    def __init__(self):
        self.parts = []

    def text(self, x, y, words, *, size=12, anchor="start", weight="normal", fill=TEXT):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" '
                          f'text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>')

    def bar(self, x, y, width, fill):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1.5):.1f}" '
                          f'height="{BAR}" rx="2" fill="{fill}"/>')

    def line(self, x, top, bottom):
        self.parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" '
                          f'stroke="{OURS}" stroke-dasharray="2 3" stroke-opacity="0.7"/>')

    def rule(self, left, right, y):
        self.parts.append(f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}" '
                          f'stroke="{FAINT}"/>')

    def document(self, width, height, words):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
                f'width="{width:.0f}" height="{height:.0f}" role="img" font-family="{FONT}">\n'
                f"<title>{escape(words)}</title>\n" + "\n".join(self.parts) + "\n</svg>\n")


def draw_row(drawing, x, y, tool, case, of, scale):
    """One tool: its name, its bar, its figure."""
    ours = tool == "sluice"
    weight, fill = ("bold", OURS) if ours else ("normal", TEXT)
    drawing.text(x + LABELS - 8, y + BAR - 2, TITLES.get(tool, tool), anchor="end", weight=weight,
                 fill=fill)
    if of is None:
        why = "cannot" if case and "cannot" in case else "not measured"
        drawing.text(x + LABELS + scale + 6, y + BAR - 2, why, size=11)
        return
    drawing.bar(x + LABELS, y, of * scale, OURS if ours else THEIRS)
    value = f"{pull_report.median(case, 'wall'):.2f} s" if ours else f"{of:.1f}×"
    drawing.text(x + LABELS + of * scale + 6, y + BAR - 2, value, weight="bold", fill=fill)


def draw_panel(drawing, results, x, y, image, store, tools, scale):
    shape, kind = image.split(":")
    size = results["images"][shape]["plain"] / 1e9
    drawing.text(x, y, SHAPES.get(shape, shape), size=13, weight="bold")
    drawing.text(x + LABELS + BARS + VALUES, y, f"{KINDS[kind]} · {size:.1f} GB", anchor="end")
    drawing.rule(x, x + LABELS + BARS + VALUES, y + 7)
    top = y + 17
    for row, tool in enumerate(tools):
        draw_row(drawing, x, top + row * ROW, tool, pull_report.case_of(results, image, store, tool),
                 pull_report.ratio(results, image, store, tool, "wall"), scale)
    drawing.line(x + LABELS + scale, top - 4, top + len(tools) * ROW - 4)


def grid(images):
    """Shapes side by side, kinds below each other, as far as they were measured."""
    shapes = [shape for shape in SHAPES if any(i.split(":")[0] == shape for i in images)]
    kinds = [kind for kind in KINDS if any(i.split(":")[1] == kind for i in images)]
    return shapes, kinds


def draw(results, store="tmpfs"):
    """The SVG of one store; of the first one if that was not measured."""
    stores = pull_report.in_order(results, "store")
    store = store if store in stores else stores[0]
    images, tools = pull_report.in_order(results, "image"), pull_report.in_order(results, "tool")
    ratios = [pull_report.ratio(results, image, store, tool, "wall") for image in images
              for tool in tools]
    scale = BARS / max([of for of in ratios if of], default=1)
    shapes, kinds = grid(images)
    panel, height = LABELS + BARS + VALUES, 17 + len(tools) * ROW + GAP
    drawing = Drawing()
    title = "Time to pull an image, as a multiple of Sluice's"
    drawing.text(MARGIN, 34, title, size=19, weight="bold")
    drawing.text(MARGIN, 55, f"From a registry on the same machine to files on {store}; wall time, shorter is "
                 "better.")
    drawing.text(MARGIN, 72, f"{results['machine'][0]}; {results['date']}", size=11)
    for row, kind in enumerate(kinds):
        for column, shape in enumerate(shapes):
            if f"{shape}:{kind}" in images:
                draw_panel(drawing, results, MARGIN + column * (panel + GAP),
                           HEADER + 12 + row * height, f"{shape}:{kind}", store, tools, scale)
    width = max(2 * MARGIN + len(shapes) * (panel + GAP) - GAP, LEAST_WIDTH)
    return drawing.document(width, HEADER + 12 + len(kinds) * height - GAP / 2, title)
