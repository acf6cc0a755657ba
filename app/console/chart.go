package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The drawing board of a chart. It is stretched to its place, so only shapes are drawn on it: the words stand around it.
const (
	boardWidth  = 600.0
	boardHeight = 120.0
)

// chart is a figure with everything that it shows also in words: a summary, and the figures as a table.
type chart struct {
	Name    string
	Summary string
	// Top is what the upper edge of the board stands for; the lower one is 0.
	Top                 string
	Width, Height, Half float64
	// Goal is where the objective's line lies, 0 for none.
	Goal    float64
	Legend  []swatch
	Bars    []bar
	Curves  []curve
	Axis    []string
	Columns []string
	Rows    [][]string
}

type swatch struct{ Name, Class string }

// bar is one interval: its label on hover, and its parts from the bottom up.
type bar struct {
	Label string
	X, W  float64
	Parts []part
}

type part struct {
	Class      string
	X, Y, W, H float64
}

// curve is a line without gaps; an interval without a value ends one and begins the next.
type curve struct {
	Class  string
	Points string
}

// interval is what the charts show of one stretch of time.
type interval struct {
	Start, End                   time.Time
	Notes, Facts, Others, Failed int
	// P50 and P95 are zero when the interval has no note.
	P50, P95 time.Duration
}

func (i interval) total() int { return i.Notes + i.Facts + i.Others + i.Failed }

func (i interval) name() string { return clock(i.Start) + " to " + i.End.UTC().Format("15:04") }

func board(name string, series []interval) chart {
	c := chart{Name: name, Width: boardWidth, Height: boardHeight, Half: boardHeight / 2}
	if n := len(series); n > 0 {
		c.Axis = []string{clock(series[0].Start), clock(series[n/2].Start), "now"}
	}
	return c
}

func clock(t time.Time) string { return t.UTC().Format("Mon 15:04") }

// ratesChart stacks how the runs of each interval ended.
func ratesChart(series []interval) chart {
	c := board("How runs ended", series)
	c.Legend = []swatch{{"note", "note-bar"}, {"facts-only", "facts-bar"}, {"skipped", "other-bar"}, {"failed", "failed-bar"}}
	c.Columns = []string{"From, to (UTC)", "Note", "Facts-only", "Skipped", "Failed"}
	most, sum, failed := 0, 0, 0
	for _, h := range series {
		most, sum, failed = max(most, h.total()), sum+h.total(), failed+h.Failed
	}
	top := roundUp(float64(most))
	c.Top = plural(int(top), "run", "runs")
	c.Summary = fmt.Sprintf("Bar chart of %d intervals: %d runs, %d of them failed; at most %d in one interval.", len(series), sum, failed, most)
	slot := boardWidth / float64(max(len(series), 1))
	for i, h := range series {
		b := bar{X: cut(float64(i)*slot + slot*0.12), W: cut(slot * 0.76)}
		b.Label = fmt.Sprintf("%s: %d notes, %d facts-only, %d skipped, %d failed", h.name(), h.Notes, h.Facts, h.Others, h.Failed)
		y := boardHeight
		for _, p := range []struct {
			n     int
			class string
		}{{h.Notes, "note-bar"}, {h.Facts, "facts-bar"}, {h.Others, "other-bar"}, {h.Failed, "failed-bar"}} {
			if p.n == 0 {
				continue
			}
			height := float64(p.n) / top * boardHeight
			y -= height
			b.Parts = append(b.Parts, part{Class: p.class, X: b.X, Y: cut(y), W: b.W, H: cut(height)})
		}
		c.Bars = append(c.Bars, b)
		c.Rows = append(c.Rows, []string{h.name(), strconv.Itoa(h.Notes), strconv.Itoa(h.Facts), strconv.Itoa(h.Others), strconv.Itoa(h.Failed)})
	}
	return c
}

// timesChart draws the median and the 95th percentile of the time from webhook to note, with the goal when it is near.
func timesChart(series []interval, goal time.Duration) chart {
	c := board("From webhook to note", series)
	c.Legend = []swatch{{"half are faster (p50)", "dot mid"}, {"95 % are faster (p95)", "dot high"}}
	c.Columns = []string{"From, to (UTC)", "p50", "p95"}
	var most time.Duration
	for _, h := range series {
		most = max(most, h.P50, h.P95)
	}
	top := roundUp(most.Seconds())
	if most >= goal/4 {
		top = max(top, goal.Seconds()*1.1)
		c.Goal = cut(boardHeight * (1 - goal.Seconds()/top))
		c.Legend = append(c.Legend, swatch{"objective: p95 under " + span(goal), "dot goal"})
	}
	c.Top = span(time.Duration(top * float64(time.Second)))
	slot := boardWidth / float64(max(len(series), 1))
	for i, h := range series {
		b := bar{X: cut(float64(i) * slot), W: cut(slot), Label: h.name() + ": no note"}
		row := []string{h.name(), "–", "–"}
		if h.P95 > 0 {
			row = []string{h.name(), span(h.P50), span(h.P95)}
			b.Label = fmt.Sprintf("%s: p50 %s, p95 %s", h.name(), row[1], row[2])
		}
		c.Bars = append(c.Bars, b)
		c.Rows = append(c.Rows, row)
	}
	c.Curves = append(lines("mid", series, slot, top, func(h interval) time.Duration { return h.P50 }),
		lines("high", series, slot, top, func(h interval) time.Duration { return h.P95 })...)
	c.Summary = "Line chart: no note in this time."
	if most > 0 {
		c.Summary = fmt.Sprintf("Line chart of %d intervals: the slowest 95th percentile was %s.", len(series), span(most))
	}
	return c
}

// lines breaks a series into lines without gaps. A value without neighbours becomes a short stroke, or it would not be seen.
func lines(class string, series []interval, slot, top float64, value func(interval) time.Duration) (all []curve) {
	var points []string
	end := func() {
		if len(points) == 1 {
			x, y, _ := strings.Cut(points[0], ",")
			at, _ := strconv.ParseFloat(x, 64) // written below
			points = []string{fmt.Sprintf("%g,%s", cut(at-slot/4), y), fmt.Sprintf("%g,%s", cut(at+slot/4), y)}
		}
		if len(points) > 0 {
			all = append(all, curve{Class: class, Points: strings.Join(points, " ")})
		}
		points = nil
	}
	for i, h := range series {
		v := value(h)
		if h.P95 == 0 {
			end()
			continue
		}
		points = append(points, fmt.Sprintf("%g,%g", cut((float64(i)+0.5)*slot), cut(boardHeight*(1-v.Seconds()/top))))
	}
	end()
	return all
}

// roundUp is the next round number at or above v: 1 to 6, 8 or 10 times a power of ten.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 3, 4, 5, 6, 8} {
		if v <= step*unit*(1+1e-9) {
			return step * unit
		}
	}
	return 10 * unit
}

func cut(v float64) float64 { return math.Round(v*100) / 100 }
