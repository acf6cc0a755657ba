package eval

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"aiagents/internal/fault"
)

// document is a line of corpus.jsonl.gz or of queries.NAME.jsonl.gz.
type document struct {
	Tenant string `json:"tenant"`
	ID     string `json:"id"`
	Title  string `json:"title"`
	Text   string `json:"text"`
}

// labels are the relevant documents of each query.
type labels map[string]map[string]bool

func readDocuments(dir, name string) ([]document, error) {
	var documents []document
	err := readGzip(dir, name, func(r io.Reader) error {
		decoder := json.NewDecoder(r)
		for {
			var d document
			switch err := decoder.Decode(&d); {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			case d.Tenant == "" || d.ID == "":
				return fault.Newf(fault.Invalid, "line %d: tenant and id must be set", len(documents)+1)
			}
			documents = append(documents, d)
		}
	})
	return documents, err
}

func readLabels(dir, name string) (labels, error) {
	relevant := labels{}
	err := readGzip(dir, name, func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		for n := 1; lines.Scan(); n++ {
			fields := strings.Split(lines.Text(), "\t")
			if n == 1 && fields[0] == "query-id" {
				continue
			}
			if len(fields) != 3 {
				return fault.Newf(fault.Invalid, "line %d: expected query-id, corpus-id and score", n)
			}
			score, err := strconv.ParseFloat(fields[2], 64)
			if err != nil {
				return fault.Newf(fault.Invalid, "line %d: the score is no number", n)
			}
			if score <= 0 {
				continue
			}
			if relevant[fields[0]] == nil {
				relevant[fields[0]] = map[string]bool{}
			}
			relevant[fields[0]][fields[1]] = true
		}
		return lines.Err()
	})
	return relevant, err
}

func readGzip(dir, name string, read func(io.Reader) error) error {
	file, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Newf(fault.NotFound, "%s is not in the data folder", name)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := read(unzipped); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}
