package systems

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
)

const (
	importBatch  = 500
	maxRowErrors = 100
)

// ImportOptions steers an import.
type ImportOptions struct {
	// Prune retires every live imported host that the file does not have. It is off by default: a file with fewer hosts is more
	// often half an export than news of machines that are gone. See Report.PruneSkipped.
	Prune bool
}

// Report says what an import did. Rows = Added + Changed + Unchanged + Rejected.
type Report struct {
	Rows      int `json:"rows"`
	Added     int `json:"added"`
	Changed   int `json:"changed"` // hosts that came back from retirement included
	Unchanged int `json:"unchanged"`
	Rejected  int `json:"rejected"`
	Retired   int `json:"retired"`
	// Errors holds the first 100 rejected rows; Rejected counts all of them.
	Errors []RowError `json:"errors,omitempty"`
	// PruneSkipped says why nothing was retired although it was asked for: a rejected row may name a host that still exists.
	PruneSkipped string `json:"prune_skipped,omitempty"`
}

// RowError is one rejected row.
type RowError struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

func (e RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Import reads hosts as CSV or JSONL, told apart by the first character, and adds them to the tenant's inventory.
//
// CSV has a header with the columns ip, hostname, role and location in any order; all other columns become metadata.
// Comma, semicolon and tab separate. JSONL has the same keys. A host is one pair of host name and address; ip may be a
// network such as 10.2.3.0/24, and may be empty when there is a host name. Of several rows for one pair the first counts
// and the others are rejected.
//
// Rows are written in batches, so memory is bounded by the keys of the file (some 40 bytes a row). Running it again writes
// nothing. Bad rows are reported and the rest kept; the error is for files that cannot be read at all, and for the database.
// progress, if not nil, is called after each batch.
func (v *Inventory) Import(ctx context.Context, tenantID string, r io.Reader, opts ImportOptions, progress func(Report)) (Report, error) {
	i := importer{inventory: v, tenantID: tenantID, origin: originImport, progress: progress, seen: map[hostID]struct{}{}}
	if err := i.begin(ctx); err != nil {
		return i.report, err
	}
	source, err := openSource(r)
	if err != nil {
		return i.report, err
	}
	if err := i.readAll(ctx, source); err != nil {
		return i.report, err
	}
	if opts.Prune {
		err = i.prune(ctx)
	}
	return i.report, err
}

// hostID identifies a host in the set of those that the file has: the first half of a hash, to bound the memory.
type hostID [16]byte

func idOf(key string, ip *netip.Prefix) hostID {
	text := key + "\x00"
	if ip != nil {
		text += ip.String()
	}
	sum := sha256.Sum256([]byte(text))
	return hostID(sum[:16])
}

// Where a row comes from. A prune retires rows of its own origin only.
const (
	originImport = "import"
	originDesk   = "servicedesk"
)

type importer struct {
	inventory *Inventory
	tenantID  string
	origin    string
	progress  func(Report)
	started   time.Time
	seen      map[hostID]struct{}
	batch     []host
	report    Report
}

// begin takes the database's time: pruning leaves alone what somebody else wrote since.
func (i *importer) begin(ctx context.Context) error {
	return i.inventory.db.InTenantTx(ctx, i.tenantID, func(ctx context.Context, tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&i.started); err != nil {
			return fmt.Errorf("read the database's time: %w", err)
		}
		return nil
	})
}

func (i *importer) readAll(ctx context.Context, source source) error {
	for {
		h, err := source.next()
		var bad RowError
		switch {
		case errors.Is(err, io.EOF):
			return i.flush(ctx)
		case errors.As(err, &bad):
			i.reject(bad)
		case err != nil:
			return errors.Join(err, i.flush(ctx))
		default:
			i.take(h)
		}
		if len(i.batch) >= importBatch {
			if err := i.flush(ctx); err != nil {
				return err
			}
		}
	}
}

func (i *importer) take(h host) {
	id := idOf(h.key, h.ip)
	if _, again := i.seen[id]; again {
		i.reject(RowError{Line: h.line, Reason: "the same host name and address as an earlier line"})
		return
	}
	i.seen[id] = struct{}{}
	i.report.Rows++
	i.batch = append(i.batch, h)
}

func (i *importer) reject(bad RowError) {
	i.report.Rows++
	i.report.Rejected++
	if len(i.report.Errors) < maxRowErrors {
		i.report.Errors = append(i.report.Errors, bad)
	}
}

// flush writes the batch in the order of its keys, so that two imports at once cannot wait for each other in a circle.
func (i *importer) flush(ctx context.Context) error {
	if len(i.batch) > 0 {
		slices.SortFunc(i.batch, func(a, b host) int {
			return cmp.Or(cmp.Compare(a.key, b.key), compareAddresses(a.ip, b.ip))
		})
		var added, changed int
		err := i.inventory.db.InTenantTx(ctx, i.tenantID, func(ctx context.Context, tx pgx.Tx) (err error) {
			added, changed, err = upsert(ctx, tx, i.tenantID, i.origin, i.batch)
			return err
		})
		if err != nil {
			return fmt.Errorf("import hosts: %w", err)
		}
		i.report.Added += added
		i.report.Changed += changed
		i.report.Unchanged += len(i.batch) - added - changed
		i.batch = i.batch[:0]
	}
	if i.progress != nil {
		i.progress(i.report)
	}
	return nil
}

// prune retires the live hosts that the file does not have, page by page.
func (i *importer) prune(ctx context.Context) error {
	switch {
	case i.report.Rejected > 0:
		i.report.PruneSkipped = "rows were rejected, and each of them may name a host that still exists"
		return nil
	case len(i.seen) == 0:
		i.report.PruneSkipped = "the file has no host"
		return nil
	}
	last := "00000000-0000-0000-0000-000000000000"
	for {
		var page []liveHost
		var retired int
		err := i.inventory.db.InTenantTx(ctx, i.tenantID, func(ctx context.Context, tx pgx.Tx) (err error) {
			page, err = liveAfter(ctx, tx, i.tenantID, i.origin, i.started, last)
			if err != nil {
				return err
			}
			var gone []string
			for _, h := range page {
				if _, has := i.seen[idOf(h.HostnameKey, h.IPAddress)]; !has {
					gone = append(gone, h.ID)
				}
			}
			if len(gone) > 0 {
				retired, err = retire(ctx, tx, i.tenantID, gone, i.started)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("prune hosts: %w", err)
		}
		i.report.Retired += retired
		if len(page) == 0 {
			return nil
		}
		last = page[len(page)-1].ID
	}
}

// openSource skips a byte order mark and tells JSONL from CSV.
func openSource(r io.Reader) (source, error) {
	in := newLimited(r)
	head, err := in.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	if bytes.HasPrefix(head, []byte{0xFF, 0xFE}) || bytes.HasPrefix(head, []byte{0xFE, 0xFF}) {
		return nil, fault.New(fault.Invalid, "the inventory is in UTF-16: save it as UTF-8")
	}
	if bytes.Equal(head, []byte("\xEF\xBB\xBF")) {
		_, _ = in.Discard(3)
	}
	first, err := in.Peek(1)
	if errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "the inventory is empty: expected a header with ip, hostname, role, location, or JSONL")
	}
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	if first[0] == '{' {
		return &jsonlSource{in: in}, nil
	}
	return openCSV(in)
}
