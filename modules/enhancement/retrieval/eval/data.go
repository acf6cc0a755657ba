package eval

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"aiagents/db"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement/retrieval"
)

// document is a line of corpus.jsonl.gz or of queries.NAME.jsonl.gz.
type document struct {
	Tenant string `json:"tenant"`
	ID     string `json:"id"`
	Title  string `json:"title"`
	Text   string `json:"text"`
}

// dataset is the content of a folder: documents, queries and which documents answer them.
type dataset struct {
	corpus   []document
	queries  []document
	relevant labels
}

// labels are the relevant documents of each query.
type labels map[string]map[string]bool

func readDataset(dir, split string) (d dataset, err error) {
	if d.corpus, err = readDocuments(dir, "corpus.jsonl.gz"); err != nil {
		return d, err
	}
	if d.queries, err = readDocuments(dir, "queries."+split+".jsonl.gz"); err != nil {
		return d, err
	}
	if d.relevant, err = readLabels(dir, "qrels."+split+".tsv.gz"); err != nil {
		return d, err
	}
	for _, q := range d.queries {
		if len(d.relevant[q.ID]) == 0 {
			return d, fault.Newf(fault.Invalid, "query %s has no label", q.ID)
		}
	}
	return d, nil
}

func (d dataset) byTenant() map[string][]document {
	documents := map[string][]document{}
	for _, c := range d.corpus {
		documents[c.Tenant] = append(documents[c.Tenant], c)
	}
	return documents
}

// renumbered deals the ids of each tenant's documents out at random, always in the same way. The texts and which of them
// belong together stay: only what the numbers tell is gone.
func (d dataset) renumbered() dataset {
	random, names := rand.New(rand.NewPCG(11, 13)), map[string]string{} // #nosec G404 -- an experiment that can be repeated
	byTenant := d.byTenant()
	for _, tenant := range slices.Sorted(maps.Keys(byTenant)) {
		documents := byTenant[tenant]
		for i, j := range random.Perm(len(documents)) {
			names[documents[i].ID] = documents[j].ID
		}
	}
	rename := func(documents []document) []document {
		renamed := slices.Clone(documents)
		for i := range renamed {
			renamed[i].ID = cmp.Or(names[renamed[i].ID], renamed[i].ID)
		}
		return renamed
	}
	renamed := dataset{corpus: rename(d.corpus), queries: rename(d.queries), relevant: labels{}}
	for query, answers := range d.relevant {
		query = cmp.Or(names[query], query)
		renamed.relevant[query] = map[string]bool{}
		for answer := range answers {
			renamed.relevant[query][cmp.Or(names[answer], answer)] = true
		}
	}
	return renamed
}

// inDatabase loads the documents, runs fn with the time that loading took, and removes them.
func (d dataset) inDatabase(ctx context.Context, database *db.DB, log *slog.Logger, fn func(*retrieval.Store, time.Duration) error) (err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	store := retrieval.New(database, retrieval.DefaultConfig(), log)
	byTenant := d.byTenant()
	defer func() {
		for tenant := range byTenant {
			if perr := store.Purge(context.WithoutCancel(ctx), tenantPrefix+tenant); err == nil {
				err = perr
			}
		}
	}()
	started := time.Now()
	for tenant, documents := range byTenant {
		if err := load(ctx, store, tenant, documents); err != nil {
			return err
		}
	}
	return fn(store, time.Since(started))
}

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

func load(ctx context.Context, store *retrieval.Store, tenant string, documents []document) error {
	for batch := range slices.Chunk(documents, importBatch) {
		tickets := make([]retrieval.Ticket, len(batch))
		for i, d := range batch {
			tickets[i] = retrieval.Ticket{ID: d.ID, Subject: d.Title, Description: d.Text, Source: "import"}
		}
		if _, err := store.UpsertTickets(ctx, tenantPrefix+tenant, tickets); err != nil {
			return fmt.Errorf("load tenant %s: %w", tenant, err)
		}
	}
	return nil
}
