package console

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
)

// formats are what the templates may call.
func (c *Console) formats() template.FuncMap {
	return template.FuncMap{
		"asset": c.asset,
		"base":  func() string { return base },
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"stamp": stamp,
		"ago":   func(t time.Time) string { return ago(c.deps.Clock(), t) },
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// ago is how long t lies back, in one unit.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < 0:
		return "in " + age(-d)
	case d < 5*time.Second:
		return "just now"
	}
	return age(d) + " ago"
}

// age is a duration in the one unit that matters.
func age(d time.Duration) string {
	unit := func(n int, name string) string { return strconv.Itoa(n) + " " + name }
	switch {
	case d < time.Minute:
		return unit(int(d.Seconds()), "s")
	case d < time.Hour:
		return unit(int(d.Minutes()), "min")
	case d < 48*time.Hour:
		return unit(int(d.Hours()), "h")
	}
	return unit(int(d.Hours()/24), "days")
}

// span is a measured duration, no finer than a person needs.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 100*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	case d < 100*time.Minute:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60), " 0 s")
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

// count writes a number with separators, as in 12,345.
func count[T int | int64](n T) string {
	text := strconv.FormatInt(int64(n), 10)
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

// money writes dollars with as many digits as a small sum needs.
func money(usd float64) string {
	switch {
	case usd == 0:
		return "$0"
	case usd < 0.01:
		return fmt.Sprintf("$%.5f", usd)
	case usd < 10:
		return fmt.Sprintf("$%.3f", usd)
	}
	return fmt.Sprintf("$%.2f", usd)
}

// percent never rounds a failure away: 99.96 % is not 100 %.
func percent(part, whole int64) string {
	if whole == 0 {
		return "–"
	}
	if part == whole {
		return "100 %"
	}
	share := float64(int(float64(part)/float64(whole)*1000)) / 10
	return strconv.FormatFloat(share, 'f', -1, 64) + " %"
}
