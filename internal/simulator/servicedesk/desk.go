package servicedesk

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Edition selects whose dialect the desk speaks.
type Edition string

// The editions a desk can play.
const (
	OnPrem    Edition = "onprem"
	Cloud     Edition = "cloud"
	MSPOnPrem Edition = "msp_onprem"
	MSPCloud  Edition = "msp_cloud"
	Generic   Edition = "generic"
)

// cloud and msp group the editions by what differs: sign-in and ids, and accounts.
func (e Edition) cloud() bool { return e == Cloud || e == MSPCloud }
func (e Edition) msp() bool   { return e == MSPOnPrem || e == MSPCloud }

// Options configures a Desk. Edition is mandatory; so is APIKey, except on the
// Cloud editions, which need OAuth and Portal instead.
type Options struct {
	Edition Edition
	// APIKey is the technician key (authtoken), or the bearer token of Generic.
	APIKey string
	// Author is the technician the key belongs to, shown as the writer of notes.
	Author string
	// Technicians are further keys. A technician with Accounts sees those only.
	Technicians []Technician
	// OAuth is the client the Cloud editions sign in with.
	OAuth OAuth
	// Portal is the <portal> part of /app/<portal>/api/v3.
	Portal string
	// NoteKey overrides the note envelope: "note" or "request_note".
	NoteKey string
	// OlderBuild plays an on-premises build from before the `note` envelope:
	// `request_note`, created_time/created_by, response_status as object on lists.
	OlderBuild bool
	// NotesWithoutBody leaves descriptions out of the notes list, so that each
	// note has to be fetched by itself.
	NotesWithoutBody bool
	// NewAssets plays on-premises build 15100 and later: asset_assets with
	// primary_ip instead of assets and workstations.
	NewAssets bool
	// Accounts are the customers of an MSP desk; at least one.
	Accounts []Account
	// Webhooks are those set up from the start; AddWebhook sets up more.
	Webhooks []Webhook
	// RatePerMinute limits calls per operation and clock minute; 0 is no limit.
	RatePerMinute int
	// FailedAuthPerMinute limits failed authentications; 0 is no limit (15 on a real desk).
	FailedAuthPerMinute int
	// CountersOnly keeps counts of requests instead of the requests themselves.
	CountersOnly bool
	// JournalFile makes state outlive the process: an append-only file, synced
	// before each change is acknowledged and replayed by New.
	JournalFile string
	// Seed drives faults with a probability.
	Seed uint64
	// Clock is the desk's time (tokens, timestamps, rate windows); default time.Now.
	Clock func() time.Time
	// HTTPClient sends webhooks. Redirects are never followed.
	HTTPClient *http.Client
}

// Technician is a login with an API key.
type Technician struct {
	Key, Name string
	Accounts  []string // ids; empty sees all
}

func (t Technician) sees(account string) bool {
	return len(t.Accounts) == 0 || slices.Contains(t.Accounts, account)
}

// Account is a customer of an MSP desk.
type Account struct{ ID, Name string }

// Desk is one simulated ticketing system. It is safe for concurrent use.
type Desk struct {
	opts  Options
	clock func() time.Time
	// Each part has its own lock, so that a slow journal or receiver holds up nobody else.
	data     *store
	auth     *authority
	limits   *windows
	faults   *faultSet
	ledger   *ledger
	journal  *journal
	hooks    *sender
	done     chan struct{}
	mu       sync.Mutex // guards closed, so that nothing starts once Close waits
	closed   bool
	inFlight sync.WaitGroup
}

// New checks the options, replays the journal if there is one, and returns a desk.
func New(opts Options) (*Desk, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	d := &Desk{
		opts: opts, clock: opts.Clock, data: newStore(opts), auth: newAuthority(opts),
		limits: newWindows(opts.Clock), faults: newFaultSet(opts.Seed),
		ledger: newLedger(opts.CountersOnly), done: make(chan struct{}),
	}
	var err error
	if d.hooks, err = newSender(opts); err != nil {
		return nil, err
	}
	if opts.JournalFile != "" {
		if err := d.openJournal(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// complete fills in defaults and names what is missing, so that a wrong desk fails in
// New and not as a puzzling 401 later.
func (o *Options) complete() error {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Author == "" {
		o.Author = "API technician"
	}
	switch o.Edition {
	case OnPrem, MSPOnPrem, Generic:
		if o.APIKey == "" {
			return fmt.Errorf("edition %s needs an API key", o.Edition)
		}
	case Cloud, MSPCloud:
		if o.Portal == "" || !o.OAuth.complete() {
			return fmt.Errorf("edition %s needs a portal and an OAuth client", o.Edition)
		}
	default:
		return fmt.Errorf("unknown edition %q", o.Edition)
	}
	if o.NoteKey == "" {
		o.NoteKey = "note"
		if o.Edition.cloud() || o.OlderBuild {
			o.NoteKey = "request_note"
		}
	}
	if o.NoteKey != "note" && o.NoteKey != "request_note" {
		return fmt.Errorf("unknown note key %q", o.NoteKey)
	}
	if o.Edition.msp() && len(o.Accounts) == 0 {
		return errors.New("an MSP desk needs at least one account")
	}
	return nil
}

// Close ends stalled requests and waits for webhooks and late writes in flight.
// A late write that has not happened yet never will.
func (d *Desk) Close() error {
	d.release()
	d.inFlight.Wait()
	return d.journal.close()
}

// release lets go of everything that waits; from here on nothing starts in the background.
func (d *Desk) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		close(d.done)
	}
}

// background runs f so that Close waits for it.
func (d *Desk) background(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.inFlight.Go(f)
	}
}

// SetAPIKey replaces the first technician's key; the old one is refused at once.
func (d *Desk) SetAPIKey(key string) { d.auth.setKey(key) }

// RevokeTokens invalidates every access token handed out so far (Cloud).
func (d *Desk) RevokeTokens() { d.auth.revokeAll() }

// AddFault programs a fault; see Fault for which requests it strikes.
func (d *Desk) AddFault(f Fault) { d.faults.add(f) }

// ClearFaults removes all programmed faults. Those already under way go on.
func (d *Desk) ClearFaults() { d.faults.clear() }

// Requests returns every request received so far, oldest first; nothing with CountersOnly.
func (d *Desk) Requests() []Request { return d.ledger.requests() }

// Count returns how many requests reached the operation; "" counts all.
func (d *Desk) Count(op Operation) int { return d.ledger.count(op) }

// APIPath is the path prefix of the v3 API on this desk, without a trailing slash.
func (d *Desk) APIPath() string {
	switch {
	case d.opts.Edition == Generic:
		return "/api"
	case d.opts.Edition.cloud():
		return "/app/" + d.opts.Portal + "/api/v3"
	}
	return "/api/v3"
}
