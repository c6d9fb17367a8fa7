"""plot - bars and lines as SVG, plain enough to be written by hand.

No library: two plots are not worth a package of some 50 MB, and what is written here
is small, the same everywhere, and can be read as text.

Model:  a canvas of WIDTH x HEIGHT; values from 0 to `top` stand between the margins.
"""

from html import escape

WIDTH, HEIGHT = 960, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 15, 50, 70
# Told apart by those who do not see all colours.
COLOURS = ("#0072b2", "#e69f00", "#999999")


class Canvas:
    def __init__(self, title, unit, top):
        self.parts, self.top = [], top
        self.text(LEFT, 18, title, size=15)
        self.text(LEFT - 50, TOP - 10, unit)
        for value in range(0, int(top) + 1, 20):
            y = self.y(value)
            self.line(LEFT, y, WIDTH - RIGHT, y, "#dddddd")
            self.text(LEFT - 6, y + 4, str(value), anchor="end")

    def y(self, value):
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(value, self.top) / self.top

    def text(self, x, y, words, size=12, anchor="start", turn=None):
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" '
                          f'text-anchor="{anchor}"{turned}>{escape(words)}</text>')

    def line(self, x1, y1, x2, y2, colour, width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{colour}" stroke-width="{width}"/>')

    def bar(self, x, width, value, colour):
        y = self.y(value)
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{HEIGHT - BOTTOM - y:.1f}" fill="{colour}"/>')

    def path(self, points, colour):
        words = " ".join(f"{x:.1f},{self.y(v):.1f}" for x, v in points)
        self.parts.append(f'<polyline points="{words}" fill="none" stroke="{colour}" '
                          'stroke-width="1.8"/>')

    def legend(self, names):
        x = LEFT
        for name, colour in zip(names, COLOURS):
            self.parts.append(f'<rect x="{x}" y="{TOP - 20}" width="12" height="12" '
                              f'fill="{colour}"/>')
            self.text(x + 17, TOP - 10, name)
            x += 40 + 7 * len(name)

    def svg(self):
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" fill="#222222">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *self.parts, "</svg>\n"])


def bars(title, unit, names, groups):
    """groups: (label, one value a name), in percent."""
    canvas = Canvas(title, unit, 104)
    canvas.legend(names)
    room = (WIDTH - LEFT - RIGHT) / max(1, len(groups))
    width = room * 0.8 / len(names)
    for i, (label, values) in enumerate(groups):
        x = LEFT + room * (i + 0.1)
        for j, value in enumerate(values):
            if value == value:
                canvas.bar(x + j * width, width * 0.92, value, COLOURS[j])
        canvas.text(x + room * 0.4 + 4, HEIGHT - BOTTOM + 14, label, 11, "end", -35)
    return canvas.svg()


def lines(title, unit, top, series, marks, step, begin):
    """series: (name, values each `step` seconds from `begin`); marks: (second, words).
    What is above `top` is drawn there."""
    seconds = max((len(values) for _, values in series), default=1) * step
    canvas = Canvas(title, unit, top)
    canvas.legend([name for name, _ in series])

    def x_of(second):
        return LEFT + (WIDTH - LEFT - RIGHT) * (second - begin) / seconds

    for second in range(round(begin), round(begin + seconds) + 1):
        canvas.text(x_of(second), HEIGHT - BOTTOM + 18, f"{second} s", 12, "middle")
    for second, words in marks:
        canvas.line(x_of(second), TOP, x_of(second), HEIGHT - BOTTOM, "#cc0000", 1)
        canvas.text(x_of(second) + 4, TOP + 12, words, 11)
    for (_, values), colour in zip(series, COLOURS):
        canvas.path([(x_of(begin + (i + 0.5) * step), v) for i, v in enumerate(values)], colour)
    return canvas.svg()
