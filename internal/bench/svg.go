package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// The charts are drawn by hand: two simple forms, and no text in a font that a reader may not have. The colours stand out on
// light and on dark paper.
const (
	chartWidth = 720
	ink        = "#808890"
)

var chartColours = []string{"#2f81f7", "#d29922", "#3fb950", "#db61a2", "#8957e5"}

// writeCharts writes, for every scenario, its distributions of latency and its CPU time by process.
func writeCharts(dir string, results []*result) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	for _, r := range results {
		charts := map[string]string{}
		if len(r.Curves) > 0 {
			charts["latency"] = percentileChart(r.Scenario+": latency by percentile", r.Curves)
		}
		if len(r.Shares) > 0 {
			charts["cpu"] = barChart(r.Scenario+": CPU seconds by process", r.Shares)
		}
		for kind, svg := range charts {
			if err := os.WriteFile(filepath.Join(dir, r.Scenario+"-"+kind+".svg"), []byte(svg), 0o600); err != nil {
				return fmt.Errorf("write chart: %w", err)
			}
		}
	}
	return nil
}

// drawing collects the parts of a chart.
type drawing struct {
	strings.Builder
	height int
}

func newDrawing(title string, height int) *drawing {
	d := &drawing{height: height}
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img" aria-label="%s">`+"\n",
		chartWidth, height, html.EscapeString(title))
	d.text(10, 20, "start", ink, title)
	return d
}

func (d *drawing) text(x, y float64, anchor, colour, s string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, colour, html.EscapeString(s))
}

func (d *drawing) line(x1, y1, x2, y2 float64) {
	fmt.Fprintf(d, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-opacity="0.35"/>`+"\n", x1, y1, x2, y2, ink)
}

func (d *drawing) end() string {
	d.WriteString("</svg>\n")
	return d.String()
}

// percentileChart has the percentile on a scale that gives each further nine the same room, and the latency on a logarithmic one.
func percentileChart(title string, curves []curve) string {
	const left, right, top, bottom = 70.0, 700.0, 40.0, 300.0
	d := newDrawing(title, 320+16*len(curves))
	low, high := math.Inf(1), 0.0
	for _, c := range curves {
		for _, p := range c.Points {
			low, high = min(low, max(p.Millis, 0.01)), max(high, p.Millis)
		}
	}
	low, high = math.Floor(math.Log10(low)), math.Ceil(math.Log10(max(high, 0.02)))
	y := func(v float64) float64 { return bottom - (math.Log10(max(v, 0.01))-low)/max(1, high-low)*(bottom-top) }
	x := func(percent float64) float64 {
		nines := -math.Log10(max(1-percent/100, 0.00005)) // 100 % is drawn behind 99.99 %
		return left + nines/4.3*(right-left)
	}
	for e := low; e <= high; e++ {
		v := math.Pow(10, e)
		d.line(left, y(v), right, y(v))
		d.text(left-6, y(v)+4, "end", ink, fmt.Sprintf("%g ms", v))
	}
	for _, p := range []float64{50, 90, 99, 99.9, 99.99} {
		d.line(x(p), top, x(p), bottom)
		d.text(x(p), bottom+16, "middle", ink, fmt.Sprintf("%g %%", p))
	}
	for i, c := range curves {
		colour := chartColours[i%len(chartColours)]
		var path []string
		for _, p := range c.Points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(p.Percent), y(p.Millis)))
		}
		fmt.Fprintf(d, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), colour)
		d.text(left, bottom+36+16*float64(i), "start", colour, c.Name)
	}
	return d.end()
}

func barChart(title string, shares []share) string {
	const left, right = 150.0, 640.0
	d := newDrawing(title, 40+26*len(shares))
	most := 0.001
	for _, s := range shares {
		most = max(most, s.CPU.Seconds())
	}
	for i, s := range shares {
		top := 34 + 26*float64(i)
		d.text(left-8, top+14, "end", ink, s.Name)
		width := s.CPU.Seconds() / most * (right - left)
		fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="%.1f" height="18" fill="%s"/>`+"\n", left, top, width, chartColours[i%len(chartColours)])
		d.text(left+width+6, top+14, "start", ink, fmt.Sprintf("%.1f s", s.CPU.Seconds()))
	}
	return d.end()
}
