package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// document is everything of a run as it is kept.
type document struct {
	Time    time.Time `json:"time"`
	Seed    uint64    `json:"seed"`
	Commit  string    `json:"commit"`
	Command string    `json:"command"`
	Machine machine   `json:"machine"`
	Results []*result `json:"results"`
}

// write keeps the run in the files that were asked for.
func (d document) write(o options) error {
	var errs []error
	if o.jsonFile != "" {
		content, err := json.MarshalIndent(d, "", "  ")
		if err == nil {
			err = os.WriteFile(o.jsonFile, append(content, '\n'), 0o600)
		}
		errs = append(errs, err)
	}
	if o.svgDir != "" {
		errs = append(errs, writeCharts(o.svgDir, d.Results))
	}
	if o.docFile != "" {
		errs = append(errs, d.writeDoc(o.docFile))
	}
	return errors.Join(errs...)
}

func readDocument(path string) (document, error) {
	var d document
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &d)
	}
	if err != nil {
		return d, fmt.Errorf("read figures: %w", err)
	}
	return d, nil
}

// writeDoc replaces what stands between the markers of each scenario that was played, and leaves the others as they are.
func (d document) writeDoc(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	text := string(content)
	var profiles strings.Builder
	for _, r := range d.Results {
		if len(r.Profiles) == 0 {
			text = replaceMarked(text, r.Scenario, d.markdown(r))
		}
		for _, g := range r.Profiles {
			profiles.WriteString("\n" + g.markdown())
		}
	}
	if profiles.Len() > 0 {
		// Profiling costs time, so such a run says where the time goes and not how fast anything is.
		text = replaceMarked(text, "profile", profiles.String())
		return writeFile(path, text)
	}
	if p, err := measuredCosts(d.Results); err == nil {
		text = replaceMarked(text, "model", capacityGrid(p, usualAssumptions).markdown())
	}
	text = replaceMarked(text, "machine", fmt.Sprintf("%s\n\nMeasured on %s at commit %s, seed %d, by `%s`.\n",
		strings.ReplaceAll(d.Machine.String(), "\n", "\n\n"), d.Time.UTC().Format(time.DateOnly), d.Commit, d.Seed, d.Command))
	return writeFile(path, text)
}

func writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	return nil
}

// replaceMarked fills the place between <!-- bench:name --> and <!-- /bench:name -->; a document without it stays as it is.
func replaceMarked(text, name, with string) string {
	begin, end := "<!-- bench:"+name+" -->\n", "<!-- /bench:"+name+" -->"
	before, rest, ok := strings.Cut(text, begin)
	if !ok {
		return text
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return text
	}
	return before + begin + "\n" + strings.TrimSpace(with) + "\n\n" + end + after
}

func (d document) markdown(r *result) string {
	var out strings.Builder
	for _, n := range r.Notes {
		fmt.Fprintf(&out, "- %s\n", n)
	}
	if len(r.Grids) == 0 {
		out.WriteString("\n| figure | value | goal |\n| --- | ---: | --- |\n")
		for _, m := range r.Metrics {
			fmt.Fprintf(&out, "| %s | %s | %s |\n", m.Name, strings.TrimSpace(figure(m.Value)+" "+m.Unit), m.goalText())
		}
	}
	for _, g := range r.Grids {
		out.WriteString("\n" + g.markdown())
	}
	if len(r.Shares) > 0 {
		out.WriteString("\n| process | CPU | peak memory |\n| --- | ---: | ---: |\n")
		for _, s := range r.Shares {
			fmt.Fprintf(&out, "| %s | %.1f s | %.0f MiB |\n", s.Name, s.CPU.Seconds(), mib(s.PeakRSS))
		}
	}
	for _, e := range r.Exceeded {
		fmt.Fprintf(&out, "\nBeyond its bound: %s.\n", e)
	}
	return out.String()
}

func (g grid) markdown() string {
	var out strings.Builder
	if g.Title != "" {
		fmt.Fprintf(&out, "%s:\n\n", strings.ToUpper(g.Title[:1])+g.Title[1:])
	}
	out.WriteString("| " + strings.Join(g.Header, " | ") + " |\n|" + strings.Repeat(" --- |", len(g.Header)) + "\n")
	for _, row := range g.Rows {
		out.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return out.String()
}
