#!/usr/bin/env python3
"""A picture of one run's figures: latency over offered load, and the CPU of each process per authorization.

usage: tests/bench/plot.py FIGURES.json OUT.svg
"""
import json
import math
import sys

INK, PALE = "#333333", "#dddddd"
COLOURS = ["#1b6ca8", "#d1662b", "#3c8d5a", "#8a5aa8", "#b8a02e", "#7a7a7a", "#a83c4c", "#4ca8a0"]
CPU = "CPU of "


def text(x, y, what, anchor="start", size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{INK}">{what}</text>'


def line(points, colour, dash=""):
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'


def curves(series, left, top, width, height):
    """Both axes are logarithmic: the sides differ by more than they bend."""
    sides = [(k.split(", ", 1)[1], v) for k, v in series.items() if k.startswith("latency over offered load")]
    if not sides:
        return []
    all_x = [p["offered"] for _, v in sides for p in v]
    all_y = [max(p[q], 0.1) for _, v in sides for p in v for q in ("p50", "p99")]
    lo_x, hi_x, lo_y, hi_y = (math.log10(v) for v in (min(all_x), max(all_x), min(all_y) / 1.5, max(all_y) * 1.5))

    def at(x, y):
        return left + width * (math.log10(x) - lo_x) / (hi_x - lo_x or 1), top + height - height * (math.log10(max(y, 0.1)) - lo_y) / (hi_y - lo_y)

    out = [text(left, top - 12, "latency, ms, over offered authorizations/s (open loop; p50 dashed, p99 solid)", size=13),
           f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="{PALE}"/>']
    for decade in (0.1, 1, 10, 100, 1000):
        if lo_y <= math.log10(decade) <= hi_y:
            _, y = at(all_x[0], decade)
            out += [f'<line x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="{PALE}"/>', text(left - 6, y + 4, f"{decade:g}", "end")]
    for x in sorted({min(all_x), max(all_x)} | {v[-1]["offered"] for _, v in sides}):
        out.append(text(at(x, 1)[0], top + height + 16, f"{x:,.0f}", "middle"))
    for i, (name, v) in enumerate(sides):
        out.append(line([at(p["offered"], p["p99"]) for p in v], COLOURS[i]))
        out.append(line([at(p["offered"], p["p50"]) for p in v], COLOURS[i], ' stroke-dasharray="5 4"'))
        out.append(f'<rect x="{left + 10}" y="{top + 10 + 18 * i}" width="12" height="12" fill="{COLOURS[i]}"/>' + text(left + 28, top + 20 + 18 * i, name))
    return out


def stack(figures, left, top, width, height):
    parts = sorted(((k[len(CPU):].split()[0], v["median"]) for k, v in figures.items() if k.startswith(CPU)), key=lambda p: -p[1])
    if not parts:
        return []
    total, x = sum(v for _, v in parts), left
    out = [text(left, top - 12, f"CPU per finished authorization, all processes: {total:.0f} µs", size=13)]
    for i, (name, v) in enumerate(parts):
        w = width * v / total
        out.append(f'<rect x="{x:.1f}" y="{top}" width="{w:.1f}" height="{height}" fill="{COLOURS[i % len(COLOURS)]}"/>')
        if w > 42:
            out += [text(x + w / 2, top + height + 15, name, "middle"), text(x + w / 2, top + height + 30, f"{v:.0f}", "middle")]
        x += w
    return out


def picture(document):
    body = curves(document["series"], 60, 40, 620, 240) + stack(document["figures"], 60, 350, 620, 26)
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 420" font-family="sans-serif"><rect width="720" height="420" fill="white"/>\n'
            + "\n".join(body) + "\n</svg>\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as f, open(sys.argv[2], "w") as out:
        out.write(picture(json.load(f)))
